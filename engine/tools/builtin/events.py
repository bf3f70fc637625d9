"""The connector `calendar_create`: puts events into the user's calendar file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from dateutil.tz import tzlocal
from icalendar import Event
from pydantic import Field
from typing_extensions import TypedDict

from engine.tools.builtin import phrases
from engine.tools.builtin.calendars import add_events, token_of
from engine.tools.builtin.folders import relative, user_folder
from engine.tools.builtin.icaltext import Text, holdable
from engine.tools.builtin.lines import Line
from engine.tools.builtin.peculiar import peculiarities
from engine.tools.builtin.placing import placed
from engine.tools.context import ToolContext
from engine.tools.declaration import tool
from engine.tools.errors import ToolError

Repeat = Literal["DAILY", "WEEKLY", "MONTHLY"]
Starts = Annotated[list[datetime], Field(min_length=1, max_length=366)]


class CreatedEvent(TypedDict):
    """An event of the calendar; its times are ISO 8601 text, with an offset where they were given one."""

    uid: str
    start: str
    end: str
    title: str


class CreatedEvents(TypedDict):
    """What was put into the calendar, and where it is."""

    events: list[CreatedEvent]
    notes: list[str]
    calendar: str
    feed: str


@tool(risk="L1", phrases=phrases.CALENDAR_CREATE)
def calendar_create(
    ctx: ToolContext,
    title: Line,
    starts: Starts,
    *,
    duration_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 60,
    location: Line | None = None,
    description: Annotated[str, Field(max_length=20_000)] | None = None,
    repeat: Repeat | None = None,
    repeat_until: date | None = None,
    avoid_conflicts: bool = False,
) -> CreatedEvents:
    """Creates an event at each of the times, each repeated if asked for, in your calendar.ics.

    A time with an offset is that moment everywhere; one without is that hour wherever you are. What begins at
    midnight without an offset and lasts full days is an all-day event. `repeat_until` is the last day. With
    `avoid_conflicts`, what would overlap an event of that calendar is moved to a free time near it. `notes` say what
    was moved or left out, and what may surprise. `feed` is the path on this server that calendar programs subscribe to.
    """
    _check(starts, repeat, repeat_until, avoid_conflicts=avoid_conflicts)
    folder = user_folder(ctx)
    zone = ctx.time_zone or tzlocal()
    length = timedelta(minutes=duration_minutes)
    text, left_out = holdable(description or "")
    notes = [f"{left_out} control characters of the description were left out"] if left_out else []
    said: list[CreatedEvent] = []

    def made(calendar: bytes) -> list[Any]:
        """The events; where they go may depend on what else is in the calendar."""
        wanted = {_uid(ctx.execution_key, number): start for number, start in enumerate(starts)}
        times, moves = placed(calendar, wanted, length, title, zone) if avoid_conflicts else (starts, [])
        notes.extend(moves)
        events: list[Any] = []
        for uid, start in zip(wanted, times, strict=True):
            try:
                end = start + length
                event = _event(uid, title, start, end)
            except OverflowError as error:
                raise ToolError(f"{start} is beyond what calendars know", retryable=False) from error
            if location:
                event.add("LOCATION", Text(location))
            if text:
                event.add("DESCRIPTION", Text(text))
            if repeat is not None:
                event.add("RRULE", _rule(repeat, repeat_until, start, whole_days=_takes_days(start, end)))
            events.append(event)
            said.append({"uid": uid, "start": start.isoformat(), "end": end.isoformat(), "title": title})
        return events

    path = add_events(folder, made)
    notes.extend(peculiarities(starts, repeat, repeat_until, zone))
    token = token_of(ctx.data_dir, folder)
    return {"events": said, "notes": notes, "calendar": relative(ctx, path), "feed": f"/calendar/{token}.ics"}


def _check(starts: Sequence[datetime], repeat: Repeat | None, until: date | None, *, avoid_conflicts: bool) -> None:
    if until is not None and repeat is None:
        raise ToolError("repeat_until needs repeat: DAILY, WEEKLY or MONTHLY", retryable=False)
    if until is not None and any(start.date() > until for start in starts):
        raise ToolError(f"an event starts after {until}, its last day", retryable=False)
    if avoid_conflicts and repeat is not None:
        raise ToolError("avoid_conflicts can't be had with repeat: only single events are moved", retryable=False)


def _uid(execution_key: str, number: int) -> str:
    """The same for every attempt of a step, so that a second one finds its events there already."""
    return hashlib.sha256(f"{execution_key}\n{number}".encode()).hexdigest()[:32] + "@lifeos.invalid"


def _event(uid: str, title: str, start: datetime, end: datetime) -> Any:
    event: Any = Event()
    event.add("UID", uid)
    event.add("DTSTAMP", datetime.now(UTC))
    event.add("SUMMARY", Text(title))
    whole = _takes_days(start, end)
    event.add("DTSTART", start.date() if whole else _moment(start))
    event.add("DTEND", end.date() if whole else _moment(end))
    return event


def _moment(when: datetime) -> datetime:
    """A time with an offset in UTC, since an offset names no time zone; a floating one as it is."""
    return when.replace(microsecond=0) if when.tzinfo is None else when.astimezone(UTC).replace(microsecond=0)


def _takes_days(start: datetime, end: datetime) -> bool:
    """Whether it is of whole days, wherever one is: from a midnight without an offset to another."""
    return start.tzinfo is None and start.time() == end.time() == time()


def _rule(repeat: Repeat, until: date | None, start: datetime, *, whole_days: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {"FREQ": repeat}
    if until is not None:
        # RFC 5545: the last moment is of the same kind as the start, a day, floating or UTC.
        rule["UNTIL"] = until if whole_days else _moment(datetime.combine(until, time(23, 59, 59), tzinfo=start.tzinfo))
    return rule
