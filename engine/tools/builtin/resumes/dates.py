"""Dates as people write them into CVs. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_ONGOING: Final = frozenset(
    {
        "present", "current", "currently", "now", "today", "ongoing", "on going", "on-going", "to date", "till date",
        "to present", "until now", "till now", "until today", "until present", "till present", "heute", "aktuell",
        "aujourd'hui", "presente", "actualidad", "atual", "oggi",
    }
)  # fmt: skip
_TIME: Final = r"(?:[Tt ]\s*\d{1,2}:\d{2}.*)?"
_YEAR_FIRST: Final = re.compile(rf"([12]\d{{3}})(?:([-/.])(\d{{1,2}})(?:\2(\d{{1,2}}))?)?{_TIME}", re.DOTALL)
_YEAR_LAST: Final = re.compile(r"(?:(\d{1,2})([-/.]))?(\d{1,2})[-/.]([12]\d{3})")
_DIGITS: Final = re.compile(r"([12]\d{3})(\d{2})(\d{2})")
_WORD: Final = re.compile(r"[A-Za-z]+|\d+")
_ENDING: Final = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")


def is_ongoing(text: str) -> bool:
    """Whether the words say of an end that it has not come: "Present"."""
    return " ".join(text.casefold().strip(" .()").split()) in _ONGOING


def read_date(text: str) -> str | None:
    """The date as JSON Resume writes it, a year, a month or a day; None for what can't be read, or not for certain.

    >>> read_date("2023-9-24"), read_date("2023-09-24T00:00:00.000Z"), read_date("Sept. 2023"), read_date("9/2023")
    ('2023-09-24', '2023-09-24', '2023-09', '2023-09')
    >>> read_date("24.9.2023"), read_date("9/24/2023"), read_date("4/9/2023"), read_date("May")
    ('2023-09-24', '2023-09-24', None, None)
    """
    text = text.strip()
    if found := _YEAR_FIRST.fullmatch(text):
        return _date(found[1], found[3], found[4])
    if found := _DIGITS.fullmatch(text):
        return _date(*found.groups())
    if found := _YEAR_LAST.fullmatch(text):
        return _year_last(*found.groups())
    return _with_month_name(text)


def _year_last(first: str | None, separator: str | None, second: str, year: str) -> str | None:
    if first is None:
        return _date(year, second)
    day_first, month_first = _date(year, second, first), _date(year, first, second)
    if separator == ".":
        return day_first
    # With slashes or dashes either may come first: only one of the two can be right, or both are the same.
    return day_first or month_first if None in {day_first, month_first} or day_first == month_first else None


def _with_month_name(text: str) -> str | None:
    words = _WORD.findall(_ENDING.sub("", text))
    months = [_MONTHS[word.lower()] for word in words if word.lower() in _MONTHS]
    years = [word for word in words if re.fullmatch(r"[12]\d{3}", word)]
    days = [word for word in words if re.fullmatch(r"\d{1,2}", word)]
    is_all = len(words) == len(months) + len(years) + len(days) and not re.search(r"[^\w\s,.'-]", text)
    if not is_all or len(months) != 1 or len(years) != 1 or len(days) > 1:
        return None
    return _date(years[0], str(months[0]), *days)


def _date(year: str, month: str | None = None, day: str | None = None) -> str | None:
    """The parts as one; a month or a day of zero is none, as some programs write it."""
    if month is None or int(month) == 0:
        return year if day is None or int(day) == 0 else None
    try:
        found = date(int(year), int(month), int(day or 1) or 1)
    except ValueError:
        return None
    return found.strftime("%Y-%m") if day is None or int(day) == 0 else found.isoformat()
