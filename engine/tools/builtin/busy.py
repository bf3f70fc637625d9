"""When a calendar is taken: what its file says of every event that has a time of day, those that repeat too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any, Final, cast

from dateutil.rrule import rruleset, rrulestr
from icalendar import Calendar

_MOST_OCCURRENCES: Final = 20_000
"""Of one event that repeats: a day for each of more than fifty years."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A stretch of time that an event takes; both ends are aware."""

    uid: str
    title: str
    start: datetime
    end: datetime

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether they share more than a moment."""
        return self.start < end and start < self.end


def taken(content: bytes, *, since: datetime, until: datetime, zone: tzinfo) -> list[Taken]:
    """What a calendar file takes between two moments; a time without an offset is meant in the zone.

    All-day events, those shown as free and cancelled ones take nothing. A file or an event that can't be read has no
    times that could be avoided; ValueError for the file.
    """
    calendar: Any = Calendar.from_ical(content)
    found: list[Taken] = []
    for event in calendar.walk("VEVENT"):
        try:
            found += _of_event(event, since, until, zone)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
    return found


def _of_event(event: Any, since: datetime, until: datetime, zone: tzinfo) -> Iterator[Taken]:
    if str(event.get("TRANSP", "")).upper() == "TRANSPARENT" or str(event.get("STATUS", "")).upper() == "CANCELLED":
        return
    first = event.decoded("DTSTART")
    if not isinstance(first, datetime):
        return
    length = event.decoded("DTEND") - first if "DTEND" in event else event.decoded("DURATION", timedelta(0))
    for start in _starts(event, first, until, zone):
        begin = _aware(start, zone)
        if begin < until and begin + length > since:
            yield Taken(str(event.get("UID", "")), str(event.get("SUMMARY", "")), begin, begin + length)


def _starts(event: Any, first: datetime, until: datetime, zone: tzinfo) -> Iterator[datetime]:
    """The event's starts in order, as far as they matter; an exception from a series is an event of its own."""
    if "RRULE" not in event:
        yield first
        return
    rules: Any = rruleset()
    for rule in _listed(event["RRULE"]):
        rules.rrule(rrulestr(rule.to_ical().decode(), dtstart=first))
    for left_out in _listed(event.get("EXDATE", [])):
        for each in left_out.dts:
            rules.exdate(each.dt)
    for start in islice(rules, _MOST_OCCURRENCES):
        if _aware(start, zone) >= until:
            return
        yield start


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
