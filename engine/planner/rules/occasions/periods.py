"""Stretches of days: “for 5 days”, “next week”, “from Monday until Friday”."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from engine.phrases import Period, Refusal
from engine.planner.rules.occasions.calendar import date_of, dates, days_between, window_days
from engine.planner.rules.occasions.said import only
from engine.planner.rules.times import Atom, Day, DayRange, Days, Starting, Stretch, Until, Window

_KINDS = (Window, Stretch, Starting, Until, Days, DayRange)


def period(atoms: Sequence[Atom], now: datetime) -> Period:
    """The stretch of days that was said; “this week” counts seven days from today on.

    Raises Refusal when what was said contradicts itself, lies in the past, or is not clear.
    """
    try:
        return _period(atoms, now)
    except (OverflowError, ValueError) as error:
        raise Refusal(f"there is no such date ({error})") from error


def _period(atoms: Sequence[Atom], now: datetime) -> Period:
    window = only(atoms, Window, "for which days")
    if not all(isinstance(atom, _KINDS) for atom in atoms) or (window and len(atoms) > 1):
        raise Refusal("it is not clear which days are meant")
    if window:
        free = window_days(Window("days", 7) if window.name == "this week" else window, now)
        return Period(None if window.name == "days" else free[0], len(free))
    start, named = _start(atoms, now)
    return Period(start, _length(atoms, now, start, named))


def _start(atoms: Sequence[Atom], now: datetime) -> tuple[date | None, int | None]:
    """The first day, and how many were named one by one or as a range."""
    starting = only(atoms, Starting, "from when on")
    named = [day for atom in atoms if isinstance(atom, Days | DayRange) for day in _listed(atom)]
    if starting and named:
        raise Refusal("says twice from when on")
    if starting:
        day = starting.day
        return (window_days(day, now)[0] if isinstance(day, Window) else date_of(day, now)), None
    if not named:
        return None, None
    found = [one for day in named for one in dates(day, now)]
    if found != days_between(found[0], found[-1]):
        raise Refusal("the days have to follow each other")
    return found[0], len(found)


def _length(atoms: Sequence[Atom], now: datetime, start: date | None, named: int | None) -> int | None:
    stretch = only(atoms, Stretch, "for how many days")
    until = only(atoms, Until, "until when")
    if (stretch and until) or (named and named > 1 and (stretch or until)):
        raise Refusal("says twice for which days")
    if stretch and stretch.months:
        raise Refusal("give the number of days")
    if until:
        return len(days_between(start or now.date(), date_of(until.day, now, after=start)))
    return stretch.days if stretch else named


def _listed(atom: Days | DayRange) -> Sequence[Day | DayRange]:
    return atom.days if isinstance(atom, Days) else [atom]
