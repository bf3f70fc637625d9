"""Whole days: a vacation has no hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

from engine.phrases import Occasions, Refusal
from engine.planner.rules.occasions.calendar import MOST_STARTS, date_of, dates, days_between, moment_at, window_days
from engine.planner.rules.occasions.said import Said

_A_DAY = 24 * 60


def days_off(said: Said) -> Occasions:
    """Each of the days that were said, from midnight to midnight; Refusal when one has begun or passed."""
    said.expect_only("days", "window", "starting", "stretch", "until")
    found = sorted(set(_days(said)))
    tomorrow = said.now.date() + timedelta(days=1)
    if said.window is not None:
        found = [day for day in found if day >= tomorrow]
    if not found:
        raise Refusal("nothing is left of those days")
    if found[0] < tomorrow:
        raise Refusal(f"{found[0]:%Y-%m-%d} has already begun, or passed")
    if len(found) > MOST_STARTS:
        raise Refusal(f"that makes {len(found)} days; at most {MOST_STARTS} at once")
    starts = tuple(moment_at(day, 0, said.now) for day in found)
    return Occasions(starts, duration_minutes=_A_DAY, whole_days=True)


def _days(said: Said) -> Sequence[date]:
    first = said.first_day
    if first is None and len(said.days) == 1 and (said.stretch or said.until):
        (first,) = dates(said.days[0], said.now)
    elif said.days:
        said.expect_only("days", "window")
        within = set(window_days(said.window, said.now)) if said.window else None
        return [one for day in said.days for one in dates(day, said.now, within)]
    elif first is None and said.window is not None:
        said.expect_only("window")
        return window_days(said.window, said.now)
    if first is None or said.window is not None or bool(said.stretch) == bool(said.until):
        raise Refusal("does not say which days; say for example “from Monday to Friday”")
    if said.until is not None:
        return days_between(first, date_of(said.until, said.now, after=first))
    assert said.stretch is not None
    length = relativedelta(days=said.stretch.days, months=said.stretch.months)
    return days_between(first, first + length - timedelta(days=1))
