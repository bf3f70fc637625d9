"""Times of day: “at 7am”, “18:30”, “half past six”, “two thirty pm”, “from 9 to 10:30”.

A time is *bare* when nothing tells which half of the day is meant; `occasions` settles it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.planner.rules.numbers import follows, whole
from engine.planner.rules.times.atoms import Clock, ClockRange
from engine.planner.rules.times.names import NEAR_DAYS, WEEKDAY
from engine.planner.rules.times.parts import MERIDIEM_PARTS, PARTS, read_part, read_part_after
from engine.planner.rules.times.reading import Found, Tokens, skip, stands_alone, touches, word_at
from engine.planner.rules.words import USUAL_TIMES

__all__ = [
    "CLOCK_LEADS",
    "CLOCK_WORDS",
    "HOURS_NAMED",
    "read_clock",
    "read_clock_range",
    "read_part",
    "read_part_after",
]

_CLOCK: Final = re.compile(r"([0-9]{1,2})(?:([:.])([0-5][0-9])(?::00)?)?(am|pm|a|p)?")
_TOGETHER: Final = re.compile(r"([0-9]{1,2})([0-5][0-9])(am|pm)?")
"""“730”, “1030pm”."""
_FRENCH: Final = re.compile(r"([0-9]{1,2})h([0-5][0-9])?")
_MERIDIEMS: Final = {"am": 0, "a.m": 0, "a.m.": 0, "pm": 12, "p.m": 12, "p.m.": 12}
_SUFFIXES: Final = {"am": 0, "a": 0, "pm": 12, "p": 12}
_MEALS: Final = ("breakfast", "brunch", "lunch", "dinner", "supper")
CLOCK_WORDS: Final = frozenset({"noon", "midday", "half", "quarter", *(f"{meal}time" for meal in _MEALS)})
"""What a time of day can begin with, beside a number."""
_LEADS: Final = ("starting at", "starting from", "starting", "beginning at", "beginning", "from", "for", "at")
_ABOUT: Final = ("about", "around", "roughly", "approximately", "exactly", "precisely")
CLOCK_LEADS: Final = frozenset({*(lead.split()[0] for lead in _LEADS), *_ABOUT, "over", "during"})
_TO: Final = ("to", "until", "till", "through", "-", "–", "—")
_PAST: Final = ("past", "after")
_BEFORE: Final = ("to", "before", "till", "until", "of")
_NOON: Final = 12 * 60
_OF_AN_HOUR: Final = frozenset({5, 10, 15, 20, 25})


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A time's numbers as written."""

    hour: int
    minutes: int | None = None
    noon: int | None = None
    """0 for am, 12 for pm, None when neither was said."""
    dotted: bool = False
    is_short: bool = False
    """Whether am or pm is one letter: “3p”."""
    is_24: bool = False
    """Whether it is written as clocks of 24 hours show it: “07:30”, “1030”."""

    @classmethod
    def of(cls, text: str) -> _Numbers | None:
        found = _CLOCK.fullmatch(text)
        if not found:
            return None
        noon = _SUFFIXES[found[4]] if found[4] else None
        minutes = int(found[3]) if found[3] else None
        is_24 = minutes is not None and found[1].startswith("0")
        short = found[4] in {"a", "p"}
        return cls(int(found[1]), minutes, noon, dotted=found[2] == ".", is_short=short, is_24=is_24)

    def clock(self, noon: int | None = None, *, hour_alone: bool = True) -> Clock | None:
        """The time that it is, if it is one; `noon` is what was said apart from the numbers."""
        noon = self.noon if self.noon is not None else noon
        minutes = self.minutes or 0
        if noon is not None:
            return Clock((self.hour % 12 + noon) * 60 + minutes) if 1 <= self.hour <= 12 else None
        if self.hour > 23 or self.dotted or (self.minutes is None and not hour_alone):
            return None
        is_24 = self.is_24 or not 1 <= self.hour <= 12
        return Clock(self.hour * 60 + minutes, bare=not is_24, is_24=is_24)


def read_clock(tokens: Tokens, at: int) -> Found | None:
    """A time of day; an hour alone is one only after “at”, or before a part of the day: “8 tonight”."""
    if (meal := skip(tokens, at, "at", "over", "during")) > at and (found := _meal(tokens, meal)):
        return found
    place = skip(tokens, at, *_LEADS)
    lead = word_at(tokens, at) if place > at else ""
    place = skip(tokens, place, "at") if lead != "at" else place
    about = skip(tokens, place, *_ABOUT)
    if lead in {"for", "from"} and word_at(tokens, place - 1) != "at":
        # “for 3” may be people and “from 3” money: only what shows that it is a time is one
        found = time_of_day(tokens, about, hour_alone=False) or _before_a_part(tokens, about)
    else:
        hour_alone = bool(lead) and (lead not in {"starting", "beginning"} or stands_alone(tokens, about + 1))
        found = time_of_day(tokens, about, hour_alone=hour_alone or about > place)
        found = found or _before_a_part(tokens, about)
    if not found or (about > place == at and not stands_alone(tokens, found[1])):
        return None
    return found[0], skip(tokens, found[1], "sharp", "exactly", "on the dot")


