"""What a calendar does with some times that may surprise, as sentences for a result."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from dateutil.relativedelta import relativedelta

_LOOK_AHEAD: Final = relativedelta(years=1)
_EVERY_MONTH_HAS: Final = 28
_FREQUENCY: Final = {"DAILY": timedelta(days=1), "WEEKLY": timedelta(days=7)}


def peculiarities(starts: Sequence[datetime], repeat: str | None, until: date | None, zone: tzinfo) -> Iterator[str]:
    """Each thing once: months that are skipped, and hours that the zone skips; the zone counts where no offset is."""
    if repeat == "MONTHLY":
        days = sorted({start.day for start in starts if _skips(start.date(), until)})
        if days:
            named = " and ".join(str(day) for day in days)
            yield f"months without a day {named} are skipped"
    seen: set[str] = set()
    for start in starts:
        if start.tzinfo is None:
            for moment in _occurrences(start, repeat, until):
                if (shown := moved_by_gap(moment, zone)) != moment and (text := _gap(moment, shown)) not in seen:
                    seen.add(text)
                    yield text


def moved_by_gap(wall: datetime, zone: tzinfo) -> datetime:
    """The time that clocks of the zone show instead of one that they skip; any other time as it is."""
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=wall.fold)


def _gap(moment: datetime, shown: datetime) -> str:
    return f"{moment:%Y-%m-%d} has no {moment:%H:%M}, as clocks are put forward: it is {shown:%H:%M} then"


def _skips(start: date, until: date | None) -> bool:
    """Whether a month lacks the day, of those to the last day or, without one, of any."""
    if start.day <= _EVERY_MONTH_HAS:
        return False
    month = start.replace(day=1)
    for _ in range(48):  # a 29th is lacking in February of three years of four
        if until is not None and month > until:
            return False
        if monthrange(month.year, month.month)[1] < start.day and (until is None or _last_of(month) <= until):
            return True
        if month.year >= date.max.year:
            return False
        month += relativedelta(months=1)
    return False


def _last_of(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


def _occurrences(start: datetime, repeat: str | None, until: date | None) -> Iterator[datetime]:
    """The start and, of what repeats, a year of it."""
    yield start
    if repeat is None or start.year >= date.max.year - 1:
        return
    end = start + _LOOK_AHEAD
    place = 1
    while True:
        moment = start + (relativedelta(months=place) if repeat == "MONTHLY" else place * _FREQUENCY[repeat])
        if moment > end or (until is not None and moment.date() > until):
            return
        if moment.day == start.day or repeat != "MONTHLY":
            yield moment
        place += 1
