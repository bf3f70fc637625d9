"""Days as they are named: “tomorrow”, “Monday, Wednesday and Friday”, “December 3rd”, “in 3 days”."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from engine.planner.rules.numbers import NUMBER_WORDS, ORDINALS, ordinal, whole
from engine.planner.rules.times.atoms import (
    After,
    Ahead,
    Day,
    DayRange,
    Days,
    Fixed,
    Holiday,
    Moment,
    NthOf,
    NthToCome,
    Shift,
    Weekday,
    Workday,
)
from engine.planner.rules.times.dates import read_date, read_named_days, read_nth, read_year
from engine.planner.rules.times.holidays import HOLIDAY_WORDS, read_holiday
from engine.planner.rules.times.lengths import days_and_months
from engine.planner.rules.times.names import (
    LIST_MARKS,
    MONTH,
    MONTHS_POINTED_AT,
    NEAR_DAYS,
    POSSESSIVE,
    RANGE_MARKS,
    WEEKDAY,
    WEEKDAYS_PLURAL,
)
from engine.planner.rules.times.parts import read_part_after
from engine.planner.rules.times.reading import Found, Tokens, skip, word_at

DAY_WORDS: Final = frozenset(
    {
        *NEAR_DAYS, *WEEKDAY, *MONTH, *ORDINALS, *POSSESSIVE, *HOLIDAY_WORDS,
        "the", "day", "this", "next", "coming", "upcoming", "in", "last",
    }
)  # fmt: skip
"""What a day without a preposition can begin with, beside a number."""
_ISO_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}t[0-9:]{5,8}(?:z|[+-][0-9:]{4,5})?")
_MOST_LISTED: Final = 31
_OF_A_WEEK: Final[tuple[tuple[Shift, tuple[str, ...]], ...]] = (
    ("this", ("of this week", "of the current week")),
    ("next", ("of next week", "of the next week", "of the following week", "of the coming week")),
)
_WORKDAY: Final = (
    "the next weekday", "the next workday", "the next working day", "the next business day",
    "next workday", "next working day", "next business day",
)  # fmt: skip


def read_days(tokens: Tokens, at: int) -> Found | None:
    """One or more days, a range of days, or a moment in ISO 8601, with or without a preposition.

    A part of the day that follows is said of them: “tomorrow morning”.
    """
    after = skip(tokens, at, "on", "for", "from")
    if not _may_begin(word_at(tokens, after)):
        return None
    past_article = skip(tokens, after, "the") if after > at else after
    places = (after, past_article) if past_article > after else (after,)
    begun = {place: (read_named_days(tokens, place), read_day(tokens, place)) for place in places}
    for place in reversed(places):
        if found := _day_range(tokens, place, *begun[place]):
            return found
    if word_at(tokens, at) == "from":
        return None
    found = _moment(tokens, after)
    for place in places:
        found = found or _list(tokens, *begun[place])
    if found and word_at(tokens, at) == "for" and isinstance(found[0], Days) and isinstance(found[0].days[0], After):
        return None  # "for 3 days from Monday" is how long, and from when on
    return found


_Named = tuple[Days | DayRange, int] | None
_First = tuple[Day, int] | None


def _may_begin(word: str) -> bool:
    return word in DAY_WORDS or word in NUMBER_WORDS or word[:1].isdigit() or "-" in word


def _list(tokens: Tokens, named: _Named, first: _First) -> Found | None:
    if named and (first is None or named[1] > first[1]):
        return named
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
        if read_part_after(tokens, end):
            break
    if part := read_part_after(tokens, end):
        return Days(tuple(days), part[0]), part[1]
    return Days(tuple(days)), end


def _day_range(tokens: Tokens, at: int, named: _Named, start: _First) -> Found | None:
    first, dash, last = word_at(tokens, at).partition("-")
    if dash and first in WEEKDAY and last in WEEKDAY:
        return DayRange(Weekday(WEEKDAY[first]), Weekday(WEEKDAY[last])), at + 1
    if named and isinstance(named[0], DayRange):
        return named
    if not start:
        return None
    after = skip(tokens, start[1], *RANGE_MARKS)
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
    """The one day said at a place, without a preposition before it; the longest reading."""
    word = word_at(tokens, at)
    if not (word in DAY_WORDS or word in NUMBER_WORDS or word[:1].isdigit()):
        return None
    readers = (_plain, _relative, _nth_to_come, _nth_of) if _may_be_counted(word) else (_plain,)
    found = [reading for reader in readers if (reading := reader(tokens, at))]
    return max(found, key=lambda reading: reading[1], default=None)


def _may_be_counted(word: str) -> bool:
    return word in {"in", "the", "last"} or word in NUMBER_WORDS or word in ORDINALS or word[:1].isdigit()


def _plain(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    """A day that needs no counting."""
    word = POSSESSIVE.get(word_at(tokens, at), word_at(tokens, at))
    if word in NEAR_DAYS:
        return Ahead(days=NEAR_DAYS[word]), at + 1
    if word in {"the", "day", "next"}:
        after = skip(tokens, at, "the day after tomorrow", "day after tomorrow")
        if after > at:
            return Ahead(days=2), after
        after = skip(tokens, at, *_WORKDAY)
        if after > at:
            return Workday(), after
    if holiday := read_holiday(tokens, skip(tokens, at, "this", "next", "the")):
        return (Holiday(holiday[0]), holiday[1]) if word_at(tokens, at) != "next" else None
    return _weekday(tokens, at) or read_date(tokens, at)


def _weekday(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    place = skip(tokens, at, "this coming", "this upcoming", "coming", "upcoming", "this", "next")
    lead = word_at(tokens, at) if place > at else ""
    shift: Shift = "next" if lead == "next" else "this" if lead in {"this", "coming"} else ""
    if place == at:
        place = skip(tokens, at, "the")
    word = POSSESSIVE.get(word_at(tokens, place), word_at(tokens, place))
    number = WEEKDAY.get(word)
    if number is None:
        return None
    end = place + 1
    after_next = skip(tokens, end, "after next")
    if not lead and after_next > end:
        return NthToCome(number, 2), after_next
    if place > at and not lead:
        return None  # "the Monday" says nothing that "the Monday after next" does
    if not lead:
        dated = read_date(tokens, skip(tokens, end, ", the", ",")) or read_date(tokens, end) or read_nth(tokens, end)
        if dated:
            fixed = dated[0]
            return Fixed(fixed.day, fixed.month, fixed.year, number, fixed.shift), dated[1]
        for of_week, said in _OF_A_WEEK:
            if (after := skip(tokens, end, *said)) > end:
                return Weekday(number, of_week), after
    return Weekday(number, shift), end


def _relative(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    """“In 3 days”, “a week from now”, “2 days after next Friday”."""
    place = skip(tokens, at, "in")
    found = days_and_months(tokens, place)
    if not found:
        return None
    days, months, end = found
    if place > at:
        return Ahead(days=days, months=months), end
    after = skip(tokens, end, "from now", "from today", "hence")
    if after > end:
        return Ahead(days=days, months=months), after
    after = skip(tokens, end, "from", "after", "before")
    base = _plain(tokens, after) if after > end else None
    if not base:
        return None
    sign = -1 if word_at(tokens, end) == "before" else 1
    return After(base[0], sign * days, sign * months), base[1]


def _nth_to_come(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    """“Two Sundays from now”."""
    count = whole(tokens, at) or ((1, at + 1) if word_at(tokens, at) == "a" else None)
    if not count or not 1 <= count[0] <= 52:
        return None
    word = word_at(tokens, count[1])
    number = WEEKDAYS_PLURAL.get(word, WEEKDAY.get(word))
    end = skip(tokens, count[1] + 1, "from now", "from today", "hence")
    return (NthToCome(number, count[0]), end) if number is not None and end > count[1] + 1 else None


def _nth_of(tokens: Tokens, at: int) -> tuple[Day, int] | None:
    """“The first Tuesday of October”, “the last day of this month”."""
    place = skip(tokens, at, "the")
    nth = (-1, place + 1) if word_at(tokens, place) == "last" else ordinal(tokens, place)
    if not nth or nth[0] > 5:
        return None
    word = word_at(tokens, nth[1])
    if word not in WEEKDAY and word != "day":
        return None
    after = skip(tokens, nth[1] + 1, "of", "in")
    if after == nth[1] + 1:
        return None
    weekday = WEEKDAY.get(word)
    if month := MONTH.get(word_at(tokens, after)):
        year, end = read_year(tokens, skip(tokens, after + 1, ","))
        return NthOf(nth[0], weekday, month, year), end if year else after + 1
    for shift, names in MONTHS_POINTED_AT:
        if (end := skip(tokens, after, *names)) > after:
            return NthOf(nth[0], weekday, shift=shift), end
    return None