def _meal(tokens: Tokens, at: int) -> tuple[Clock, int] | None:
    """“At lunch”, “over dinner”: when such a meal usually is."""
    word = word_at(tokens, at)
    return (Clock(USUAL_TIMES[word]), at + 1) if word in _MEALS and stands_alone(tokens, at + 1) else None


def _before_a_part(tokens: Tokens, at: int) -> tuple[Clock, int] | None:
    """“8 tonight”, “9 tomorrow morning”, “five this evening”: an hour, and a part of a day right behind it."""
    number = whole(tokens, at)
    if not number or not 1 <= number[0] <= 12:
        return None
    end = number[1]
    is_day = word_at(tokens, end) in NEAR_DAYS or word_at(tokens, end) in WEEKDAY
    if is_day:
        part = read_part_after(tokens, end + 1)
    else:
        part = read_part(tokens, end) if word_at(tokens, end) in {"tonight", "tonite", "this", "in", "at"} else None
    return (Clock(number[0] * 60, bare=True), end) if part and stands_alone(tokens, part[1]) else None


def time_of_day(tokens: Tokens, at: int, *, hour_alone: bool) -> tuple[Clock, int] | None:
    """The time said at a place, without a preposition before it."""
    word = word_at(tokens, at)
    if word in {"noon", "midday"}:
        return Clock(_NOON), at + 1
    if word == "midnight" and hour_alone:
        return Clock(0, is_midnight=True), at + 1
    if word.endswith("time") and word.removesuffix("time") in _MEALS and stands_alone(tokens, at + 1):
        return Clock(USUAL_TIMES[word.removesuffix("time")]), at + 1
    return _minutes_past(tokens, at, hour_alone=hour_alone) or _numeric(tokens, at, hour_alone=hour_alone)


def _numeric(tokens: Tokens, at: int, *, hour_alone: bool) -> tuple[Clock, int] | None:
    found = [
        reading
        for numbers, end, needs_more in _written(tokens, at, hour_alone=hour_alone)
        if (reading := _completed(tokens, numbers, end, hour_alone=hour_alone, needs_more=needs_more))
    ]
    return max(found, key=lambda reading: reading[1], default=None)


def _written(tokens: Tokens, at: int, *, hour_alone: bool) -> list[tuple[_Numbers, int, bool]]:
    """The numbers that may be meant, where they end, and whether more has to tell that they are a time."""
    word = word_at(tokens, at)
    if numbers := _Numbers.of(word):
        if numbers.is_short and not hour_alone:
            return []
        found = [(numbers, at + 1, False)]
        minutes = word_at(tokens, at + 1)
        if word.isdigit() and len(minutes) == 2 and minutes.isdigit() and int(minutes) < 60 and _apart(tokens, at + 1):
            alone = stands_alone(tokens, at + 2)
            found.append((_Numbers(int(word), int(minutes)), at + 2, not (hour_alone and alone)))
        return found
    if both := _TOGETHER.fullmatch(word):
        noon = _SUFFIXES[both[3]] if both[3] else None
        numbers = _Numbers(int(both[1]), int(both[2]), noon, is_24=len(both[1]) == 2)
        return [(numbers, at + 1, noon is None and not (hour_alone and stands_alone(tokens, at + 1)))]
    if hour_alone and (french := _FRENCH.fullmatch(word)):
        return [(_Numbers(int(french[1]), int(french[2] or 0), is_24=True), at + 1, False)]
    return _spelled(tokens, at)


def _apart(tokens: Tokens, at: int) -> bool:
    """Whether a blank, and nothing else, stands before the token."""
    return 0 < at < len(tokens) and not touches(tokens, at)


def _spelled(tokens: Tokens, at: int) -> list[tuple[_Numbers, int, bool]]:
    """“Eight”, “two thirty”, “seven forty-five”, “ten oh five”, “eight-thirty”."""
    word = word_at(tokens, at)
    hour_word, hyphen, minute_word = word.partition("-")
    if hyphen and (hour := _hour_named(hour_word)) and (minutes := _MINUTE_WORDS.get(minute_word)):
        return [(_Numbers(hour, minutes), at + 1, False)]
    hour = _hour_named(word)
    if hour is None:
        return []
    found = [(_Numbers(hour), at + 1, False)]
    after = skip(tokens, at + 1, "oh", "o")
    minutes = whole(tokens, after) if word_at(tokens, after).isalpha() or "-" in word_at(tokens, after) else None
    if minutes and (0 < minutes[0] < 10 if after > at + 1 else 10 <= minutes[0] < 60):
        found.append((_Numbers(hour, minutes[0]), minutes[1], not stands_alone(tokens, minutes[1])))
    return found


