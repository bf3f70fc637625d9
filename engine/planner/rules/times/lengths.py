"""Lengths of time: “for 45 minutes”, “an hour and a half”, “in 20 minutes”, “for 4 weeks”."""

from __future__ import annotations

import re
from typing import Final

from engine.planner.rules.numbers import follows, whole
from engine.planner.rules.times.atoms import Lasting, Soon, Stretch
from engine.planner.rules.times.reading import Found, Tokens, skip, word_at

_MINUTES: Final = {
    "minute": 1, "minutes": 1, "min": 1, "mins": 1, "hour": 60, "hours": 60, "hr": 60, "hrs": 60, "h": 60,
}  # fmt: skip
_DAYS: Final = {
    "day": 1, "days": 1, "week": 7, "weeks": 7, "night": 1, "nights": 1, "fortnight": 14, "fortnights": 14,
}  # fmt: skip
_MONTHS: Final = {"month": 1, "months": 1, "year": 12, "years": 12}
_FRACTIONS: Final = (
    ("half an hour", 30), ("a half hour", 30), ("half hour", 30), ("a quarter of an hour", 15),
    ("quarter of an hour", 15), ("a quarter hour", 15), ("three quarters of an hour", 45),
)  # fmt: skip
_ONE_WORD: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,2})?)-?(minutes?|mins?|hours?|hrs?|h)")
_HOURS_MINUTES: Final = re.compile(r"([0-9]{1,2})h([0-5]?[0-9])(?:m|min)?")
_DECIMAL: Final = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}")
_DAYS_WORD: Final = re.compile(r"([0-9]{1,3})-(day|week)s?")
_MOST_DAYS: Final = 3660
_MOST_MONTHS: Final = 60
_MOST_MINUTES: Final = 60 * 1440


def read_lasting(tokens: Tokens, at: int) -> Found | None:
    """How long something takes."""
    found = _minutes(tokens, skip(tokens, at, "for", "lasting"))
    return (Lasting(found[0]), found[1]) if found else None


def read_soon(tokens: Tokens, at: int) -> Found | None:
    """So many minutes or hours from now."""
    place = skip(tokens, at, "in")
    found = _minutes(tokens, place)
    if not found:
        return None
    end = found[1] if place > at else skip(tokens, found[1], "from now")
    return (Soon(found[0]), end) if place > at or end > found[1] else None


def read_stretch(tokens: Tokens, at: int) -> Found | None:
    """For so many days, weeks or months."""
    place = skip(tokens, at, "for the next", "for the coming", "for up to", "up to", "for")
    found = days_and_months(tokens, place) if place > at else None
    return (Stretch(found[0], found[1]), found[2]) if found else None


def days_and_months(tokens: Tokens, at: int) -> tuple[int, int, int] | None:
    """So many days (weeks as days) or months: days, months, and where it ends."""
    if short := _DAYS_WORD.fullmatch(word_at(tokens, at)):
        return int(short[1]) * _DAYS[short[2]], 0, at + 1
    if follows(tokens, at, ("a", "couple", "of")):
        number, place = 2, at + 3
    elif word_at(tokens, at) in {"a", "an"}:
        number, place = 1, at + 1
    else:
        number, place = whole(tokens, at) or (0, at)
    unit = word_at(tokens, place)
    if number > 0 and unit in _DAYS and number * _DAYS[unit] <= _MOST_DAYS:
        return _and_days(tokens, number * _DAYS[unit], place + 1, unit)
    if number > 0 and unit in _MONTHS and number * _MONTHS[unit] <= _MOST_MONTHS:
        return 0, number * _MONTHS[unit], place + 1
    return None


def _and_days(tokens: Tokens, days: int, at: int, unit: str) -> tuple[int, int, int]:
    """“2 weeks and 3 days”."""
    more = whole(tokens, skip(tokens, at, "and"))
    if _DAYS[unit] > 1 and more and word_at(tokens, more[1]) in {"day", "days"} and 0 < more[0] < 7:
        return days + more[0], 0, more[1] + 1
    return days, 0, at


def _minutes(tokens: Tokens, at: int) -> tuple[int, int] | None:
    """A length in minutes: `45 minutes`, `half an hour`, `an hour and a half`, `1.5 hours`, `1h30`."""
    word = word_at(tokens, at)
    for words, minutes in _FRACTIONS:
        if (after := skip(tokens, at, words)) > at:
            return minutes, after
    if follows(tokens, at, ("1", "/", "2", "hour")) or follows(tokens, at, ("1", "/", "2", "an", "hour")):
        return 30, at + (4 if word_at(tokens, at + 3) == "hour" else 5)
    if word == "half-hour":
        return 30, at + 1
    if both := _HOURS_MINUTES.fullmatch(word):
        return int(both[1]) * 60 + int(both[2]), at + 1
    if short := _ONE_WORD.fullmatch(word):
        return _and_more(tokens, round(float(short[1]) * _MINUTES[short[2]]), at + 1, short[2])
    return _spelled(tokens, at)


def _spelled(tokens: Tokens, at: int) -> tuple[int, int] | None:
    amount = _amount(tokens, at)
    if not amount:
        return None
    number, place = amount
    after = skip(tokens, place, "and a half")
    if after > place:
        number, place = number + 0.5, after
    unit = word_at(tokens, place)
    if unit not in _MINUTES or (unit == "h" and place == at + 1 and word_at(tokens, at) in {"a", "an"}):
        return None
    minutes = round(number * _MINUTES[unit])
    return _and_more(tokens, minutes, place + 1, unit) if 0 < minutes <= _MOST_MINUTES else None


def _amount(tokens: Tokens, at: int) -> tuple[float, int] | None:
    word = word_at(tokens, at)
    if (couple := skip(tokens, at, "a couple of", "a couple")) > at:
        return 2.0, couple
    if word in {"a", "an"}:
        return 1.0, at + 1
    if _DECIMAL.fullmatch(word):
        return float(word), at + 1
    found = whole(tokens, at)
    return (float(found[0]), skip(tokens, found[1], "more")) if found else None


def _and_more(tokens: Tokens, minutes: int, at: int, unit: str) -> tuple[int, int]:
    """“An hour and a half”, “1 hour 30 minutes”."""
    if _MINUTES[unit] != 60:
        return minutes, at
    for words, more in (("and a half", 30), ("and a quarter", 15)):
        after = skip(tokens, at, words)
        if after > at:
            return minutes + more, after
    rest = whole(tokens, skip(tokens, at, "and"))
    if rest and rest[0] < 60 and _MINUTES.get(word_at(tokens, rest[1])) == 1:
        return minutes + rest[0], rest[1] + 1
    return minutes, at
