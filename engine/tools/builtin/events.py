"""The connector `calendar_create`: puts events into the user's calendar file."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from icalendar import Event
from pydantic import Field

from engine.tools.builtin import phrases
from engine.tools.builtin.calendars import add_events, token_of
from engine.tools.builtin.folders import relative, user_folder
from engine.tools.builtin.postings import Line
from engine.tools.context import ToolContext
from engine.tools.declaration import tool
from engine.tools.errors import ToolError

Repeat = Literal["DAILY", "WEEKLY", "MONTHLY"]
Starts = Annotated[list[datetime], Field(min_length=1, max_length=366)]


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
) -> dict[str, Any]:
    """Creates an event at each of the times, each repeated if asked for, in your calendar.ics.

    A time with an offset is that moment everywhere; one without is that hour wherever you are. `repeat_until`
    is the last day. `feed` is the path on this server that calendar programs subscribe to.
    """
    if repeat_until is not None and repeat is None:
        raise ToolError("repeat_until needs repeat: DAILY, WEEKLY or MONTHLY", retryable=False)
    if repeat_until is not None and any(start.date() > repeat_until for start in starts):
        raise ToolError(f"an event starts after {repeat_until}, its last day", retryable=False)
    folder = user_folder(ctx)
    events: list[Any] = []
    said: list[dict[str, Any]] = []
    for number, start in enumerate(starts):
        uid = _uid(ctx.execution_key, number)
        try:
            end = start + timedelta(minutes=duration_minutes)
            event = _event(uid, title, start, end)
        except OverflowError as error:
            raise ToolError(f"{start} is beyond what calendars know", retryable=False) from error
        if location:
            event.add("LOCATION", location)
        if description:
            event.add("DESCRIPTION", "\n".join(description.splitlines()))
        if repeat is not None:
            event.add("RRULE", _rule(repeat, repeat_until, start))
        events.append(event)
        said.append({"uid": uid, "start": start.isoformat(), "end": end.isoformat(), "title": title})
    path = add_events(folder, events)
    token = token_of(ctx.data_dir, folder)
    return {"events": said, "calendar": relative(ctx, path), "feed": f"/calendar/{token}.ics"}


def _uid(execution_key: str, number: int) -> str:
    """The same for every attempt of a step, so that a second one finds its events there already."""
    return hashlib.sha256(f"{execution_key}\n{number}".encode()).hexdigest()[:32] + "@lifeos.invalid"


def _event(uid: str, title: str, start: datetime, end: datetime) -> Any:
    event: Any = Event()
    event.add("UID", uid)
    event.add("DTSTAMP", datetime.now(UTC))
    event.add("SUMMARY", title)
    event.add("DTSTART", _moment(start))
    event.add("DTEND", _moment(end))
    return event


def _moment(when: datetime) -> datetime:
    """A time with an offset in UTC, since an offset names no time zone; a floating one as it is."""
    return when.replace(microsecond=0) if when.tzinfo is None else when.astimezone(UTC).replace(microsecond=0)


def _rule(repeat: Repeat, until: date | None, start: datetime) -> dict[str, Any]:
    rule: dict[str, Any] = {"FREQ": repeat}
    if until is not None:
        # RFC 5545: the last moment is of the same kind as the start, floating or UTC.
        rule["UNTIL"] = _moment(datetime.combine(until, time(23, 59, 59), tzinfo=start.tzinfo))
    return rule