_HOURS: Final = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12,
}  # fmt: skip
HOURS_NAMED: Final = frozenset(_HOURS)
_MINUTE_WORDS: Final = {"ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}


def _hour_named(word: str) -> int | None:
    return _HOURS.get(word)


def _completed(
    tokens: Tokens, numbers: _Numbers, end: int, *, hour_alone: bool, needs_more: bool
) -> tuple[Clock, int] | None:
    """The time with what is said right behind its numbers: am or pm, “o'clock”, “in the evening”."""
    begun = end
    if (clock := skip(tokens, end, "o'clock", "oclock", "o clock")) > end:
        hour_alone, end = True, clock
    noon, end = _meridiem(tokens, end)
    if noon is None and numbers.noon is None:
        for part, half in MERIDIEM_PARTS.items():
            if follows(tokens, end, ("in", "the", part)):
                if part in PARTS and numbers.hour == 12 and part != "afternoon":
                    return None  # “12 in the morning” may be either
                noon, end = half, end + 3
                break
    if needs_more and end == begun and not read_part(tokens, end):
        return None
    is_time = hour_alone or numbers.minutes is not None
    clock_said = numbers.clock(noon, hour_alone=is_time)
    return (clock_said, end) if clock_said else None


def _meridiem(tokens: Tokens, at: int) -> tuple[int | None, int]:
    word = word_at(tokens, at)
    if word not in _MERIDIEMS:
        return None, at
    dotted = word.endswith(".m") and word_at(tokens, at + 1) == "."
    return _MERIDIEMS[word], at + 1 + dotted


def _minutes_past(tokens: Tokens, at: int, *, hour_alone: bool) -> tuple[Clock, int] | None:
    """“Half past six”, “a quarter to 7”, “twenty after 3pm”, “20 minutes to 2pm”."""
    place = skip(tokens, at, "a")
    size = {"half": 30, "quarter": 15}.get(word_at(tokens, place))
    after = place + 1
    is_plain = False
    if size is None:
        number = whole(tokens, at)
        if not number or not 0 < number[0] < 60:
            return None
        size, after = number
        with_unit = skip(tokens, after, "minutes", "minute", "mins", "min")
        is_plain = with_unit == after
        after = with_unit
    direction = 1 if word_at(tokens, after) in _PAST else -1 if word_at(tokens, after) in _BEFORE else 0
    if not direction or (size == 30 and not is_plain and direction < 0 and word_at(tokens, place) == "half"):
        return None
    if is_plain and (size not in _OF_AN_HOUR or (direction < 0 and not hour_alone)):
        return None  # “10 to 2” may be an interval
    if word_at(tokens, after) == "of" and word_at(tokens, place) != "quarter":
        return None
    hour = time_of_day(tokens, after + 1, hour_alone=True)
    if not hour or hour[0].minutes % 60 or hour[0].is_midnight:
        return None
    minutes = hour[0].minutes + direction * size
    return Clock(minutes % (_NOON if hour[0].bare else 2 * _NOON), bare=hour[0].bare), hour[1]


def read_clock_range(tokens: Tokens, at: int) -> Found | None:
    """From one time of day to another; hours alone only after “from” or “between”, or if the end shows a time."""
    place = skip(tokens, at, "from", "between")
    if found := _hyphened(tokens, place, hours_alone=place > at):
        return found
    if place == at:
        place = skip(tokens, at, "at")
    start = _numeric(tokens, place, hour_alone=True) or time_of_day(tokens, place, hour_alone=True)
    if not start:
        return None
    joiners = ("and",) if word_at(tokens, at) == "between" else _TO
    after = skip(tokens, start[1], *joiners)
    end = time_of_day(tokens, after, hour_alone=True) if after > start[1] else None
    if not end:
        return None
    if word_at(tokens, at) not in {"from", "between"} and not _shows_a_time(tokens, start, end, after):
        return None
    return _range(start[0], end[0]), end[1]


def _shows_a_time(tokens: Tokens, start: tuple[Clock, int], end: tuple[Clock, int], after: int) -> bool:
    """Whether it is an interval of time even without “from”: “8am until 6”, “7 to 9am”, not “2 to 3”."""
    said = [tokens[place].word for place in (start[1] - 1, *range(after, end[1]))]
    plain = all(word.isdigit() or word in _HOURS for word in said)
    return not plain or bool(read_part(tokens, end[1]))


def _hyphened(tokens: Tokens, at: int, *, hours_alone: bool) -> Found | None:
    """“9-10:30”, “9am-5pm”, “9-5 pm”: one word."""
    first, dash, last = word_at(tokens, at).partition("-")
    start, end = _Numbers.of(first), _Numbers.of(last)
    if not dash or start is None or end is None:
        return None
    noon, after = _meridiem(tokens, at + 1)
    shows_a_time = noon is not None or any(one.minutes is not None or one.noon is not None for one in (start, end))
    shows_a_time = shows_a_time or bool(read_part(tokens, after))
    first_clock, last_clock = start.clock(), end.clock(noon)
    if not (hours_alone or shows_a_time) or first_clock is None or last_clock is None:
        return None
    return _range(first_clock, last_clock), after


def _range(start: Clock, end: Clock) -> ClockRange:
    """An end as clocks of 24 hours show it tells that the start is one too: “9 to 17”."""
    if start.bare and end.is_24 and 6 * 60 <= start.minutes < end.minutes:
        return ClockRange(Clock(start.minutes, is_24=True), end)
    return ClockRange(start, end)
