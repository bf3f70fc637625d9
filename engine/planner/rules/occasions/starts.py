"""When in a day, and on which days: the starts of what happens a number of times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

from engine.phrases import Occasions, Refusal
from engine.planner.rules.occasions.calendar import (
    MOST_STARTS,
    WEEKDAY_NAMES,
    dates,
    expect_future,
    future,
    moment_at,
    window_days,
)
from engine.planner.rules.occasions.said import Group, Said
from engine.planner.rules.times import Day, DayRange, Weekday, Window

_PART_STARTS: Final = {"morning": 9 * 60, "afternoon": 14 * 60, "evening": 19 * 60, "night": 21 * 60}
_WEEKDAY_START: Final = 18 * 60
_WEEKEND_START: Final = 10 * 60
_LAST_START: Final = 21 * 60
_LAST_START_AT_NIGHT: Final = 22 * 60
MOST_A_DAY: Final = 6


def once(said: Said, starts: Sequence[datetime]) -> Occasions:
    """Just these starts; Refusal when one has passed."""
    expect_future(starts, said.now)
    return Occasions(tuple(sorted(set(starts))), duration_minutes=said.minutes)


# ── on days that were named ────────────────────────────────────────────────────────────────────────


def on_named_days(said: Said) -> list[datetime]:
    """A start at each time of each day; Refusal when one has passed, or a count does not fit them."""
    within = set(window_days(said.window, said.now)) if said.window else None
    starts = [start for group in said.groups for start in _starts_of(group, said, within)]
    number = said.times.number if said.times else len(starts)
    if number == len(starts):
        return starts
    a_day, rest = divmod(number, len(starts))
    if rest or said.is_timed or not 1 <= a_day <= MOST_A_DAY:
        raise Refusal(f"asks for {number} times and names {len(starts)}")
    return [moment_at(start.date(), minutes, said.now) for start in starts for minutes in over_a_day(a_day)]


def _starts_of(group: Group, said: Said, within: set[date] | None) -> Iterable[datetime]:
    for day in group.days:
        may_wait = within is None and _is_plain(day)
        starts = [
            moment_at(one, minutes, said.now)
            for one in dates(day, said.now, within, after=said.first_day)
            for minutes in _times_on(group, one, said, may_wait=may_wait)
        ]
        if may_wait and not future(starts[:1], said.now):
            starts = [moment_at(start.date() + timedelta(days=7), _minutes(start), said.now) for start in starts]
        if isinstance(day, DayRange) and within is not None:
            starts = [start for start in starts if future([start], said.now)] or starts
        for start in starts:
            if not future([start], said.now):
                raise Refusal(f"{WEEKDAY_NAMES[start.weekday()]}, {start:%Y-%m-%d %H:%M} has already passed")
        yield from starts


def _is_plain(day: Day | DayRange) -> bool:
    """Whether the next such weekday is as good as today's."""
    first = day.first if isinstance(day, DayRange) else day
    return isinstance(first, Weekday) and not first.shift


def _minutes(start: datetime) -> int:
    return start.hour * 60 + start.minute


def _times_on(group: Group, day: date, said: Said, *, may_wait: bool) -> list[int]:
    spoken = times_of(group)
    if group.part and not group.clocks:
        later = _later_today(spoken[0], day, said.now, last=_LAST_START_AT_NIGHT)
        return [spoken[0] if later is None else later]
    if spoken:
        return spoken
    usual = usual_minutes(day, said)
    later = _later_today(usual, day, said.now, last=_LAST_START)
    if later is None and not may_wait:
        raise Refusal("nothing is left of that day")
    return [usual if later is None else later]


# ── times of day ───────────────────────────────────────────────────────────────────────────────────


def times_of_day(said: Said) -> list[int]:
    """All times that were said, in minutes of the day."""
    return [minutes for group in said.groups for minutes in times_of(group)]


def times_of(group: Group) -> list[int]:
    """A group's times; a part of the day has its own, unless a time was said too."""
    if group.clocks:
        return [group.minutes_of(clock) for clock in group.clocks]
    return [group.part_start or _PART_STARTS[group.part]] if group.part else []


def usual_minutes(day: date, said: Said) -> int:
    """When a day's entry begins if nobody says."""
    if said.usual is not None:
        return said.usual
    return _WEEKEND_START if day.weekday() >= 5 else _WEEKDAY_START


def over_a_day(number: int) -> list[int]:
    """Times of day for so many occasions, from 9:00 to 18:00, on full quarters."""
    if number == 1:
        return [_WEEKDAY_START]
    return [(9 * 60 + place * 9 * 60 // (number - 1)) // 15 * 15 for place in range(number)]


def next_at(minutes: int, now: datetime) -> datetime:
    """The next time that the clock shows this."""
    today = moment_at(now.date(), minutes, now)
    return today if future([today], now) else moment_at(now.date() + timedelta(days=1), minutes, now)


def _later_today(minutes: int, day: date, now: datetime, *, last: int) -> int | None:
    """The time itself, if it is still to come; today else the next full hour with half an hour to go."""
    if future([moment_at(day, minutes, now)], now):
        return minutes
    next_hour = (now.hour + (2 if now.minute > 30 else 1)) * 60
    return next_hour if day == now.date() and next_hour <= last else None


# ── on days that are free to choose ────────────────────────────────────────────────────────────────


def spread(said: Said, number: int) -> list[datetime]:
    """So many starts, spread over the window (seven days, if none was said) and, if need be, over the week after."""
    days = window_days(said.window or Window("days", 7), said.now)
    a_day = max(len(times_of_day(said)), 1)
    if number % a_day:
        raise Refusal(f"asks for {number} times and names {a_day} times of day")
    number //= a_day
    if number < 1:
        raise Refusal("asks for none")
    if number > min(max(len(days), 7), MOST_STARTS):
        raise Refusal("asks for more than one a day; say at which times of day")
    starts = [free for day in days if (free := _free(day, said))]
    if not starts and number == 1:
        raise Refusal("nothing is left of those days at that time")
    if number <= len(starts):
        chosen = [starts[place] for place in _places(len(starts), number)]
    else:
        rest = number - len(starts)
        after = [days[-1] + timedelta(days=1 + place) for place in _later_places(said, rest)]
        chosen = starts + [_free(day, said) for day in after]
    return [start for day in chosen for start in day]


def _places(days: int, number: int) -> list[int]:
    """As many places as asked for, evenly over so many days, the first day first."""
    step = min(Fraction(days - 1, max(number - 1, 1)), Fraction(days + 1, number))
    return [int(place * step) for place in range(number)]


def _later_places(said: Said, rest: int) -> Iterable[int]:
    """The days after the last one on which the rest is: spread over the next week after a week, else right after."""
    if said.window is None or said.window.name not in {"this week", "next week"}:
        return range(rest)
    return (7 * (place + 1) // (rest + 1) for place in range(rest))


def _free(day: date, said: Said) -> list[datetime]:
    """The day's starts, if all of them are still to come."""
    minutes = times_of_day(said)
    is_part = any(group.part and not group.clocks for group in said.groups)
    if not minutes or is_part:
        wanted = minutes[0] if minutes else usual_minutes(day, said)
        later = _later_today(wanted, day, said.now, last=_LAST_START_AT_NIGHT if is_part else _LAST_START)
        minutes = [] if later is None else [later]
    starts = [moment_at(day, minute, said.now) for minute in minutes]
    return starts if future(starts, said.now) else []
