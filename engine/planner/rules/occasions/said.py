"""What a clause says of time, sorted: which times belong to which days, how often, within which days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Final, TypeVar

from engine.phrases import Refusal
from engine.planner.rules.occasions.calendar import date_of, window_days
from engine.planner.rules.times import (
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
    Occurrences,
    Part,
    PartName,
    PartOf,
    Soon,
    Starting,
    Stretch,
    Times,
    Until,
    Window,
)

T = TypeVar("T")
_NOON: Final = 12 * 60
_DAY: Final = 24 * 60
_LONGEST_OVER_MIDNIGHT: Final = 12 * 60
_WAKING: Final = range(7 * 60, 22 * 60)
_IN_PART: Final[dict[PartName, tuple[int, int]]] = {
    "morning": (4 * 60, 12 * 60 - 1), "afternoon": (12 * 60, 18 * 60 + 59), "evening": (16 * 60, 24 * 60 - 1),
    "night": (18 * 60, 24 * 60 - 1),
}  # fmt: skip
"""From when until when a bare hour is one of that part of the day."""
HALF_NOT_SAID: Final = "as nothing was said of morning or afternoon"
_WORDS: Final = {
    "days": "on which days", "times": "how many times", "every": "how often it comes again",
    "window": "within which days", "until": "until when", "starting": "from when on",
    "stretch": "for how long it comes again", "moments": "in how long", "count": "how many times in all",
}  # fmt: skip


@dataclass(slots=True)
class Group:
    """Days with the times that belong to them; `usual` is when such a thing usually begins."""

    usual: int | None = None
    days: list[Day | DayRange] = field(default_factory=list["Day | DayRange"])
    clocks: list[Clock | ClockRange] = field(default_factory=list["Clock | ClockRange"])
    part: PartName | None = None
    part_start: int | None = None

    @property
    def is_timed(self) -> bool:
        """Whether a time or a part of the day was said."""
        return bool(self.clocks) or self.part is not None

    def minutes_of(self, clock: Clock | ClockRange) -> int:
        """The minutes of the day at which it begins."""
        if isinstance(clock, Clock):
            return _minutes(clock, self.part, self.usual)
        start, end = clock.start, clock.end
        if start.bare and not end.bare and self.part is None:
            # The end tells: "from 2 to 4pm" is after noon; "from 9 to 5pm" and "from 9 to 11am" are not.
            return min(_halves(start), key=lambda minutes: (end.minutes - minutes - 1) % _DAY)
        return _minutes(start, self.part, self.usual)

    def without_half(self) -> Iterable[str]:
        """The times for which neither morning nor afternoon was said."""
        for clock in self.clocks:
            start = clock if isinstance(clock, Clock) else clock.start
            if start.bare and self.part is None and (isinstance(clock, Clock) or clock.end.bare):
                minutes = self.minutes_of(clock)
                yield f"{minutes // 60:02}:{minutes % 60:02}"

    def length_of(self, clocks: ClockRange) -> int:
        """How many minutes a range lasts; a bare end is the first such hour after the start."""
        start, end = self.minutes_of(clocks), clocks.end.minutes
        if end <= start:
            end += _NOON if clocks.end.bare and end + _NOON > start else _DAY
        if not 0 < end - start <= (_LONGEST_OVER_MIDNIGHT if end > _DAY else _DAY):
            raise Refusal("ends before it begins")
        return end - start


def _halves(clock: Clock) -> tuple[int, int]:
    """A bare time's two readings, the one before noon first."""
    return clock.minutes % _NOON, clock.minutes % _NOON + _NOON


def settled(clock: Clock, usual: int | None) -> int:
    """The minutes of the day that are meant, if nothing tells morning or afternoon.

    The occasion first (`usual`: when such a thing usually begins), then waking hours, 07:00 to 21:59; where both
    readings are waking hours, the morning.
    """
    if not clock.bare:
        return clock.minutes
    if usual is not None:
        return min(_halves(clock), key=lambda minutes: abs(minutes - usual))
    return next((minutes for minutes in _halves(clock) if minutes in _WAKING), clock.minutes)


def _minutes(clock: Clock, part: PartName | None, usual: int | None) -> int:
    if clock.is_midnight:
        return clock.minutes
    if clock.bare and part is not None:
        first, last = _IN_PART[part]
        found = next((minutes for minutes in _halves(clock) if first <= minutes <= last), None)
        if found is None:
            raise Refusal(f"{clock.minutes // 60}:{clock.minutes % 60:02} is not in the {part}")
        return found
    minutes = settled(clock, usual)
    is_morning = minutes < _NOON
    if (part == "morning" and not is_morning) or (part in {"afternoon", "evening"} and is_morning):
        raise Refusal(f"{minutes // 60}:{minutes % 60:02} is not in the {part}")
    return minutes


@dataclass(slots=True)
class Said:
    """All that a clause says of time."""

    now: datetime
    groups: list[Group]
    moments: list[datetime]
    times: Times | None
    count: int | None
    """How many times in all it comes again."""
    every: Every | None
    window: Window | None
    until: Day | None
    starting: Day | Window | None
    stretch: Stretch | None
    minutes: int | None
    """How long one occasion takes."""
    usual: int | None
    """The minutes of the day at which such a thing usually begins."""

    @classmethod
    def of(cls, atoms: Sequence[Atom], now: datetime, *, number: int | None, usual: int | None) -> Said:
        """The atoms sorted; Refusal when one kind of thing is said twice."""
        atoms = _bounded(atoms)
        until = only(atoms, Until, "until when")
        starting = only(atoms, Starting, "from when on")
        groups = _groups(atoms, usual)
        every = _every(atoms)
        times, count = _times(atoms, number, repeats=every is not None)
        _expect_clear_midnight(groups)
        return cls(
            now=now,
            groups=groups,
            moments=[*_moments(atoms, now)],
            times=times,
            count=count,
            every=every,
            window=only(atoms, Window, "within which days"),
            until=until.day if until else None,
            starting=starting.day if starting else None,
            stretch=only(atoms, Stretch, "for how many days"),
            minutes=_length(atoms, groups),
            usual=usual,
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """The half of the day that was chosen, where none was said."""
        times = tuple(dict.fromkeys(time for group in self.groups for time in group.without_half()))
        return (f"{' and '.join(times)}, {HALF_NOT_SAID}",) if times else ()

    @property
    def days(self) -> list[Day | DayRange]:
        """The days that were named."""
        return [day for group in self.groups for day in group.days]

    @property
    def is_timed(self) -> bool:
        """Whether any time of day was said."""
        return any(group.is_timed for group in self.groups)

    @property
    def first_day(self) -> date | None:
        """The day from which a repetition counts, when one was said."""
        if isinstance(self.starting, Window):
            return window_days(self.starting, self.now)[0]
        return date_of(self.starting, self.now) if self.starting is not None else None

    def expect_only(self, *kinds: str) -> None:
        """Refuse what the reading at hand has no use for: nothing that was said is left away."""
        for kind, words in _WORDS.items():
            if kind not in kinds and getattr(self, kind):
                raise Refusal(f"says {words}, which does not go with the rest")


def only(atoms: Sequence[Atom], kind: type[T], what: str) -> T | None:
    """The one atom of a kind, or None; Refusal when there are two."""
    found = [atom for atom in atoms if isinstance(atom, kind)]
    if len(found) > 1:
        raise Refusal(f"says twice {what}")
    return found[0] if found else None


def _times(atoms: Sequence[Atom], number: int | None, *, repeats: bool) -> tuple[Times | None, int | None]:
    """How many times (in all, or in each day, week or month), and how many in all of what comes again."""
    times = only(atoms, Times, "how often")
    occurrences = only(atoms, Occurrences, "how many times")
    count = occurrences.number if occurrences else None
    if count is not None and not repeats and (times is None or times.per is None):
        if times is not None:
            raise Refusal("says twice how many times")
        times, count = Times(count), None
    if number is None:
        return times, count
    if count is not None or (times is not None and (times.per is None or number != 1)):
        raise Refusal("says twice how many times")
    return times or Times(number), count


def _every(atoms: Sequence[Atom]) -> Every | None:
    found = [atom for atom in atoms if isinstance(atom, Every)]
    if len(found) == 2 and found[1].weekdays and found[1].interval == 1 and not found[0].weekdays:
        if found[0] == Every("week"):
            return found[1]  # "weekly on Mondays"
        if found[0].unit == "week":
            return replace(found[0], weekdays=found[1].weekdays)  # "every 3 weeks on Mondays"
    return only(found, Every, "how often it comes again")


def _bounded(atoms: Sequence[Atom]) -> Sequence[Atom]:
    """“On Mondays from January 1 to March 25”: where a weekday comes again, a range of days is from and until when."""
    repeats = any(isinstance(atom, Every) and atom.weekdays for atom in atoms)
    ranges = [atom for atom in atoms if isinstance(atom, DayRange)]
    if not repeats or len(ranges) != 1:
        return atoms
    place = list(atoms).index(ranges[0])
    return [*atoms[:place], Starting(ranges[0].first), Until(ranges[0].last), *atoms[place + 1 :]]


def _expect_clear_midnight(groups: Sequence[Group]) -> None:
    """Refuse “Friday at midnight”: it may be the day's beginning or its end; tonight's is its end."""
    for group in groups:
        for clock in group.clocks:
            start = clock if isinstance(clock, Clock) else clock.start
            if not start.is_midnight or not (group.days or group.part):
                continue
            if group.days != [Ahead()]:
                raise Refusal("it is not clear at which end of the day midnight is meant; say 23:59 or 00:00")
            group.days, group.part = [Ahead(days=1)], None


def _moments(atoms: Sequence[Atom], now: datetime) -> Iterable[datetime]:
    for atom in atoms:
        if isinstance(atom, Soon):
            later = datetime.fromtimestamp(now.timestamp() + atom.minutes * 60 + 59, tz=now.tzinfo)
            yield later.replace(second=0, microsecond=0)
        elif isinstance(atom, Moment):
            yield atom.at if atom.at.tzinfo else atom.at.replace(tzinfo=now.tzinfo)


def _groups(atoms: Sequence[Atom], usual: int | None) -> list[Group]:
    """Which times belong to which days: “Monday at 7am and Friday at 6pm”, “at 7am on Monday and Friday”."""
    groups = [Group(usual)]
    times_first: bool | None = None
    _expect_one_count(atoms)
    for atom in atoms:
        days, part = _days_in(atom), _part_in(atom)
        is_clock = isinstance(atom, Clock | ClockRange)
        if not (days or part or is_clock):
            continue
        times_first = not days if times_first is None else times_first
        if groups[-1].days and groups[-1].is_timed and bool(days) != times_first:
            groups.append(Group(usual))
        _add(groups[-1], days, part, atom if is_clock else None)
    for before, group in pairwise(groups):
        if not group.is_timed:
            group.clocks, group.part, group.part_start = before.clocks, before.part, before.part_start
        if not group.days:
            raise Refusal("it is not clear which time belongs to which day")
    return groups


def _expect_one_count(atoms: Sequence[Atom]) -> None:
    """Refuse “in 2 weeks on Friday”: one day is meant, and which Friday is not clear."""
    found = [days for atom in atoms if (days := _days_in(atom)) and not isinstance(atom, PartOf)]
    listed = [day for days in found for day in days]
    is_counted = any(isinstance(day, Ahead) and (day.days > 1 or day.months) for day in listed)
    if is_counted and (len(found) > 1 or not all(isinstance(day, Ahead) for day in listed)):
        raise Refusal("counts to a day and names another one too, so it is not clear which day is meant; say its date")


def _add(group: Group, days: Sequence[Day | DayRange], part: Part | None, clock: Clock | ClockRange | None) -> None:
    group.days += days
    if clock is not None:
        group.clocks.append(clock)
    if part is not None:
        if group.part not in {None, part.name}:
            raise Refusal("says two parts of the day")
        group.part, group.part_start = part.name, part.start or group.part_start


def _days_in(atom: Atom) -> Sequence[Day | DayRange]:
    if isinstance(atom, Days):
        return atom.days
    if isinstance(atom, Every) and atom.monthday is not None:
        return [Fixed(atom.monthday)]
    if isinstance(atom, DayRange):
        return [atom]
    return [Ahead()] if isinstance(atom, PartOf) else []


def _part_in(atom: Atom) -> Part | None:
    if isinstance(atom, Every | Days):
        return atom.part
    if isinstance(atom, PartOf):
        return Part(atom.name)
    return atom if isinstance(atom, Part) else None


def _length(atoms: Sequence[Atom], groups: Sequence[Group]) -> int | None:
    lasting = only(atoms, Lasting, "how long it takes")
    lengths = {group.length_of(clock) for group in groups for clock in group.clocks if isinstance(clock, ClockRange)}
    if lasting is not None:
        if lengths:
            raise Refusal("says twice how long it takes")
        lengths = {lasting.minutes}
    if len(lengths) > 1:
        raise Refusal("entries of different lengths are asked for in one go")
    length = lengths.pop() if lengths else None
    if length is not None and not 1 <= length <= _DAY:
        raise Refusal("one entry lasts between a minute and a day")
    return length
