"""Dates: “December 3rd”, “the 3rd of December 2026”, “2026-12-03”, “4/25”, “the 20th of this month”."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from engine.planner.rules.numbers import ordinal
from engine.planner.rules.times.atoms import DayRange, Days, Fixed
from engine.planner.rules.times.names import LIST_MARKS, MONTH, MONTHS_POINTED_AT, RANGE_MARKS
from engine.planner.rules.times.reading import Tokens, skip, stands_alone, touches, word_at

_ISO: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_DOTTED: Final = re.compile(r"([0-9]{1,2})([.-])([0-9]{1,2})\2(20[0-9]{2})")
_DAY_MONTH: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?-?([a-z]{3,9})")
_DAYS_HYPHENED: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?-([0-9]{1,2})(?:st|nd|rd|th)?")
_IDES: Final = {3: 15, 5: 15, 7: 15, 10: 15}
_ALWAYS: Final = (24, 7)
"""“24/7” is no day."""
_MOST_NAMED: Final = 31


def read_date(tokens: Tokens, at: int) -> tuple[Fixed, int] | None:
    """The date said at a place, without a preposition before it."""
    word = word_at(tokens, at)
    if iso := _ISO.fullmatch(word):
        return Fixed(int(iso[3]), int(iso[2]), int(iso[1])), at + 1
    if numeric := _numeric(tokens, at):
        return numeric
    if (joined := _DAY_MONTH.fullmatch(word)) and joined[2] in MONTH and 1 <= int(joined[1]) <= 31:
        return _with_year(tokens, int(joined[1]), MONTH[joined[2]], at + 1)
    place = skip(tokens, at, "the")
    ides = skip(tokens, place, "ides of")
    if ides > place and (month := MONTH.get(word_at(tokens, ides))):
        return _with_year(tokens, _IDES.get(month, 13), month, ides + 1)
    if month := MONTH.get(word_at(tokens, place)):
        day = _day_number(tokens, skip(tokens, place + 1, "the"))
        return _with_year(tokens, day[0], month, day[1]) if day else None
    return _day_first(tokens, at, place)


def _day_first(tokens: Tokens, at: int, place: int) -> tuple[Fixed, int] | None:
    day = _day_number(tokens, place)
    if not day:
        return None
    after = skip(tokens, day[1], "day of", "of")
    if month := MONTH.get(word_at(tokens, after)):
        return _with_year(tokens, day[0], month, after + 1)
    is_nth = ordinal(tokens, place) is not None
    if is_nth and after > day[1]:
        for shift, names in MONTHS_POINTED_AT:
            end = skip(tokens, after, *names)
            if end > after:
                return Fixed(day[0], shift=shift), end
    is_alone = place > at and is_nth and word_at(tokens, place)[:1].isdigit()
    return (Fixed(day[0]), day[1]) if is_alone else None


def read_nth(tokens: Tokens, at: int) -> tuple[Fixed, int] | None:
    """A day of whichever month, as it stands after a weekday: “Thursday 15th”, “Tuesday the 19th”."""
    place = skip(tokens, at, ", the", "the", ",")
    day = ordinal(tokens, place) if word_at(tokens, place)[:1].isdigit() else None
    return (Fixed(day[0]), day[1]) if day and 1 <= day[0] <= 31 else None


def read_named_days(tokens: Tokens, at: int) -> tuple[Days | DayRange, int] | None:
    """Several days of one month: “July 13 to 15”, “12 to 16 September”, “20 and 30 August”."""
    place = skip(tokens, at, "the")
    if month := MONTH.get(word_at(tokens, place)):
        found = _numbers(tokens, skip(tokens, place + 1, "the"))
        if found is None or not _is_free(tokens, found[2]):
            return None
        return _named(tokens, found[0], found[2], month=month, is_range=found[1])
    found = _numbers(tokens, place)
    if found is None:
        return None
    after = skip(tokens, found[2], "of")
    month = MONTH.get(word_at(tokens, after))
    return _named(tokens, found[0], after + 1, month=month, is_range=found[1]) if month else None


def _is_free(tokens: Tokens, end: int) -> bool:
    """Whether no noun follows that the last number may belong to, and no time of day: “July 13 to 15 people”."""
    return stands_alone(tokens, end) or _year(tokens, end) is not None


def _named(
    tokens: Tokens, numbers: Sequence[int], at: int, *, month: int, is_range: bool
) -> tuple[Days | DayRange, int]:
    """The days with these numbers, and the year that may stand here."""
    year = _year(tokens, skip(tokens, at, ","))
    end = skip(tokens, at, ",") + 1 if year else at
    days = tuple(Fixed(number, month, year) for number in numbers)
    return (DayRange(days[0], days[1]) if is_range else Days(days)), end


def _numbers(tokens: Tokens, at: int) -> tuple[Sequence[int], bool, int] | None:
    """At least two days' numbers: which, whether they are a range, and where they end."""
    if both := _DAYS_HYPHENED.fullmatch(word_at(tokens, at)):
        pair = (int(both[1]), int(both[2]))
        return (pair, True, at + 1) if all(1 <= number <= 31 for number in pair) else None
    first = _day_number(tokens, at)
    if not first:
        return None
    after = skip(tokens, first[1], *RANGE_MARKS)
    if after > first[1]:
        last = _day_number(tokens, skip(tokens, after, "the"))
        return ((first[0], last[0]), True, last[1]) if last else None
    numbers, end = [first[0]], first[1]
    while len(numbers) < _MOST_NAMED:
        after = skip(tokens, end, *LIST_MARKS)
        further = _day_number(tokens, skip(tokens, after, "the")) if after > end else None
        if not further:
            break
        numbers.append(further[0])
        end = further[1]
    return (numbers, False, end) if len(numbers) > 1 else None


