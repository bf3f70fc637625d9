"""Days and times of the calendar, in the planning context's time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final

from dateutil.relativedelta import relativedelta

from engine.phrases import Refusal
from engine.planner.rules.times import Ahead, Day, DayRange, Fixed, Weekday, Window
from engine.planner.rules.times.atoms import After, Holiday, NthOf, NthToCome, Workday
from engine.planner.rules.times.holidays import holiday_in

MOST_STARTS: Final = 62
_SATURDAY: Final = 5
WEEKDAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def date_of(day: Day, now: datetime, *, after: date | None = None) -> date:
    """The date that is meant; `after` is the first day that a range's last day can be."""
    today = now.date()
    earliest = after or today
    if isinstance(day, Weekday | Fixed):
        return _weekday_or_date(day, today, earliest)
    if isinstance(day, NthOf):
        return _nth_of(day, earliest, today)
    if isinstance(day, Holiday):
        found = holiday_in(earliest.year, day.key)
        return found if found >= earliest else holiday_in(earliest.year + 1, day.key)
    return _counted(day, now)


def _counted(day: Ahead | After | NthToCome | Workday, now: datetime) -> date:
    """A day that is counted from another."""
    today = now.date()
    tomorrow = today + timedelta(days=1)
    match day:
        case Ahead():
            return today + relativedelta(days=day.days, months=day.months)
        case After():
            return date_of(day.base, now) + relativedelta(days=day.days, months=day.months)
        case NthToCome():
            return tomorrow + timedelta(days=(day.weekday - tomorrow.weekday()) % 7 + 7 * (day.count - 1))
        case Workday():
            return tomorrow + timedelta(days=7 - tomorrow.weekday() if tomorrow.weekday() >= _SATURDAY else 0)


def _weekday_or_date(day: Weekday | Fixed, today: date, earliest: date) -> date:
    if isinstance(day, Weekday):
        monday = today - timedelta(days=today.weekday())
        if day.shift == "next":
            return monday + timedelta(days=7 + day.number)
        if day.shift == "this":
            this = monday + timedelta(days=day.number)
            return this if this >= earliest else this + timedelta(days=7)
        return earliest + timedelta(days=(day.number - earliest.weekday()) % 7)
    return _fixed_date(day, earliest, today)


def _nth_of(day: NthOf, earliest: date, today: date) -> date:
    """The next such day, unless it is one of a month that was named by its year, or as this or the next one."""
    if day.year is not None and day.month is not None:
        months = [date(day.year, day.month, 1)]
    elif day.shift:
        months = [_month_named(day.shift, today)]
    else:
        first = earliest.replace(day=1)
        months = [first + relativedelta(months=ahead) for ahead in range(13 if day.month else 2)]
    fitting = [found for month in months if day.month in {None, month.month} and (found := _nth_in(day, month))]
    if not fitting:
        raise Refusal("there is no such day")
    found = next((one for one in fitting if one >= earliest), None)
    if found is None:
        raise Refusal(f"{fitting[-1]:%Y-%m-%d} has already passed")
    return found


def _nth_in(day: NthOf, first: date) -> date | None:
    last = first + relativedelta(months=1) - timedelta(days=1)
    if day.weekday is None:
        found = last if day.nth < 0 else first + timedelta(days=day.nth - 1)
    elif day.nth < 0:
        found = last - timedelta(days=(last.weekday() - day.weekday) % 7)
    else:
        found = first + timedelta(days=(day.weekday - first.weekday()) % 7 + 7 * (day.nth - 1))
    return found if found.month == first.month else None


def _month_named(shift: str, today: date) -> date:
    return today.replace(day=1) + relativedelta(months=int(shift == "next"))


def _fixed_date(day: Fixed, earliest: date, today: date) -> date:
    if day.shift:
        found = _month_named(day.shift, today).replace(day=day.day)
    elif day.year is not None:
        assert day.month is not None
        found = date(day.year, day.month, day.day)
    else:
        found = _next_such(day, earliest)
    if day.weekday is not None and found.weekday() != day.weekday:
        raise Refusal(f"{found:%Y-%m-%d} is a {WEEKDAY_NAMES[found.weekday()]}, not a {WEEKDAY_NAMES[day.weekday]}")
    if found < earliest:
        raise Refusal(f"{found:%Y-%m-%d} has already passed")
    return found


def _next_such(day: Fixed, earliest: date) -> date:
    first = earliest.replace(day=1)
    for months in range(8 * 12 + 1):  # the next 29th of February is at most eight years away
        month = first + relativedelta(months=months)
        if day.month in {None, month.month}:
            found = _date_in(month, day.day)
            if found is not None and found >= earliest:
                return found
    raise Refusal("there is no such date")


def _date_in(month: date, day: int) -> date | None:
    try:
        return month.replace(day=day)
    except ValueError:
        return None


def window_days(window: Window, now: datetime) -> list[date]:
    """The days of a window that have not passed, today included."""
    today = now.date()
    monday = today - timedelta(days=today.weekday())
    if window.name in {"month", "first week", "week of", "weekend of"}:
        return _named_days(window, now)
    if window.name == "days":
        return days_between(today, today + timedelta(days=window.days - 1))
    if window.name in {"this month", "next month"}:
        first = today.replace(day=1) + relativedelta(months=int(window.name == "next month"))
        return days_between(max(first, today), first + relativedelta(months=1) - timedelta(days=1))
    begin, end = {
        "this week": (0, 6), "next week": (7, 13), "this weekend": (5, 6), "next weekend": (12, 13),
    }[window.name]  # fmt: skip
    return days_between(max(monday + timedelta(days=begin), today), monday + timedelta(days=end))


def _named_days(window: Window, now: datetime) -> list[date]:
    """The days, not yet past, of a month or a week of it."""
    today = now.date()
    if window.day is not None:
        day = date_of(window.day, now)
        first = day if window.name == "weekend of" else day - timedelta(days=day.weekday())
        last = first + timedelta(days=1 if window.name == "weekend of" else 6)
    else:
        year = window.year or today.year
        first = date(year, window.month, 1)
        last = _last_of(window, first)
        if window.year is None and last < today:
            first = date(year + 1, window.month, 1)
            last = _last_of(window, first)
    if last < today:
        raise Refusal(f"{last:%Y-%m-%d} has already passed")
    return days_between(max(first, today), last)


def _last_of(window: Window, first: date) -> date:
    length = relativedelta(months=1) if window.name == "month" else relativedelta(days=7)
    return first + length - timedelta(days=1)


def moment_at(day: date, minutes: int, now: datetime) -> datetime:
    """The day's wall-clock time in `now`'s zone; a time that the zone skips is moved on by the gap."""
    zone = now.tzinfo
    assert zone is not None
    local = datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=zone)
    return datetime.fromtimestamp(local.timestamp(), tz=zone)


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last; Refusal when there are none, or more than anybody means."""
    length = (last - first).days + 1
    if length < 1:
        raise Refusal("the last day is before the first")
    if length > MOST_STARTS:
        raise Refusal(f"that makes {length} days; at most {MOST_STARTS} at once")
    return [first + timedelta(days=offset) for offset in range(length)]


def dates(
    day: Day | DayRange, now: datetime, within: set[date] | None = None, *, after: date | None = None
) -> list[date]:
    """The dates that are meant, within a window if there is one; Refusal when they are not in it."""
    if isinstance(day, DayRange):
        return _range(day, now, within)
    if within is None:
        return [date_of(day, now, after=after)]
    found = _in_window(day, within) or date_of(day, now)
    if found not in within:
        raise Refusal(f"{WEEKDAY_NAMES[found.weekday()]}, {found:%Y-%m-%d} is not within those days, or has passed")
    return [found]


def _range(days: DayRange, now: datetime, within: set[date] | None) -> list[date]:
    if within is None:
        first = date_of(days.first, now)
        return days_between(first, date_of(days.last, now, after=first))
    if isinstance(days.first, Weekday) and isinstance(days.last, Weekday):
        wanted = range(days.first.number, days.last.number + 1)
        found = sorted(day for day in within if day.weekday() in wanted)
        if found:
            return found
    raise Refusal("those days are not within each other, or have passed")


def _in_window(day: Day, within: set[date]) -> date | None:
    if not isinstance(day, Weekday):
        return None
    return min((one for one in within if one.weekday() == day.number), default=None)


def future(starts: Iterable[datetime], now: datetime) -> bool:
    """Whether all of them are still to come."""
    return all(start.timestamp() > now.timestamp() for start in starts)


def expect_future(starts: Iterable[datetime], now: datetime) -> None:
    """Refuse a time that has passed."""
    if not future(starts, now):
        raise Refusal("that time has already passed")
