"""Times of day: “at 7am”, “18:30”, “half past six”, “from 9 to 10:30”, “tonight”."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.planner.numbers import follows, whole
from engine.planner.times.atoms import Clock, ClockRange, Part, PartName, PartOf
from engine.planner.times.reading import Found, Tokens, skip, word_at

_CLOCK: Final = re.compile(r"([0-9]{1,2})(?:([:.])([0-5][0-9]))?(am|pm)?")
_MERIDIEMS: Final = {"am": 0, "a.m": 0, "a.m.": 0, "pm": 12, "p.m": 12, "p.m.": 12}
PARTS: Final[dict[str, PartName]] = {"morning": "morning", "afternoon": "afternoon", "evening": "evening"}
CLOCK_WORDS: Final = frozenset({"noon", "midday", "half", "quarter"})
"""What a time of day can begin with, beside a number."""
_TO: Final = ("to", "until", "till", "-", "–", "—")


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A time's numbers as written."""

    hour: int
    minutes: int | None = None
    noon: int | None = None
    """0 for am, 12 for pm, None when neither was said."""
    dotted: bool = False

    @classmethod
    def of(cls, text: str) -> _Numbers | None:
        found = _CLOCK.fullmatch(text)
        if not found:
            return None
        noon = _MERIDIEMS[found[4]] if found[4] else None
        return cls(int(found[1]), int(found[3]) if found[3] else None, noon, dotted=found[2] == ".")

    def clock(self, noon: int | None = None, *, hour_alone: bool = True) -> Clock | None:
        """The time that it is, if it is one; `noon` is what was said apart from the numbers."""
        noon = self.noon if self.noon is not None else noon
        minutes = self.minutes or 0
        if noon is not None:
            return Clock((self.hour % 12 + noon) * 60 + minutes) if 1 <= self.hour <= 12 else None
        if self.hour > 23 or self.dotted or (self.minutes is None and not hour_alone):
            return None
        return Clock(self.hour * 60 + minutes, bare=self.minutes is None and 1 <= self.hour <= 12)


def read_clock(tokens: Tokens, at: int) -> Found | None:
    """A time of day; an hour alone is one only after “at”."""
    place = skip(tokens, at, "starting at", "at")
    return time_of_day(tokens, place, hour_alone=place > at)


def time_of_day(tokens: Tokens, at: int, *, hour_alone: bool) -> tuple[Clock, int] | None:
    """The time said at a place, without a preposition before it."""
    if word_at(tokens, at) in {"noon", "midday"}:
        return Clock(12 * 60), at + 1
    return _quarters(tokens, at) or _numeric(tokens, at, hour_alone=hour_alone)


def _numeric(tokens: Tokens, at: int, *, hour_alone: bool) -> tuple[Clock, int] | None:
    numbers, end = _Numbers.of(word_at(tokens, at)), at + 1
    if numbers is None and hour_alone and (number := whole(tokens, at)):
        numbers, end = _Numbers(number[0]), number[1]
    if numbers is None:
        return None
    noon, end = _meridiem(tokens, end)
    if follows(tokens, end, ("o'clock",)):
        hour_alone, end = True, end + 1
    if noon is None and numbers.noon is None:
        for part, half in (("morning", 0), ("afternoon", 12), ("evening", 12)):
            if follows(tokens, end, ("in", "the", part)):
                noon, end = half, end + 3
                break
    clock = numbers.clock(noon, hour_alone=hour_alone)
    return (clock, end) if clock else None


def _meridiem(tokens: Tokens, at: int) -> tuple[int | None, int]:
    word = word_at(tokens, at)
    if word not in _MERIDIEMS:
        return None, at
    dotted = word.endswith(".m") and word_at(tokens, at + 1) == "."
    return _MERIDIEMS[word], at + 1 + dotted


def _quarters(tokens: Tokens, at: int) -> tuple[Clock, int] | None:
    """“Half past six”, “a quarter to 7”."""
    place = skip(tokens, at, "a")
    size = {"half": 30, "quarter": 15}.get(word_at(tokens, place))
    direction = {"past": 1, "to": -1}.get(word_at(tokens, place + 1))
    if size is None or direction is None:
        return None
    hour = _numeric(tokens, place + 2, hour_alone=True)
    if not hour or hour[0].minutes % 60:
        return None
    return Clock((afternoon(hour[0]).minutes + direction * size) % (24 * 60)), hour[1]


def afternoon(clock: Clock) -> Clock:
    """The hour that people mean by a bare one: 7 to 11 in the morning, 12 to 6 after noon."""
    if clock.bare and clock.minutes < 7 * 60:
        return Clock(clock.minutes + 12 * 60)
    return Clock(clock.minutes)


def read_clock_range(tokens: Tokens, at: int) -> Found | None:
    """From one time of day to another; hours alone only after “from” or “between”."""
    place = skip(tokens, at, "from", "between")
    if found := _hyphened(tokens, place, hours_alone=place > at):
        return found
    start = time_of_day(tokens, place, hour_alone=place > at)
    if not start:
        return None
    joiners = ("and",) if word_at(tokens, at) == "between" else _TO
    after = skip(tokens, start[1], *joiners)
    end = time_of_day(tokens, after, hour_alone=True) if after > start[1] else None
    return (ClockRange(start[0], end[0]), end[1]) if end else None


def _hyphened(tokens: Tokens, at: int, *, hours_alone: bool) -> Found | None:
    """“9-10:30”, “9am-5pm”, “9-5 pm”: one word."""
    first, dash, last = word_at(tokens, at).partition("-")
    start, end = _Numbers.of(first), _Numbers.of(last)
    if not dash or start is None or end is None:
        return None
    noon, after = _meridiem(tokens, at + 1)
    shows_a_time = noon is not None or any(one.minutes is not None or one.noon is not None for one in (start, end))
    first_clock, last_clock = start.clock(), end.clock(noon)
    if not (hours_alone or shows_a_time) or first_clock is None or last_clock is None:
        return None
    return ClockRange(first_clock, last_clock), after


def read_part(tokens: Tokens, at: int) -> Found | None:
    """A part of the day: “in the evening”, “this morning”, “at night”, “tonight”."""
    if word_at(tokens, at) == "tonight":
        return PartOf("evening"), at + 1
    if follows(tokens, at, ("at", "night")):
        return Part("night"), at + 2
    place = skip(tokens, at, "in the", "this")
    name = PARTS.get(word_at(tokens, place))
    if name is None:
        return None
    return (PartOf(name) if word_at(tokens, at) == "this" else Part(name)), place + 1
