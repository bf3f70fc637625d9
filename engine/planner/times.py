"""What people say of time, read as values; `occasions` turns them into dates.

A reader looks at one place in the tokens and answers what is said there and where it ends, or None. What it
does not know (“every other week”, “by Friday”, “12/3”) it leaves, and the planner then names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from engine.planner.numbers import ORDINALS, follows, whole
from engine.planner.tokens import Token

Unit = Literal["day", "week", "month"]
Shift = Literal["", "this", "next"]
Tokens = Sequence[Token]


@dataclass(frozen=True, slots=True)
class Weekday:
    """0 is Monday; `this` and `next` are meant by calendar weeks."""

    number: int
    shift: Shift = ""


@dataclass(frozen=True, slots=True)
class Ahead:
    """So many days or months from today."""

    days: int = 0
    months: int = 0


@dataclass(frozen=True, slots=True)
class Fixed:
    """A date; without a year the next such date. `weekday`, when it was said too, has to fit."""

    day: int
    month: int | None = None
    year: int | None = None
    weekday: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A date with its time, as in ISO 8601; `at` without a zone is local."""

    at: datetime


Day = Weekday | Ahead | Fixed


@dataclass(frozen=True, slots=True)
class Days:
    """One or more days."""

    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class DayRange:
    """All days from the first to the last."""

    first: Day
    last: Day


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in minutes; `bare` when only an hour was said, without morning or evening."""

    minutes: int
    bare: bool = False


@dataclass(frozen=True, slots=True)
class ClockRange:
    """From one time of day to another."""

    start: Clock
    end: Clock


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the day."""

    name: Literal["morning", "afternoon", "evening", "night"]


@dataclass(frozen=True, slots=True)
class PartOf:
    """A part of today: “tonight”, “this morning”."""

    name: Literal["morning", "afternoon", "evening", "night"]


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long one occasion takes, in minutes."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """For so many days or months."""

    days: int = 0
    months: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the calendar within which days are free to choose; `days` counts from today."""

    name: Literal["this week", "next week", "this weekend", "next weekend", "this month", "next month", "days"]
    days: int = 0


@dataclass(frozen=True, slots=True)
class Times:
    """So many times, in all or in each day, week or month."""

    number: int
    per: Unit | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """Again each day, week or month, or on each of some weekdays."""

    unit: Unit
    weekdays: tuple[int, ...] = ()
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """Up to and including a day."""

    day: Day


@dataclass(frozen=True, slots=True)
class Starting:
    """From a day, or from a window's first day, on."""

    day: Day | Window


@dataclass(frozen=True, slots=True)
class Soon:
    """So many minutes from now."""

    minutes: int


Atom = (
    Days | DayRange | Moment | Clock | ClockRange | Part | PartOf | Lasting | Stretch | Window | Times | Every
    | Until | Starting | Soon
)  # fmt: skip
Found = tuple[Atom, int]

_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday".split()
_SHORT: Final = {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
_WEEKDAY: Final = {**{name: place for place, name in enumerate(_WEEKDAYS)}, **_SHORT}
_PLURAL: Final = {f"{name}s": place for place, name in enumerate(_WEEKDAYS)}
_MONTHS: Final = "january february march april may june july august september october november december".split()
_MONTH: Final = {
    **{name: place for place, name in enumerate(_MONTHS, start=1)},
    **{name[:3]: place for place, name in enumerate(_MONTHS, start=1)},
    "sept": 9,
}
_MINUTES: Final = {
    "minute": 1, "minutes": 1, "min": 1, "mins": 1, "hour": 60, "hours": 60, "hr": 60, "hrs": 60, "h": 60,
}  # fmt: skip
_DAYS: Final = {"day": 1, "days": 1, "week": 7, "weeks": 7, "night": 1, "nights": 1}
_PARTS: Final = {"morning": "morning", "afternoon": "afternoon", "evening": "evening"}
_MERIDIEMS: Final = {"am": 0, "a.m": 0, "a.m.": 0, "pm": 12, "p.m": 12, "p.m.": 12}

_ISO_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_ISO_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}t[0-9:]{5,8}(?:z|[+-][0-9:]{4,5})?")
_NTH: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)")
_CLOCK: Final = re.compile(r"([0-9]{1,2})(?:[:.]([0-5][0-9]))?(am|pm)?")
_TIMES: Final = re.compile(r"([0-9]{1,3})x")
_LENGTH: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,2})?)-?(minutes?|mins?|hours?|hrs?|h)")
_HOURS_MINUTES: Final = re.compile(r"([0-9]{1,2})h([0-5]?[0-9])(?:m|min)?")
_STRETCH_WORD: Final = re.compile(r"([0-9]{1,3})-(day|week)s?")
_MOST_DAYS: Final = 3660
_MOST_LISTED: Final = 31


