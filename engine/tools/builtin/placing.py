"""Another time for what would overlap: near the one that was wanted, in the day's hours, where nothing is yet.

The same day first, unless something of that title is on it already; then the other days of that week, the nearest
first; then those after it. On each day the same hour first, then what is nearest to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from engine.tools.builtin.busy import Taken, taken
from engine.tools.errors import ToolError

_FARTHEST_DAYS: Final = 14
_AROUND: Final = timedelta(days=7 + _FARTHEST_DAYS + 1)
"""As far as anything is moved."""
_STEP: Final = timedelta(minutes=30)
_DAY_BEGINS: Final = time(7)
_DAY_ENDS: Final = time(22)


def placed(
    calendar: bytes, wanted: Mapping[str, datetime], length: timedelta, title: str, zone: tzinfo
) -> tuple[list[datetime], list[str]]:
    """A start for each that is wanted, by UID, and in words what was moved, or overlaps because nothing near is free.

    What the calendar has of these UIDs already stays where it is, so that a second attempt says the same.
    """
    aware = {uid: start if start.tzinfo else start.replace(tzinfo=zone) for uid, start in wanted.items()}
    try:
        since, until = min(aware.values()) - _AROUND, max(aware.values()) + _AROUND + length
        busy = taken(calendar, since=since, until=until, zone=zone)
    except ValueError as error:
        raise ToolError(
            f"the calendar can't be read, so nothing in it can be avoided: {error}", retryable=False
        ) from error
    except OverflowError as error:
        raise ToolError("a start is beyond what calendars know", retryable=False) from error
    there = {each.uid: each.start for each in busy if each.uid in wanted}
    others = [each for each in busy if each.uid not in wanted]
    if there:
        chosen = [there.get(uid, start) for uid, start in aware.items()]
    else:
        chosen = free_times(list(aware.values()), length, title, others, zone=zone, now=datetime.now(UTC))
    times: list[datetime] = []
    notes: list[str] = []
    for start, before, found in zip(wanted.values(), aware.values(), chosen, strict=True):
        shown = found.astimezone(zone) if start.tzinfo else found.astimezone(zone).replace(tzinfo=None)
        times.append(start if found == before else shown)
        at = f"{start:%Y-%m-%d %H:%M}"
        if found != before:
            notes.append(f"{at} is taken in your calendar: {title} was put on {shown:%A, %Y-%m-%d %H:%M} instead")
        elif not is_free(before, length, others):
            notes.append(f"{at} is taken in your calendar, and no time near it is free: {title} overlaps")
    return times, notes


def free_times(
    starts: Sequence[datetime], length: timedelta, title: str, busy: Sequence[Taken], *, zone: tzinfo, now: datetime
) -> list[datetime]:
    """A time for each start, in order: the start itself if it is free, or if nothing near it is.

    Starts are aware, and so are the times; who moves is moved in `zone`, and not to before `now`.
    """
    full = list(busy)
    for start in starts:
        if is_free(start, length, full):
            full.append(Taken("", title, start, start + length))
    found: list[datetime] = []
    for start in starts:
        if is_free(start, length, busy):
            found.append(start)
            continue
        with_title = {each.start.astimezone(zone).date() for each in full if each.title.casefold() == title.casefold()}
        near = _near(start.astimezone(zone), length, with_title)
        free = next((one for one in near if one > now and is_free(one, length, full)), start)
        full.append(Taken("", title, free, free + length))
        found.append(free)
    return found


def is_free(start: datetime, length: timedelta, busy: Sequence[Taken]) -> bool:
    """Whether nothing overlaps."""
    return not any(each.overlaps(start, start + length) for each in busy)


def _near(start: datetime, length: timedelta, with_title: Collection[date]) -> Iterator[datetime]:
    for day in _days(start.date(), with_title):
        times = sorted(_times(day, length, start.tzinfo), key=lambda one: abs(_of_day(one) - _of_day(start)))
        wanted = datetime.combine(day, start.time(), tzinfo=start.tzinfo)
        yield from (wanted, *times)


def _days(day: date, with_title: Collection[date]) -> Iterator[date]:
    monday = day - timedelta(days=day.weekday())
    week = sorted((monday + timedelta(days=place) for place in range(7)), key=lambda one: (abs(one - day), one < day))
    later = [monday + timedelta(days=place) for place in range(7, 7 + _FARTHEST_DAYS)]
    yield from (one for one in (*week, *later) if one not in with_title)


def _times(day: date, length: timedelta, zone: tzinfo | None) -> Iterator[datetime]:
    """The day's half hours from which it ends in time."""
    at = datetime.combine(day, _DAY_BEGINS, tzinfo=zone)
    ends = datetime.combine(day, _DAY_ENDS, tzinfo=zone)
    while at + length <= ends:
        yield at
        at += _STEP


def _of_day(moment: datetime) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute)