def _numeric(tokens: Tokens, at: int) -> tuple[Fixed, int] | None:
    """A date in figures, if only one of its two readings is a date: “4/25” and “3/3/2027”, not “12/3”."""
    if dotted := _DOTTED.fullmatch(word_at(tokens, at)):
        return _one_reading(int(dotted[1]), int(dotted[3]), int(dotted[4]), at + 1)
    parts: list[str] = [word_at(tokens, at)]
    end = at + 1
    while len(parts) < 3 and word_at(tokens, end) == "/" and touches(tokens, end) and touches(tokens, end + 1):
        parts.append(word_at(tokens, end + 1))
        end += 2
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    if len(parts) == 3 and len(parts[0]) == 4:
        year, month, day = numbers
        return (Fixed(day, month, year), end) if 1 <= month <= 12 and 1 <= day <= 31 else None
    if any(len(part) > 2 for part in parts[:2]) or tuple(numbers) == _ALWAYS:
        return None
    year = numbers[2] if len(numbers) == 3 else None
    if year is not None and year < 100:
        year += 2000
    return _one_reading(numbers[0], numbers[1], year, end)


def _one_reading(first: int, second: int, year: int | None, end: int) -> tuple[Fixed, int] | None:
    readings = {(day, month) for day, month in ((first, second), (second, first)) if month <= 12 and day <= 31}
    if len(readings) != 1 or 0 in {first, second}:
        return None
    day, month = readings.pop()
    return Fixed(day, month, year), end


def _day_number(tokens: Tokens, at: int) -> tuple[int, int] | None:
    if found := ordinal(tokens, at):
        number, end = found
    else:
        word = word_at(tokens, at)
        if not (word.isascii() and word.isdigit() and len(word) < 3):
            return None
        number, end = int(word), at + 1
    return (number, end) if 1 <= number <= 31 else None


def _with_year(tokens: Tokens, day: int, month: int, at: int) -> tuple[Fixed, int]:
    place = skip(tokens, at, ",")
    year = _year(tokens, place)
    return (Fixed(day, month, year), place + 1) if year else (Fixed(day, month), at)


def read_year(tokens: Tokens, at: int) -> tuple[int | None, int]:
    """The year that may stand here, and where it ends."""
    year = _year(tokens, at)
    return (year, at + 1) if year else (None, at)


def _year(tokens: Tokens, at: int) -> int | None:
    word = word_at(tokens, at)
    return int(word) if len(word) == 4 and word.isascii() and word.isdigit() and word.startswith("20") else None