def read_time(tokens: Tokens, at: int) -> Found | None:
    """What is said of time at a place; the longest reading wins."""
    found = [
        reading
        for reader in (
            _every, _times, _window, _starting, _until, _soon, _range, _days, _part, _clock, _lasting, _stretch,
        )
        if (reading := reader(tokens, at))
    ]  # fmt: skip
    return max(found, key=lambda reading: reading[1], default=None)


def _skip(tokens: Tokens, at: int, *leads: str) -> int:
    for lead in leads:
        words = lead.split()
        if follows(tokens, at, words):
            return at + len(words)
    return at


def _word(tokens: Tokens, at: int) -> str:
    return tokens[at].word if at < len(tokens) else ""


# ── days ───────────────────────────────────────────────────────────────────────────────────────────


def _days(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "on the", "on", "for", "from")
    if found := _day_range(tokens, place):
        return found
    if _word(tokens, at) == "from":
        return None
    if _ISO_MOMENT.fullmatch(_word(tokens, at if place == at else place)):
        return _moment(tokens, place)
    first = read_day(tokens, place) or read_day(tokens, at)
    if not first:
        return None
    days, end = [first[0]], first[1]
    while len(days) < _MOST_LISTED:
        after = _skip(tokens, end, ", and", ", or", ",", "and", "&", "/", "+")
        if after == end or not (further := read_day(tokens, _skip(tokens, after, "on the", "on"))):
            break
        days.append(further[0])
        end = further[1]
    return Days(tuple(days)), end


def _day_range(tokens: Tokens, at: int) -> Found | None:
    first, dash, last = _word(tokens, at).partition("-")
    if dash and first in _WEEKDAY and last in _WEEKDAY:
        return DayRange(Weekday(_WEEKDAY[first]), Weekday(_WEEKDAY[last])), at + 1
    start = read_day(tokens, at)
    if not start:
        return None
    after = _skip(tokens, start[1], "to", "through", "thru", "until", "till", "-", "–", "—")
    if after == start[1] or not (end := read_day(tokens, after)):
        return None
    return DayRange(start[0], end[0]), end[1]


def _moment(tokens: Tokens, at: int) -> Found | None:
    try:
        return Moment(datetime.fromisoformat(tokens[at].text.upper())), at + 1
    except ValueError:
        return None


