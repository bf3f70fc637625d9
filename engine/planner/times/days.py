"""Days as they are named: “tomorrow”, “Monday, Wednesday and Friday”, “December 3rd”, “in 3 days”."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from engine.planner.numbers import NUMBER_WORDS, ORDINALS
from engine.planner.times.atoms import Ahead, Day, DayRange, Days, Fixed, Moment, Shift, Weekday
from engine.planner.times.lengths import days_and_months
from engine.planner.times.reading import Found, Tokens, skip, word_at

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT: Final = {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
WEEKDAY: Final = {**{name: place for place, name in enumerate(_WEEKDAYS)}, **_SHORT}
WEEKDAYS_PLURAL: Final = {f"{name}s": place for place, name in enumerate(_WEEKDAYS)}
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
MONTH: Final = {
    **{name: place for place, name in enumerate(_MONTHS, start=1)},
    **{name[:3]: place for place, name in enumerate(_MONTHS, start=1)},
    "sept": 9,
}
NEAR_DAYS: Final = {"today": 0, "tomorrow": 1, "tmrw": 1, "tmr": 1}
DAY_WORDS: Final = frozenset({*NEAR_DAYS, *WEEKDAY, *MONTH, *ORDINALS, "the", "day", "this", "next", "coming", "in"})
"""What a day without a preposition can begin with, beside a number."""
_ISO_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_ISO_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}t[0-9:]{5,8}(?:z|[+-][0-9:]{4,5})?")
_NTH: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)")
_MOST_LISTED: Final = 31
LIST_MARKS: Final = (", and", ",", "and", "&", "/", "+")
"""What may stand between the members of a list of days."""


def read_days(tokens: Tokens, at: int) -> Found | None:
    """One or more days, a range of days, or a moment in ISO 8601, with or without a preposition."""
    if found := _day_range(tokens, skip(tokens, at, "on the", "on", "for", "from")):
        return found
    if word_at(tokens, at) == "from":
        return None
    after = skip(tokens, at, "on", "for")
    return _moment(tokens, after) or _list(tokens, after) or _list(tokens, skip(tokens, at, "on the"))


def _list(tokens: Tokens, at: int) -> Found | None:
    first = read_day(tokens, at)
    if not first:
        return None
    days, end = [first[0]], first[1]
    while len(days) < _MOST_LISTED:
        after = skip(tokens, end, *LIST_MARKS)
        further = read_day(tokens, skip(tokens, after, "on")) if after > end else None
        if not further:
            break
        days.append(further[0])
        end = further[1]
    return Days(tuple(days)), end


def _day_range(tokens: Tokens, at: int) -> Found | None:
    first, dash, last = word_at(tokens, at).partition("-")
    if dash and first in WEEKDAY and last in WEEKDAY:
        return DayRange(Weekday(WEEKDAY[first]), Weekday(WEEKDAY[last])), at + 1
    start = read_day(tokens, at)
    if not start:
        return None
    after = skip(tokens, start[1], "to", "through", "thru", "until", "till", "-", "–", "—")
    end = read_day(tokens, after) if after > start[1] else None
    return (DayRange(start[0], end[0]), end[1]) if end else None


def _moment(tokens: Tokens, at: int) -> Found | None:
    word = word_at(tokens, at)
    if not _ISO_MOMENT.fullmatch(word):
        return None
    try:
        return Moment(datetime.fromisoformat(word.upper())), at + 1
    except ValueError:
        return None


def read_day(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    """The one day said at a place, without a preposition before it."""
    word = word_at(tokens, at)
    if not (word in DAY_WORDS or word in NUMBER_WORDS or word[:1].isdigit()):
        return None
    if word in NEAR_DAYS:
        return Ahead(days=NEAR_DAYS[word]), at + 1
    after = skip(tokens, at, "the day after tomorrow", "day after tomorrow")
    if after > at:
        return Ahead(days=2), after
    return _weekday(tokens, at) or _date(tokens, at) or _ahead(tokens, at)


def _weekday(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    place = skip(tokens, at, "this coming", "coming", "this", "next")
    shift: Shift = "" if place == at else "next" if word_at(tokens, at) == "next" else "this"
    number = WEEKDAY.get(word_at(tokens, place))
    if number is None:
        return None
    if not shift:
        dated = _date(tokens, skip(tokens, place + 1, ", the", ",")) or _date(tokens, place + 1)
        if dated and isinstance(dated[0], Fixed):
            fixed = dated[0]
            return Fixed(fixed.day, fixed.month, fixed.year, weekday=number), dated[1]
    return Weekday(number, shift), place + 1


def _date(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    if iso := _ISO_DATE.fullmatch(word_at(tokens, at)):
        return Fixed(int(iso[3]), int(iso[2]), int(iso[1])), at + 1
    place = skip(tokens, at, "the")
    if month := MONTH.get(word_at(tokens, place)):
        day = _day_number(tokens, skip(tokens, place + 1, ". the", "the", "."))
        return _with_year(tokens, day[0], month, day[1]) if day else None
    day = _day_number(tokens, place)
    if not day:
        return None
    if month := MONTH.get(word_at(tokens, after := skip(tokens, day[1], "of"))):
        return _with_year(tokens, day[0], month, after + 1)
    is_alone = place > at and _NTH.fullmatch(word_at(tokens, place))
    return (Fixed(day[0]), day[1]) if is_alone else None


def _day_number(tokens: Tokens, at: int) -> tuple[int, int] | None:
    word = word_at(tokens, at)
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
    place = skip(tokens, at, ",")
    word = word_at(tokens, place)
    if len(word) == 4 and word.isascii() and word.isdigit() and word.startswith("20"):
        return Fixed(day, month, int(word)), place + 1
    return Fixed(day, month), at


def _ahead(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    place = skip(tokens, at, "in")
    found = days_and_months(tokens, place)
    if not found:
        return None
    days, months, end = found
    if place == at:
        after = skip(tokens, end, "from now", "from today")
        if after == end:
            return None
        end = after
    return Ahead(days=days, months=months), end
