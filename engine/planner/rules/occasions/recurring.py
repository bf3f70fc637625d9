"""What comes again: every day, twice a week, on Mondays until March."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from dateutil.relativedelta import relativedelta
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule

from engine.phrases import Occasions, Refusal, Repeat
from engine.planner.rules.occasions.calendar import (
    MOST_STARTS,
    date_of,
    dates,
    expect_future,
    future,
    moment_at,
    window_days,
)
from engine.planner.rules.occasions.said import Said
from engine.planner.rules.occasions.starts import (
    MOST_A_DAY,
    next_at,
    on_named_days,
    once,
    over_a_day,
    spread,
    times_of_day,
    usual_minutes,
)
from engine.planner.rules.times import DayRange, Weekday

_FREQUENCIES: Final[dict[Repeat, Literal[1, 2, 3]]] = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY}


def recurring(said: Said) -> Occasions:
    """What was said with “every”, “daily”, “a week” and their like; one by one where a window was said.

    So is what calendars' rules at hand can't say: every other week, or five times in all.
    """
    interval = said.every.interval if said.every else 1
    if interval == 1 and said.count is None:
        return _recurring(said)
    if interval > 1 and said.count is None and said.stretch is None and said.until is None:
        words = said.every.said if said.every else ""
        raise Refusal("no tool can do this without an end; say until when, or how many times", part=words or None)
    if said.window is not None:
        raise Refusal("says within which days, which does not go with the rest")
    return _one_by_one(_recurring(said), interval, said)


def _one_by_one(rule: Occasions, interval: int, said: Said) -> Occasions:
    """The first so many occasions of a rule, or those until its end, each for itself."""
    if rule.repeat is None:
        raise Refusal("says how many times in all, which does not go with the rest")
    floating = [start.replace(tzinfo=None) for start in rule.starts]
    until = datetime.combine(rule.repeat_until, time.max) if rule.repeat_until else None
    times = sorted({start.time() for start in floating})
    if len(floating) != len(times) * len({start.date() for start in floating}):
        raise Refusal("different times on different days do not go with the rest")
    days = rrule(
        _FREQUENCIES[rule.repeat],
        dtstart=datetime.combine(floating[0].date(), time()),
        interval=interval,
        byweekday=sorted({start.weekday() for start in floating}) if rule.repeat == "WEEKLY" else None,
        count=MOST_STARTS + 1,
    )
    starts = [
        moment_at(day.date(), at.hour * 60 + at.minute, said.now)
        for day in days
        for at in times
        if until is None or datetime.combine(day.date(), at) <= until
    ]
    starts = [start for start in starts if future([start], said.now)][: said.count]
    if said.count is not None and len(starts) < said.count and until is None:
        raise Refusal(f"asks for {said.count} entries; at most {MOST_STARTS} at once")
    if said.count is not None and until is not None:
        raise Refusal("says how many times, and until when")
    return once(said, starts)


def _recurring(said: Said) -> Occasions:
    times, every = said.times, said.every
    if times is not None and times.per and every is not None:
        raise Refusal("says twice how often")
    number = times.number if times else 1
    if number < 1:
        raise Refusal("asks for none")
    if every and every.weekdays:
        return _on_weekdays(said, every.weekdays)
    unit = every.unit if every else times.per if times else None
    if unit == "day":
        return _daily(said, number)
    if unit == "week":
        return _weekly(said, number)
    if number != 1:
        raise Refusal("more than once a month: name the days")
    said.expect_only("count", "every", "times", "starting", "stretch", "until", "days")
    return _again(said, "MONTHLY", on_named_days(said) if said.days else [_first(said)])


def for_a_while(said: Said) -> Occasions:
    """“On Monday at 6pm for 4 weeks” comes again each week, “at 7am for 5 days” each day."""
    if said.days and all(isinstance(day, Weekday) for day in said.days):
        said.expect_only("days", "stretch", "until")
        weekly = _again(said, "WEEKLY", on_named_days(said))
        if weekly.repeat_until is not None and weekly.repeat_until < weekly.starts[0].date() + timedelta(days=7):
            raise Refusal("says until when, but it does not come again before that")
        return weekly
    if said.is_timed or said.starting is not None:
        said.expect_only("starting", "stretch", "until")
        return _daily(said, 1)
    raise Refusal("says for how long, but not how often; say “every day” or “every week”")


def _on_weekdays(said: Said, weekdays: Sequence[int]) -> Occasions:
    if said.window is not None:
        said.expect_only("count", "every", "window")
        days = [day for day in window_days(said.window, said.now) if day.weekday() in weekdays]
        return _each_of(said, days, 1)
    said.expect_only("count", "every", "starting", "stretch", "until")
    first = said.first_day or said.now.date()
    starts: list[datetime] = []
    for weekday in weekdays:
        day = first + timedelta(days=(weekday - first.weekday()) % 7)
        for minutes in times_of_day(said) or [usual_minutes(day, said)]:
            start = moment_at(day, minutes, said.now)
            next_week = moment_at(day + timedelta(days=7), minutes, said.now)
            starts.append(start if future([start], said.now) else next_week)
    return _again(said, "WEEKLY", starts)


def _daily(said: Said, number: int) -> Occasions:
    if said.days and all(isinstance(day, DayRange) for day in said.days):
        said.expect_only("count", "every", "times", "days")
        return _each_of(said, [one for day in said.days for one in dates(day, said.now)], number)
    if said.days:
        said.expect_only("count", "every", "days", "stretch", "until")
        return _again(said, "DAILY", on_named_days(said))  # "daily, from tomorrow at 7am"
    if said.window is not None:
        said.expect_only("count", "every", "times", "window")
        return _each_of(said, window_days(said.window, said.now), number)
    said.expect_only("count", "every", "times", "starting", "stretch", "until")
    first = said.first_day or said.now.date()
    times = _a_day(said, first, number)
    if first <= said.now.date():
        return _again(said, "DAILY", [next_at(minutes, said.now) for minutes in times])
    return _again(said, "DAILY", [moment_at(first, minutes, said.now) for minutes in times])


def _a_day(said: Said, day: date, number: int) -> list[int]:
    times = times_of_day(said)
    if number > MOST_A_DAY:
        raise Refusal(f"asks for {number} a day; at most {MOST_A_DAY}")
    if times and number not in {1, len(times)}:
        raise Refusal(f"asks for {number} a day and names {len(times)} times of day")
    return times or ([usual_minutes(day, said)] if number == 1 else over_a_day(number))


def _each_of(said: Said, days: Sequence[date], number: int) -> Occasions:
    """One by one on each of the days, as far as they are still to come."""
    every = [moment_at(day, minutes, said.now) for day in days for minutes in _a_day(said, day, number)]
    starts = [start for start in every if future([start], said.now)]
    if not starts:
        raise Refusal("nothing is left of those days")
    return once(said, starts)


def _weekly(said: Said, number: int) -> Occasions:
    if said.days:
        said.expect_only("count", "every", "times", "days", "starting", "stretch", "until")
        return _again(said, "WEEKLY", on_named_days(said))
    if said.window is not None:
        said.expect_only("count", "every", "times", "window")
        return replace(once(said, spread(said, number)), movable=True)
    said.expect_only("count", "every", "times", "starting", "stretch", "until")
    if number > 7:
        raise Refusal("asks for more than one a day; say how many a day")
    first = said.first_day
    if first is None or first <= said.now.date():
        return _again(said, "WEEKLY", spread(said, number))
    days = [first + timedelta(days=place * 7 // number) for place in range(number)]
    times = {day: times_of_day(said) or [usual_minutes(day, said)] for day in days}
    return _again(said, "WEEKLY", [moment_at(day, minutes, said.now) for day in days for minutes in times[day]])


def _first(said: Said) -> datetime:
    first = said.first_day
    if first is None or first <= said.now.date():
        return spread(said, 1)[0]
    return moment_at(first, (times_of_day(said) or [usual_minutes(first, said)])[0], said.now)


def _again(said: Said, repeat: Repeat, starts: Sequence[datetime]) -> Occasions:
    expect_future(starts, said.now)
    ordered = sorted(set(starts))
    until = _until(said, ordered[0].date())
    if until is not None:
        ordered = [start for start in ordered if start.date() <= until]
    if not ordered:
        raise Refusal("ends before it begins")
    return Occasions(tuple(ordered), said.minutes, repeat, until)


def _until(said: Said, first: date) -> date | None:
    if said.stretch is not None and said.until is not None:
        raise Refusal("says twice until when")
    if said.stretch is not None:
        return first + relativedelta(days=said.stretch.days, months=said.stretch.months) - timedelta(days=1)
    return date_of(said.until, said.now, after=first) if said.until is not None else None
