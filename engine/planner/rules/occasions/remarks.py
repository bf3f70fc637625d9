"""What a plan should say of the times that were chosen: what lies outside the days asked for, and what moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from engine.phrases import Occasions
from engine.planner.rules.occasions.calendar import WEEKDAY_NAMES, window_days
from engine.planner.rules.occasions.said import Said
from engine.planner.rules.occasions.starts import times_of_day

_LONGEST_GAP: Final = timedelta(hours=3)
_EVERY_MONTH_HAS: Final = 28


def remarks_on(said: Said, found: Occasions) -> Iterator[str]:
    """The remarks, each a part of a sentence."""
    if beyond := _beyond(said, found):
        yield beyond
    for start in found.starts:
        if (skipped := _skipped(start)) and _minutes(skipped) in times_of_day(said):
            yield f"{skipped:%H:%M} is skipped by summer time on {start:%Y-%m-%d}"
    if found.repeat == "MONTHLY":
        for day in sorted({start.day for start in found.starts if start.day > _EVERY_MONTH_HAS}):
            yield f"months without a day {day} are skipped"


def _beyond(said: Said, found: Occasions) -> str | None:
    """That some lie after the days asked for, of which too few are left."""
    if said.window is None or found.repeat is not None or said.days:
        return None
    days = window_days(said.window, said.now)
    late = [start for start in found.starts if start.date() > days[-1]]
    if not late:
        return None
    left = {start.date() for start in found.starts if start.date() <= days[-1]}
    when = "next week" if said.window.name == "this week" else "after those days"
    verb = "are" if len(left) > 1 else "is"
    return f"{len(late)} of {len(found.starts)} {when}, as {_of(left)} of {_name(said)} {verb} left"


def _of(left: set[date]) -> str:
    if not left:
        return "nothing"
    if len(left) == 1:
        return f"only {WEEKDAY_NAMES[next(iter(left)).weekday()]}"
    return f"only {' and '.join(WEEKDAY_NAMES[day.weekday()] for day in sorted(left))}"


def _name(said: Said) -> str:
    assert said.window is not None
    return "them" if said.window.name == "days" else said.window.name


def _skipped(start: datetime) -> datetime | None:
    """The hour that clocks skip, if they come to this start from it."""
    zone = start.tzinfo
    for hours in range(1, int(_LONGEST_GAP / timedelta(minutes=30)) + 1):
        wall = start.replace(tzinfo=None) - hours * timedelta(minutes=30)
        back = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
        if back.replace(tzinfo=None) != wall and back == start:
            return wall
    return None


def _minutes(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute
