"""From what was said of time to concrete dates, all of them in the future.

How the open questions are settled:

- Weeks begin on Monday. "Next Tuesday" is the one of next week, a plain "Tuesday" the next to come.
- A bare hour is 7 to 11 in the morning or 12 to 6 after noon, unless evening or morning was said.
- Without a time: 18:00 on weekdays, 10:00 at weekends; today, when that has passed, the next full hour up to 21:00.
- "3x this week" spreads over what is left of the week, today included. When fewer days are left than were
  asked for, all of them are taken and the rest rolls into the days right after.
- "3x" without more is meant for the seven days from today on.
- What was said of a day that has passed is refused; nothing is ever moved into the past or out of a named day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Final, TypeVar

from dateutil.relativedelta import relativedelta

from engine.phrases import Occasions, Period, Refusal, Repeat
from engine.planner.times import (
    Ahead,
    Atom,
    Clock,
    ClockRange,
    Day,
    DayRange,
    Days,
    Every,
    Fixed,
    Lasting,
    Moment,
    Part,
    PartOf,
    Soon,
    Starting,
    Stretch,
    Times,
    Until,
    Weekday,
    Window,
    afternoon,
)

_PART_STARTS: Final = {"morning": 9 * 60, "afternoon": 14 * 60, "evening": 19 * 60, "night": 21 * 60}
_WEEKDAY_START: Final = 18 * 60
_WEEKEND_START: Final = 10 * 60
_LAST_START: Final = 21 * 60
_NAMES: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MOST_STARTS: Final = 62
_MOST_A_DAY: Final = 6

T = TypeVar("T")


def occasions(atoms: Sequence[Atom], now: datetime, *, number: int | None = None) -> Occasions:
    """The starts that were asked for; `number` is a count said elsewhere (“3 gym sessions”).

    Raises Refusal when what was said contradicts itself, lies in the past, or can't be told.
    """
    try:
        said = _Said.of(atoms, now, number)
        found = _occasions(said)
    except (OverflowError, ValueError) as error:
        raise Refusal(f"there is no such date ({error})") from error
    if len(found.starts) > _MOST_STARTS:
        raise Refusal(f"that makes {len(found.starts)} entries; at most {_MOST_STARTS} at once")
    return found


def period(atoms: Sequence[Atom], now: datetime) -> Period:
    """The stretch of days that was said; “this week” counts seven days from today on.

    Raises Refusal as `occasions` does.
    """
    try:
        return _period(atoms, now)
    except (OverflowError, ValueError) as error:
        raise Refusal(f"there is no such date ({error})") from error


# ── occasions ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Group:
    """Days with the times that belong to them."""

    days: list[Day | DayRange] = field(default_factory=list["Day | DayRange"])
    clocks: list[Clock | ClockRange] = field(default_factory=list["Clock | ClockRange"])
    part: str | None = None

    @property
    def timed(self) -> bool:
        return bool(self.clocks) or self.part is not None


@dataclass(slots=True)
class _Said:
    now: datetime
    groups: list[_Group]
    moments: list[datetime]
    times: Times | None
    every: Every | None
    window: Window | None
    until: Day | None
    starting: Day | Window | None
    stretch: Stretch | None
    minutes: int | None

    @classmethod
    def of(cls, atoms: Sequence[Atom], now: datetime, number: int | None) -> _Said:
        times = _only(atoms, Times, "how often")
        if number is not None:
            if times is not None and (times.per is None or number != 1):
                raise Refusal("says twice how many times")
            times = times or Times(number)
        until = _only(atoms, Until, "until when")
        starting = _only(atoms, Starting, "from when on")
        lasting = _only(atoms, Lasting, "how long it takes")
        said = cls(
            now=now,
            groups=_groups(atoms),
            moments=[*_moments(atoms, now)],
            times=times,
            every=_every(atoms),
            window=_only(atoms, Window, "within which days"),
            until=until.day if until else None,
            starting=starting.day if starting else None,
            stretch=_only(atoms, Stretch, "for how many days"),
            minutes=lasting.minutes if lasting else None,
        )
        if said.minutes is None:
            said.minutes = _length_of_ranges(said.groups)
        elif any(isinstance(clock, ClockRange) for group in said.groups for clock in group.clocks):
            raise Refusal("says twice how long it takes")
        if said.minutes is not None and not 1 <= said.minutes <= 24 * 60:
            raise Refusal("one entry lasts between a minute and a day")
        return said

    @property
    def days(self) -> list[Day | DayRange]:
        return [day for group in self.groups for day in group.days]

    @property
    def first_day(self) -> date | None:
        """The day from which a repetition counts, when one was said."""
        if isinstance(self.starting, Window):
            return window_days(self.starting, self.now)[0]
        return date_of(self.starting, self.now) if self.starting is not None else None


def _only(atoms: Sequence[Atom], kind: type[T], what: str) -> T | None:
    found = [atom for atom in atoms if isinstance(atom, kind)]
    if len(found) > 1:
        raise Refusal(f"says twice {what}")
    return found[0] if found else None


def _every(atoms: Sequence[Atom]) -> Every | None:
    found = [atom for atom in atoms if isinstance(atom, Every)]
    if len(found) == 2 and not found[0].weekdays and found[0].unit == "week" and found[1].weekdays:
        return found[1]  # "weekly on Mondays"
    return _only(found, Every, "how often it comes again")


def _moments(atoms: Sequence[Atom], now: datetime) -> Iterable[datetime]:
    for atom in atoms:
        if isinstance(atom, Soon):
            yield (now + timedelta(minutes=atom.minutes, seconds=59)).replace(second=0, microsecond=0)
        elif isinstance(atom, Moment):
            yield atom.at if atom.at.tzinfo else atom.at.replace(tzinfo=now.tzinfo)


def _groups(atoms: Sequence[Atom]) -> list[_Group]:
    """Which times belong to which days: “Monday at 7am and Friday at 6pm”, “at 7am on Monday and Friday”."""
    groups = [_Group()]
    times_first: bool | None = None
    for atom in atoms:
        days: list[Day | DayRange] = []
        if isinstance(atom, Days):
            days = list(atom.days)
        elif isinstance(atom, DayRange):
            days = [atom]
        elif isinstance(atom, PartOf):
            days = [Ahead()]
        is_time = isinstance(atom, Clock | ClockRange | Part | PartOf) or (isinstance(atom, Every) and atom.part)
        if not days and not is_time:
            continue
        if times_first is None:
            times_first = not days
        group = groups[-1]
        closed = group.days and group.timed
        if closed and (bool(days) != times_first):
            groups.append(group := _Group())
        group.days += days
        if isinstance(atom, Clock | ClockRange):
            group.clocks.append(atom)
        elif is_time:
            part = atom.part if isinstance(atom, Every) else atom
            assert isinstance(part, Part | PartOf)
            if group.part not in {None, part.name}:
                raise Refusal("says two parts of the day")
            group.part = part.name
    for before, group in zip(groups, groups[1:], strict=False):
        if not group.timed:
            group.clocks, group.part = before.clocks, before.part
        if not group.days:
            raise Refusal("it is not clear which time belongs to which day")
    return groups


def _length_of_ranges(groups: list[_Group]) -> int | None:
    lengths = {_ends(clock, group.part) for group in groups for clock in group.clocks if isinstance(clock, ClockRange)}
    if len(lengths) > 1:
        raise Refusal("entries of different lengths are asked for in one go")
    return lengths.pop() if lengths else None


def _ends(clocks: ClockRange, part: str | None) -> int:
    end = _minutes(clocks.end, None) if not clocks.end.bare else clocks.end.minutes
    start = _start_of(clocks, part)
    if clocks.end.bare and end <= start:
        end += 12 * 60
    if end <= start:
        raise Refusal("ends before it begins")
    return end - start


def _start_of(clock: Clock | ClockRange, part: str | None) -> int:
    if isinstance(clock, Clock):
        return _minutes(clock, part)
    start, end = clock.start, clock.end
    if start.bare and not end.bare and end.minutes >= 12 * 60:
        late = start.minutes % (12 * 60) + 12 * 60
        # "from 2 to 4pm" is after noon, "from 9 to 5pm" is not
        return late if late < end.minutes and start.minutes < 7 * 60 else start.minutes
    if start.bare and not end.bare:
        return start.minutes
    return _minutes(start, part)


def _minutes(clock: Clock, part: str | None) -> int:
    if clock.bare and part in {"evening", "night", "afternoon"}:
        return clock.minutes % (12 * 60) + 12 * 60
    if clock.bare and part == "morning":
        return clock.minutes % (12 * 60)
    minutes = afternoon(clock).minutes
    if (part == "morning" and minutes >= 12 * 60) or (part in {"afternoon", "evening"} and minutes < 12 * 60):
        raise Refusal(f"{minutes // 60}:{minutes % 60:02} is not in the {part}")
    return minutes


def _occasions(said: _Said) -> Occasions:
    if said.moments:
        if said.days or said.every or said.times or said.window or any(group.timed for group in said.groups):
            raise Refusal("says two different times")
        return _once(said, said.moments)
    if said.every is not None or (said.times is not None and said.times.per is not None):
        return _recurring(said)
    if said.stretch is not None or said.until is not None:
        return _for_a_while(said)
    if said.days:
        return _once(said, _on_named_days(said))
    if said.starting is not None:
        raise Refusal("says from when on, but not how often")
    if said.times is not None or said.window is not None:
        number = said.times.number if said.times else 1
        return _once(said, _spread(said, number))
    if any(group.timed for group in said.groups):
        return _once(said, [_next_at(minutes, said.now) for minutes in _times_of_day(said)])
    raise Refusal("says no day or time")


def _once(said: _Said, starts: Sequence[datetime]) -> Occasions:
    _expect_future(starts, said.now)
    return Occasions(tuple(sorted(set(starts))), duration_minutes=said.minutes)


def _future(starts: Iterable[datetime], now: datetime) -> bool:
    return all(start.timestamp() > now.timestamp() for start in starts)


def _expect_future(starts: Iterable[datetime], now: datetime) -> None:
    if not _future(starts, now):
        raise Refusal("that time has already passed")


def _on_named_days(said: _Said) -> list[datetime]:
    within = set(window_days(said.window, said.now)) if said.window else None
    starts = [start for group in said.groups for start in _group_starts(group, said, within)]
    number = said.times.number if said.times else None
    if number is not None and number != len(starts):
        a_day, rest = divmod(number, len(starts))
        if rest or any(group.timed for group in said.groups) or a_day > _MOST_A_DAY:
            raise Refusal(f"asks for {number} times and names {len(starts)}")
        return [_at(start.date(), minutes, said.now) for start in starts for minutes in _over_a_day(a_day)]
    return starts


def _group_starts(group: _Group, said: _Said, within: set[date] | None) -> Iterable[datetime]:
    for day in group.days:
        weekly = isinstance(day, Weekday) and not day.shift
        for one in _dates(day, said.now, within):
            for minutes in _times_on(group, one, said.now):
                start = _at(one, minutes, said.now)
                if weekly and within is None and not _future([start], said.now):
                    start = _at(one + timedelta(days=7), minutes, said.now)
                if not _future([start], said.now):
                    raise Refusal(f"{_spoken(start)} has already passed")
                yield start


def _spoken(moment: datetime) -> str:
    return f"{_NAMES[moment.weekday()]}, {moment:%Y-%m-%d %H:%M}"


def _dates(day: Day | DayRange, now: datetime, within: set[date] | None) -> list[date]:
    if isinstance(day, DayRange):
        first = date_of(day.first, now)
        last = date_of(day.last, now, after=first)
        if within is not None:
            first = _in_window(day.first, within) or first
            last = _in_window(day.last, within) or last
        return days_between(first, last)
    if within is not None:
        inside = _in_window(day, within)
        found = inside or date_of(day, now)
        if found not in within:
            raise Refusal(f"{found:%A, %Y-%m-%d} is not within those days, or has passed")
        return [found]
    return [date_of(day, now)]


def _in_window(day: Day, within: set[date]) -> date | None:
    if not isinstance(day, Weekday):
        return None
    return min((one for one in within if one.weekday() == day.number), default=None)


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last; Refusal when there are none, or more than anybody means."""
    length = (last - first).days + 1
    if length < 1:
        raise Refusal("the last day is before the first")
    if length > _MOST_STARTS:
        raise Refusal(f"that makes {length} days; at most {_MOST_STARTS} at once")
    return [first + timedelta(days=offset) for offset in range(length)]


def _times_of_day(said: _Said) -> list[int]:
    return [minutes for group in said.groups for minutes in _spoken_times(group)]


def _spoken_times(group: _Group) -> list[int]:
    if group.clocks:
        return [_start_of(clock, group.part) for clock in group.clocks]
    return [_PART_STARTS[group.part]] if group.part else []


def _times_on(group: _Group, day: date, now: datetime) -> list[int]:
    spoken = _spoken_times(group)
    if group.part and not group.clocks:
        later = _later_today(spoken[0], day, now, last=_LAST_START + 60)
        return [spoken[0] if later is None else later]
    if spoken:
        return spoken
    usual = _usual_time(day, now)
    if usual is None:
        raise Refusal("nothing is left of that day")
    return [usual]


def _usual_time(day: date, now: datetime) -> int | None:
    """When a day's entry begins if nobody says; None when the day has no such time left."""
    if day < now.date():
        return None
    usual = _WEEKEND_START if day.weekday() >= 5 else _WEEKDAY_START
    return _later_today(usual, day, now, last=_LAST_START)


def _later_today(minutes: int, day: date, now: datetime, *, last: int) -> int | None:
    if _future([_at(day, minutes, now)], now):
        return minutes
    next_hour = (now.hour + (2 if now.minute > 30 else 1)) * 60
    return next_hour if day == now.date() and next_hour <= last else None


def _spread(said: _Said, number: int) -> list[datetime]:
    window = said.window or Window("days", 7)
    days = window_days(window, said.now)
    times = _times_of_day(said)
    if len(times) > 1:
        if number % len(times):
            raise Refusal(f"asks for {number} times and names {len(times)} times of day")
        number //= len(times)
    starts = {day: _free(times, day, said) for day in days}
    free = [day for day in days if starts[day]]
    if number < 1 or number > max(len(days), 7) or number > _MOST_STARTS:
        raise Refusal("asks for none" if number < 1 else "asks for more than one a day; say at which times of day")
    chosen = [free[place] for place in _spread_over(len(free), number)] if number <= len(free) else free
    day = days[-1]
    while len(chosen) < number:
        day += timedelta(days=1)
        if starts.setdefault(day, _free(times, day, said)):
            chosen.append(day)
    return [start for day in chosen for start in starts[day]]


def _spread_over(days: int, number: int) -> list[int]:
    """As many places as asked for, evenly over so many days, the first day first."""
    step = min(Fraction(days - 1, max(number - 1, 1)), Fraction(days + 1, number))
    return [int(place * step) for place in range(number)]


def _free(times: list[int], day: date, said: _Said) -> list[datetime]:
    """The day's starts, if all of them are still to come."""
    part = next((group.part for group in said.groups if group.part and not group.clocks), None)
    if times and part is not None:
        later = _later_today(times[0], day, said.now, last=_LAST_START + 60)
        minutes: list[int] = [] if later is None else [later]
    else:
        usual = _usual_time(day, said.now)
        minutes = times or ([] if usual is None else [usual])
    starts = [_at(day, minute, said.now) for minute in minutes]
    return starts if _future(starts, said.now) else []


def _next_at(minutes: int, now: datetime) -> datetime:
    today = _at(now.date(), minutes, now)
    return today if _future([today], now) else _at(now.date() + timedelta(days=1), minutes, now)


def _over_a_day(number: int) -> list[int]:
    """Times of day for so many occasions, from 9:00 to 18:00, on full quarters."""
    if number == 1:
        return [_WEEKDAY_START]
    return [(9 * 60 + place * 9 * 60 // (number - 1)) // 15 * 15 for place in range(number)]


# ── what comes again ───────────────────────────────────────────────────────────────────────────────


def _recurring(said: _Said) -> Occasions:
    times, every = said.times, said.every
    if times is not None and times.per and every is not None:
        raise Refusal("says twice how often")
    unit = every.unit if every else times.per if times else None
    number = times.number if times else 1
    if number < 1:
        raise Refusal("asks for none")
    if every and every.weekdays:
        if said.days or times:
            raise Refusal("says twice on which days")
        return _on_weekdays(said, every.weekdays)
    if unit == "day":
        return _daily(said, number)
    if unit == "week":
        return _weekly(said, number)
    if number != 1:
        raise Refusal("more than once a month: name the days")
    return _again(said, "MONTHLY", _on_named_days(said) if said.days else [_first_slot(said)])


def _on_weekdays(said: _Said, weekdays: tuple[int, ...]) -> Occasions:
    if said.window is not None:
        days = [day for day in window_days(said.window, said.now) if day.weekday() in weekdays]
        return _every_day_of(said, days, 1)
    first = said.first_day or said.now.date()
    starts: list[datetime] = []
    for weekday in weekdays:
        day = first + timedelta(days=(weekday - first.weekday()) % 7)
        for minutes in _times_of_day(said) or [_WEEKEND_START if weekday >= 5 else _WEEKDAY_START]:
            start = _at(day, minutes, said.now)
            starts.append(start if _future([start], said.now) else _at(day + timedelta(days=7), minutes, said.now))
    return _again(said, "WEEKLY", starts)


def _daily(said: _Said, number: int) -> Occasions:
    if said.window is not None and not said.days:
        return _every_day_of(said, window_days(said.window, said.now), number)
    if said.days and all(isinstance(day, DayRange) for day in said.days):
        days = [one for day in said.days for one in _dates(day, said.now, None)]
        return _every_day_of(said, days, number)
    if said.days and number == 1:
        return _again(said, "DAILY", _on_named_days(said))  # "daily, tomorrow at 7am"
    if said.days:
        raise Refusal("says twice on which days")
    times = _a_day(said, number)
    first = said.first_day
    if first is not None:
        return _again(said, "DAILY", [_at(first, minutes, said.now) for minutes in times])
    return _again(said, "DAILY", [_next_at(minutes, said.now) for minutes in times])


def _a_day(said: _Said, number: int) -> list[int]:
    times = _times_of_day(said)
    if number > _MOST_A_DAY:
        raise Refusal(f"asks for {number} a day; at most {_MOST_A_DAY}")
    if times and number not in {1, len(times)}:
        raise Refusal(f"asks for {number} a day and names {len(times)} times of day")
    return times or _over_a_day(number)


def _every_day_of(said: _Said, days: list[date], number: int) -> Occasions:
    starts = [
        start
        for day in days
        for minutes in _a_day(said, number)
        if _future([start := _at(day, minutes, said.now)], said.now)
    ]
    if not starts:
        raise Refusal("nothing is left of those days")
    return _once(said, starts)


def _weekly(said: _Said, number: int) -> Occasions:
    if said.days:
        if said.times is not None and number != len(_on_named_days(said)):
            raise Refusal(f"asks for {number} times a week and names {len(said.days)}")
        return _again(said, "WEEKLY", _on_named_days(said))
    if said.window is not None:
        return _once(said, _spread(said, number))
    if number > 7:
        raise Refusal("asks for more than one a day; say how many a day")
    first = said.first_day
    if first is None or first <= said.now.date():
        return _again(said, "WEEKLY", _spread(said, number))
    times = _times_of_day(said)
    starts: list[datetime] = []
    for place in range(number):
        day = first + timedelta(days=place * 7 // number)
        usual = _WEEKEND_START if day.weekday() >= 5 else _WEEKDAY_START
        starts += [_at(day, minutes, said.now) for minutes in times or [usual]]
    return _again(said, "WEEKLY", starts)


def _first_slot(said: _Said) -> datetime:
    first = said.first_day
    if first is None:
        return _spread(said, 1)[0]
    return _at(first, (_times_of_day(said) or [_WEEKDAY_START])[0], said.now)


def _for_a_while(said: _Said) -> Occasions:
    """“On Monday at 6pm for 4 weeks” comes again each week, “at 7am for 5 days” each day."""
    if said.days and all(isinstance(day, Weekday) for day in said.days):
        return _again(said, "WEEKLY", _on_named_days(said))
    timed = any(group.timed for group in said.groups)
    if said.times is None and said.window is None and (timed or said.starting is not None) and not said.days:
        return _daily(said, 1)
    raise Refusal("says for how long, but not how often; say “every day” or “every week”")


def _again(said: _Said, repeat: Repeat, starts: list[datetime]) -> Occasions:
    _expect_future(starts, said.now)
    starts = sorted(set(starts))
    until: date | None = None
    if said.stretch is not None and said.until is not None:
        raise Refusal("says twice until when")
    if said.stretch is not None:
        length = relativedelta(days=said.stretch.days, months=said.stretch.months)
        until = starts[0].date() + length - timedelta(days=1)
    elif said.until is not None:
        until = date_of(said.until, said.now, after=starts[0].date())
    if until is not None and until < starts[-1].date():
        starts = [start for start in starts if start.date() <= until]
        if not starts:
            raise Refusal("ends before it begins")
    return Occasions(tuple(starts), said.minutes, repeat, until)


# ── days ───────────────────────────────────────────────────────────────────────────────────────────


def date_of(day: Day, now: datetime, *, after: date | None = None) -> date:
    """The date that is meant; `after` is the first day that a range's last day can be."""
    today = now.date()
    earliest = after or today
    if isinstance(day, Ahead):
        return today + relativedelta(days=day.days, months=day.months)
    if isinstance(day, Weekday):
        monday = today - timedelta(days=today.weekday())
        if day.shift == "next":
            return monday + timedelta(days=7 + day.number)
        if day.shift == "this":
            this = monday + timedelta(days=day.number)
            return this if this >= earliest else this + timedelta(days=7)
        return earliest + timedelta(days=(day.number - earliest.weekday()) % 7)
    return _fixed_date(day, earliest)


def _fixed_date(day: Fixed, earliest: date) -> date:
    if day.year is not None:
        assert day.month is not None
        found = date(day.year, day.month, day.day)
    else:
        found = _next_such(day, earliest)
    if day.weekday is not None and found.weekday() != day.weekday:
        raise Refusal(f"{found:%Y-%m-%d} is a {_NAMES[found.weekday()]}, not a {_NAMES[day.weekday]}")
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
    if window.name == "days":
        return days_between(today, today + timedelta(days=window.days - 1))
    if window.name in {"this month", "next month"}:
        first = today.replace(day=1) + relativedelta(months=int(window.name == "next month"))
        return days_between(max(first, today), first + relativedelta(months=1) - timedelta(days=1))
    begin, end = {
        "this week": (0, 6), "next week": (7, 13), "this weekend": (5, 6), "next weekend": (12, 13),
    }[window.name]  # fmt: skip
    return days_between(max(monday + timedelta(days=begin), today), monday + timedelta(days=end))


def _at(day: date, minutes: int, now: datetime) -> datetime:
    """The day's wall-clock time in `now`'s zone; a time that the zone skips is moved on by the gap."""
    zone = now.tzinfo
    assert zone is not None
    local = datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=zone)
    return datetime.fromtimestamp(local.timestamp(), tz=zone)


# ── stretches ──────────────────────────────────────────────────────────────────────────────────────


def _period(atoms: Sequence[Atom], now: datetime) -> Period:
    window = _only(atoms, Window, "for which days")
    stretch = _only(atoms, Stretch, "for how many days")
    starting = _only(atoms, Starting, "from when on")
    until = _only(atoms, Until, "until when")
    named = [atom for atom in atoms if isinstance(atom, Days | DayRange)]
    others = [atom for atom in atoms if not isinstance(atom, Window | Stretch | Starting | Until | Days | DayRange)]
    if others or len(named) > 1 or (window and (named or starting or stretch or until)):
        raise Refusal("it is not clear which days are meant")
    if window:
        free = window_days(Window("days", 7) if window.name == "this week" else window, now)
        return Period(None if window.name == "days" else free[0], len(free))
    start: date | None = None
    days: int | None = None
    if starting:
        start = window_days(starting.day, now)[0] if isinstance(starting.day, Window) else date_of(starting.day, now)
    if named:
        dates = [date for day in _listed(named[0]) for date in _dates(day, now, None)]
        if starting or dates != days_between(dates[0], dates[-1]):
            raise Refusal("the days have to follow each other")
        start, days = dates[0], len(dates)
    if stretch:
        if stretch.months or (days or 1) > 1:
            raise Refusal("give the number of days")
        days = stretch.days
    if until:
        if stretch or (named and days != 1):
            raise Refusal("says twice for which days")
        days = len(days_between(start or now.date(), date_of(until.day, now, after=start)))
    return Period(start, days)


def _listed(atom: Days | DayRange) -> list[Day | DayRange]:
    return list(atom.days) if isinstance(atom, Days) else [atom]
