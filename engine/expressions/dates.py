"""Dates and times as ISO 8601 text: adding, comparing, writing and reading them. Pure; the names are English."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Final

from engine.expressions.faults import ExpressionFault, bound

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE
)
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
_MONTHS: Final = {"month": 1, "year": 12}
_UNITS: Final = "seconds, minutes, hours, days, weeks, months or years"

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMES: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

Moment = date | datetime


def add(at: str, amount: int, unit: str) -> str:
    """The date or time so many units later, in the form and with the offset that it came in.

    A month that is shorter takes its last day. Raises ExpressionFault.
    """
    moment, unit = _moment("date_add", at), _unit("date_add", unit)
    try:
        if unit in _MONTHS:
            later = _months_later(moment, amount * _MONTHS[unit])
        elif isinstance(moment, datetime):
            later = moment + timedelta(seconds=amount * _SECONDS[unit])
        elif _SECONDS[unit] % 86_400:
            raise ExpressionFault(f"date_add() can't add {unit}s to a date without a time, like {at}")
        else:
            later = moment + timedelta(days=amount * _SECONDS[unit] // 86_400)
    except (OverflowError, ValueError) as error:
        if isinstance(error, ExpressionFault):
            raise
        raise ExpressionFault("date_add() gives a date outside of the years 1 to 9999") from None
    return _text(later, is_zulu=at[-1] in "zZ", separator=at[10:11])


def difference(since: str, until: str, unit: str) -> int:
    """How many whole units lie between, rounded towards zero; a date alone is its midnight. Raises ExpressionFault."""
    first, second, unit = _moment("date_diff", since), _moment("date_diff", until), _unit("date_diff", unit)
    start, end = _midnight(first, second), _midnight(second, first)
    if (start.tzinfo is None) != (end.tzinfo is None):
        raise ExpressionFault("date_diff() can't compare a time that has an offset with one that has none")
    if unit in _MONTHS:
        months = _whole_months(start, end)
        return int(months / _MONTHS[unit])
    between = end - start
    whole = abs(between) // timedelta(seconds=_SECONDS[unit])
    return whole if between >= timedelta() else -whole


def written(at: str, layout: str) -> str:
    """The date or time as the layout says, in the directives of strftime. Raises ExpressionFault."""
    moment = _moment("date_format", at)
    at_time = _midnight(moment, moment)
    bound(20 * len(layout))

    def directive(match: re.Match[str]) -> str:
        plain, letter = match[1], match[2]
        if letter not in _WRITTEN:
            raise ExpressionFault(f"date_format() knows no %{letter}; it knows {_known(_WRITTEN)}")
        text = _WRITTEN[letter](at_time)
        return (text.lstrip("0 ") or "0") if plain else text

    if layout.endswith("%") and (len(layout) - len(layout.rstrip("%"))) % 2:
        raise ExpressionFault("date_format() ends with a % that nothing follows; write %% for the sign itself")
    return re.sub(r"%(-?)(.)", directive, layout, flags=re.DOTALL)


def parsed(text: str, layout: str) -> str | None:
    """The date, or the date and time where the layout has hours, as ISO 8601; None where the text does not fit.

    Raises ExpressionFault for a layout that gives no date.
    """
    letters = set(re.findall(r"%(.)", layout.replace("%%", ""), flags=re.DOTALL))
    if unknown := sorted(letters - _READ):
        raise ExpressionFault(
            f"date_parse() knows no %{unknown[0]}; it knows {', '.join('%' + each for each in sorted(_READ))}"
        )
    if not (letters & {"Y", "y"} and (("d" in letters and letters & {"m", "b", "B"}) or "j" in letters)):
        raise ExpressionFault("date_parse() needs a year, a month and a day, like '%Y-%m-%d'")
    try:
        moment = datetime.strptime(text.strip(), layout)  # noqa: DTZ007 - without an offset where the text has none
    except (ValueError, OverflowError, re.error):
        return None
    has_time = bool(letters & {"H", "I"})
    return _text(moment if has_time else moment.date(), is_zulu=False, separator="T")


def _moment(function: str, text: str) -> Moment:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
        if _DATE_TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    raise ExpressionFault(f"{function}() takes dates like 2026-03-31 or times like 2026-03-31T18:00:00+02:00")


def _unit(function: str, unit: str) -> str:
    single = unit.removesuffix("s")
    if single not in _SECONDS and single not in _MONTHS:
        raise ExpressionFault(f"{function}() counts in {_UNITS}, not in {unit[:40]}")
    return single


def _months_later(moment: Moment, months: int) -> Moment:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


def _whole_months(start: datetime, end: datetime) -> int:
    if end.tzinfo is not None and start.tzinfo is not None:
        end = end.astimezone(start.tzinfo)
    months = (end.year - start.year) * 12 + end.month - start.month
    # One less towards zero, where the last of them is not over.
    if months > 0 and _months_later(start, months) > end:
        return months - 1
    if months < 0 and _months_later(start, months) < end:
        return months + 1
    return months


def _midnight(moment: Moment, other: Moment) -> datetime:
    """A date as its first moment, at the offset of what it is compared with."""
    if isinstance(moment, datetime):
        return moment
    zone = other.tzinfo if isinstance(other, datetime) else None
    return datetime(moment.year, moment.month, moment.day, tzinfo=zone)


def _text(moment: Moment, *, is_zulu: bool, separator: str) -> str:
    if not isinstance(moment, datetime):
        return moment.isoformat()
    text = moment.isoformat(sep=" " if separator == " " else "T")
    return text.removesuffix("+00:00") + "Z" if is_zulu else text


def _offset(at: datetime) -> str:
    text = at.strftime("%z")
    return text[:5]


_WRITTEN: Final[dict[str, Callable[[datetime], str]]] = {
    "%": lambda _: "%",
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "d": lambda at: f"{at.day:02}",
    "e": lambda at: f"{at.day:2}",
    "H": lambda at: f"{at.hour:02}",
    "I": lambda at: f"{at.hour % 12 or 12:02}",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "f": lambda at: f"{at.microsecond:06}",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
    "a": lambda at: _DAYS[at.weekday()][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "b": lambda at: _NAMES[at.month - 1][:3],
    "B": lambda at: _NAMES[at.month - 1],
    "u": lambda at: str(at.isoweekday()),
    "w": lambda at: str(at.isoweekday() % 7),
    "V": lambda at: f"{at.isocalendar().week:02}",
    "G": lambda at: f"{at.isocalendar().year:04}",
    "F": lambda at: at.date().isoformat(),
    "T": lambda at: f"{at.hour:02}:{at.minute:02}:{at.second:02}",
    "R": lambda at: f"{at.hour:02}:{at.minute:02}",
    "z": _offset,
}
_READ: Final = frozenset("YymdHIMSfpjaAbBz")


def _known(letters: Iterable[str]) -> str:
    return ", ".join(f"%{letter}" for letter in sorted(letters))