def read_day(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    """The one day said at a place, without a preposition before it."""
    word = _word(tokens, at)
    if word in {"today", "tomorrow"}:
        return Ahead(days=int(word == "tomorrow")), at + 1
    after = _skip(tokens, at, "the day after tomorrow", "day after tomorrow")
    if after > at:
        return Ahead(days=2), after
    return _weekday(tokens, at) or _date(tokens, at) or _ahead(tokens, at)


def _weekday(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    place = _skip(tokens, at, "this coming", "coming", "this", "next")
    shift: Shift = "" if place == at else "next" if _word(tokens, at) == "next" else "this"
    number = _WEEKDAY.get(_word(tokens, place))
    if number is None:
        return None
    if not shift:
        dated = _date(tokens, _skip(tokens, place + 1, ", the", ",", "the"))
        if dated and isinstance(dated[0], Fixed):
            fixed = dated[0]
            return Fixed(fixed.day, fixed.month, fixed.year, weekday=number), dated[1]
    return Weekday(number, shift), place + 1


def _date(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    if iso := _ISO_DATE.fullmatch(_word(tokens, at)):
        return Fixed(int(iso[3]), int(iso[2]), int(iso[1])), at + 1
    place = _skip(tokens, at, "the")
    if month := _MONTH.get(_word(tokens, place)):
        day = _day_number(tokens, _skip(tokens, place + 1, ". the", "the", "."))
        return _with_year(tokens, day[0], month, day[1]) if day else None
    day = _day_number(tokens, place)
    if not day:
        return None
    if month := _MONTH.get(_word(tokens, after := _skip(tokens, day[1], "of"))):
        return _with_year(tokens, day[0], month, after + 1)
    if place > at and _NTH.fullmatch(_word(tokens, place)):
        return Fixed(day[0]), day[1]
    return None


def _day_number(tokens: Tokens, at: int) -> tuple[int, int] | None:
    word = _word(tokens, at)
    if nth := _NTH.fullmatch(word):
        number = int(nth[1])
    elif word in ORDINALS:
        number = ORDINALS[word]
    elif word.isascii() and word.isdigit() and len(word) < 3:
        number = int(word)
    else:
        return None
    return (number, at + 1) if 1 <= number <= 31 else None


def _with_year(tokens: Tokens, day: int, month: int, at: int) -> tuple[Day, int]:
    place = _skip(tokens, at, ",")
    word = _word(tokens, place)
    if len(word) == 4 and word.isascii() and word.isdigit() and word.startswith("20"):
        return Fixed(day, month, int(word)), place + 1
    return Fixed(day, month), at


def _ahead(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    place = _skip(tokens, at, "in")
    amount = _amount(tokens, place)
    if not amount:
        return None
    days, months, end = amount
    if place == at:
        after = _skip(tokens, end, "from now", "from today")
        if after == end:
            return None
        end = after
    return Ahead(days=days, months=months), end


def _amount(tokens: Tokens, at: int) -> tuple[int, int, int] | None:
    """So many days, weeks or months: days, months, and where it ends."""
    if short := _STRETCH_WORD.fullmatch(_word(tokens, at)):
        return int(short[1]) * _DAYS[short[2]], 0, at + 1
    number, place = (1, at + 1) if _word(tokens, at) in {"a", "an"} else whole(tokens, at) or (0, at)
    if _word(tokens, at) == "a" and follows(tokens, at + 1, ("couple", "of")):
        number, place = 2, at + 3
    unit = _word(tokens, place)
    if place == at or not 0 < number <= _MOST_DAYS:
        return None
    if unit in _DAYS and number * _DAYS[unit] <= _MOST_DAYS:
        return number * _DAYS[unit], 0, place + 1
    if unit in {"month", "months"} and number <= 60:
        return 0, number, place + 1
    return None


def _soon(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "in")
    length = _length(tokens, place)
    if not length:
        return None
    minutes, end = length
    if place == at:
        after = _skip(tokens, end, "from now")
        if after == end:
            return None
        end = after
    return Soon(minutes), end


# ── times of day ───────────────────────────────────────────────────────────────────────────────────


def _clock(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "starting at", "at")
    found = _time_of_day(tokens, place, hour_alone=place > at)
    return found


def _time_of_day(tokens: Tokens, at: int, *, hour_alone: bool) -> tuple[Clock, int] | None:
    word = _word(tokens, at)
    if word in {"noon", "midday"}:
        return Clock(12 * 60), at + 1
    if word in {"half", "quarter"} or (word == "a" and _word(tokens, at + 1) == "quarter"):
        return _past_or_to(tokens, at)
    found = _CLOCK.fullmatch(word)
    if found:
        hour, minutes, meridiem, end = int(found[1]), found[2], found[3], at + 1
    elif hour_alone and (number := whole(tokens, at)):
        hour, minutes, meridiem, end = number[0], None, None, number[1]
    else:
        return None
    if not meridiem and _word(tokens, end) in _MERIDIEMS:
        meridiem, end = _word(tokens, end), end + 1
        if meridiem.endswith(".m") and _word(tokens, end) == ".":
            end += 1
    if follows(tokens, end, ("o'clock",)):
        hour_alone, end = True, end + 1
    if meridiem:
        if not 1 <= hour <= 12:
            return None
        return Clock((hour % 12 + _MERIDIEMS[meridiem]) * 60 + int(minutes or 0)), end
    for part, noon in (("morning", 0), ("afternoon", 12), ("evening", 12)):
        if 1 <= hour <= 12 and follows(tokens, end, ("in", "the", part)):
            return Clock((hour % 12 + noon) * 60 + int(minutes or 0)), end + 3
    if hour > 23 or (minutes is None and not hour_alone) or (minutes and word[len(found[1]) if found else 0] == "."):
        return None
    return Clock(hour * 60 + int(minutes or 0), bare=minutes is None and 1 <= hour <= 12), end


def _past_or_to(tokens: Tokens, at: int) -> tuple[Clock, int] | None:
    place = _skip(tokens, at, "a")
    size = 30 if _word(tokens, place) == "half" else 15
    direction = _word(tokens, place + 1)
    hour = _time_of_day(tokens, place + 2, hour_alone=True)
    if direction not in {"past", "to"} or not hour or hour[0].minutes % 60:
        return None
    clock, end = hour
    minutes = (afternoon(clock).minutes + (size if direction == "past" else -size)) % (24 * 60)
    return Clock(minutes), end


def afternoon(clock: Clock) -> Clock:
    """The hour that people mean by a bare one: 7 to 11 in the morning, 12 to 6 after noon."""
    if clock.bare and clock.minutes < 7 * 60:
        return Clock(clock.minutes + 12 * 60)
    return Clock(clock.minutes)


def _range(tokens: Tokens, at: int) -> Found | None:
    lead = _word(tokens, at)
    place = _skip(tokens, at, "from", "between")
    first, dash, last = _word(tokens, place).partition("-")
    start_at, end_at = _CLOCK.fullmatch(first), _CLOCK.fullmatch(last)
    if dash and start_at and end_at:
        if not (
            place > at or ":" in first + last or start_at[3] or end_at[3] or _word(tokens, place + 1) in _MERIDIEMS
        ):
            return None
        end = place + 1
        suffix = _word(tokens, end) if _word(tokens, end) in _MERIDIEMS else ""
        start_clock, end_clock = _clock_of(start_at, ""), _clock_of(end_at, suffix)
        if start_clock is None or end_clock is None:
            return None
        return ClockRange(start_clock, end_clock), end + (1 if suffix else 0)
    start = _time_of_day(tokens, place, hour_alone=place > at)
    if not start:
        return None
    joiners = ("and",) if lead == "between" else ("to", "until", "till", "-", "–", "—")
    after = _skip(tokens, start[1], *joiners)
    finish = _time_of_day(tokens, after, hour_alone=True) if after > start[1] else None
    return (ClockRange(start[0], finish[0]), finish[1]) if finish else None


def _clock_of(found: re.Match[str], meridiem: str) -> Clock | None:
    hour, minutes, own = int(found[1]), int(found[2] or 0), found[3] or meridiem
    if own:
        return Clock((hour % 12 + _MERIDIEMS[own]) * 60 + minutes) if 1 <= hour <= 12 else None
    return Clock(hour * 60 + minutes, bare=not found[2] and 1 <= hour <= 12) if hour <= 23 else None


def _part(tokens: Tokens, at: int) -> Found | None:
    if _word(tokens, at) == "tonight":
        return PartOf("evening"), at + 1
    place = _skip(tokens, at, "in the", "this", "at")
    word = _word(tokens, place)
    name = _PARTS.get(word)
    today = _word(tokens, at) == "this"
    if name in {"morning", "afternoon", "evening"}:
        if place > at and _word(tokens, at) == "at":
            return None
        return (PartOf(name) if today else Part(name)), place + 1  # pyright: ignore[reportArgumentType]
    if word == "night" and place > at and _word(tokens, at) == "at":
        return Part("night"), place + 1
    return None


# ── how long, how often ────────────────────────────────────────────────────────────────────────────


def _lasting(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "for", "lasting")
    length = _length(tokens, place)
    return (Lasting(length[0]), length[1]) if length else None


def _length(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """A length of time in minutes: `45 minutes`, `an hour and a half`, `1.5 hours`, `1h30`."""
    place = _skip(tokens, at, "about", "half an")
    word = _word(tokens, at)
    if place > at and word == "half":
        return (30, place + 1) if _word(tokens, place) == "hour" else None
    if word == "half-hour":
        return 30, at + 1
    if both := _HOURS_MINUTES.fullmatch(word):
        return int(both[1]) * 60 + int(both[2]), at + 1
    if short := _LENGTH.fullmatch(word):
        return _more_minutes(tokens, round(float(short[1]) * _MINUTES[short[2]]), at + 1, short[2])
    return _spelled_length(tokens, at)


def _spelled_length(tokens: Tokens, at: int) -> tuple[int, int] | None:
    word = _word(tokens, at)
    if word in {"a", "an"} or word == "one":
        number, place = 1.0, at + 1
    elif re.fullmatch(r"[0-9]{1,2}\.[0-9]{1,2}", word):
        number, place = float(word), at + 1
    elif found := whole(tokens, at):
        number, place = float(found[0]), found[1]
    else:
        return None
    after = _skip(tokens, place, "and a half")
    if after > place:
        number, place = number + 0.5, after
    unit = _word(tokens, place)
    if unit not in _MINUTES or not 0 < number <= 1440 or (word in {"a", "an"} and unit == "h"):
        return None
    minutes, place = round(number * _MINUTES[unit]), place + 1
    after = _skip(tokens, place, "and a half", "and a quarter")
    if after > place and _MINUTES[unit] == 60:
        return minutes + (30 if _word(tokens, after - 1) == "half" else 15), after
    return _more_minutes(tokens, minutes, place, unit)


def _more_minutes(tokens: Tokens, minutes: int, at: int, unit: str) -> tuple[int, int]:
    if _MINUTES[unit] == 60:
        place = _skip(tokens, at, "and")
        more = whole(tokens, place)
        if more and more[0] < 60 and _MINUTES.get(_word(tokens, more[1])) == 1:
            return minutes + more[0], more[1] + 1
    return minutes, at


def _stretch(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "for the next", "for the coming", "for")
    amount = _amount(tokens, place) if place > at else None
    return (Stretch(amount[0], amount[1]), amount[2]) if amount else None


def _times(tokens: Tokens, at: int) -> Found | None:
    word = _word(tokens, at)
    short = _TIMES.fullmatch(word)
    if word in {"once", "twice", "thrice"}:
        number, end = {"once": 1, "twice": 2, "thrice": 3}[word], at + 1
    elif short:
        number, end = int(short[1]), at + 1
    elif (found := whole(tokens, at)) and _word(tokens, found[1]) in {"times", "time", "x", "×"}:
        number, end = found[0], found[1] + 1
    else:
        return None
    after = _skip(tokens, end, "a", "per", "each", "every", "/")
    unit = _word(tokens, after)
    if after > end and unit in {"day", "week", "month"}:
        return Times(number, unit), after + 1  # pyright: ignore[reportReturnType]
    if _word(tokens, end) in {"daily", "weekly", "monthly"}:
        units: dict[str, Unit] = {"daily": "day", "weekly": "week", "monthly": "month"}
        return Times(number, units[_word(tokens, end)]), end + 1
    return Times(number), end


def _every(tokens: Tokens, at: int) -> Found | None:
    word = _word(tokens, at)
    units: dict[str, Unit] = {"daily": "day", "everyday": "day", "weekly": "week", "monthly": "month"}
    if word in units:
        return Every(units[word]), at + 1
    place = _skip(tokens, at, "on")
    if _word(tokens, place) == "weekdays":
        return Every("week", tuple(range(5))), place + 1
    if _word(tokens, place) in _PLURAL:
        return _every_weekday(tokens, place, _PLURAL)
    place = _skip(tokens, at, "every single", "every", "each")
    if place == at:
        return None
    unit = _word(tokens, place)
    if unit in {"day", "week", "month"}:
        return Every(unit), place + 1  # pyright: ignore[reportReturnType]
    if unit in {"weekday", "workday"}:
        return Every("week", tuple(range(5))), place + 1
    if unit == "weekend":
        return Every("week", (5, 6)), place + 1
    if unit in _PARTS or unit == "night":
        return Every("day", part=Part(unit)), place + 1  # pyright: ignore[reportArgumentType]
    return _every_weekday(tokens, place, _WEEKDAY) if unit in _WEEKDAY else None


def _every_weekday(tokens: Tokens, at: int, names: dict[str, int]) -> Found:
    numbers, end = [names[_word(tokens, at)]], at + 1
    while True:
        after = _skip(tokens, end, ", and", ", or", ",", "and", "&", "/")
        after = _skip(tokens, after, "on", "every") if after > end else after
        number = names.get(_word(tokens, after))
        if after == end or number is None:
            return Every("week", tuple(dict.fromkeys(numbers))), end
        numbers.append(number)
        end = after + 1


# ── stretches of the calendar ──────────────────────────────────────────────────────────────────────


def _window(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "over", "during", "within", "in", "for", "on", "at")
    if found := _named_window(tokens, place):
        return found
    after = _skip(tokens, place, "the next", "the coming", "the following")
    amount = _amount(tokens, after) if after > place and _word(tokens, at) != "for" else None
    if amount and not amount[1]:
        return Window("days", amount[0]), amount[2]
    if _word(tokens, at) == "within" and (amount := _amount(tokens, place)) and not amount[1]:
        return Window("days", amount[0]), amount[2]
    return None


def _named_window(tokens: Tokens, at: int) -> tuple[Window, int] | None:
    place = _skip(tokens, at, "the rest of")
    shift = _word(tokens, place)
    after = _skip(tokens, place, "this coming", "this", "the coming", "coming", "the", "next")
    name = _word(tokens, after)
    if after == place or name not in {"week", "weekend", "month"}:
        return None
    if shift == "the" and name != "weekend" and place == at:
        return (Window("days", 7), after + 1) if name == "week" else None
    which = "next" if shift == "next" or (name == "week" and "coming" in _between(tokens, place, after)) else "this"
    return Window(f"{which} {name}"), after + 1  # pyright: ignore[reportArgumentType]


def _between(tokens: Tokens, at: int, end: int) -> set[str]:
    return {token.word for token in tokens[at:end]}


def _starting(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "starting from", "starting on", "starting", "beginning on", "beginning", "as of", "from")
    if place == at:
        return None
    place = _skip(tokens, place, "on")
    if window := _named_window(tokens, place):
        return Starting(window[0]), window[1]
    day = read_day(tokens, place)
    if not day:
        return None
    end = _skip(tokens, day[1], "on", "onwards", "onward")
    if end > day[1] and _word(tokens, day[1]) == "on" and _looks_on(tokens, end):
        end = day[1]
    return Starting(day[0]), end


def _looks_on(tokens: Tokens, at: int) -> bool:
    return read_day(tokens, at) is not None


def _until(tokens: Tokens, at: int) -> Found | None:
    place = _skip(tokens, at, "until", "till", "through", "up to", "up until", "ending on", "ending")
    day = read_day(tokens, _skip(tokens, place, "the end of")) if place > at else None
    return (Until(day[0]), day[1]) if day else None
