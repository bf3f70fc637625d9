"""What a clause says of time, sorted: which times belong to which days, how often, within which days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from typing import Final, TypeVar

from engine.phrases import Refusal
from engine.planner.occasions.calendar import date_of, window_days
from engine.planner.times import (
    Ahead,
    Atom,
    Clock,
    ClockRange,
    Day,
    DayRange,
    Days,
    Every,
    Lasting,
    Moment,
    Part,
    PartName,
    PartOf,
    Soon,
    Starting,
    Stretch,
    Times,
    Until,
    Window,
    afternoon,
)

T = TypeVar("T")
_NOON: Final = 12 * 60
_DAY: Final = 24 * 60
_LONGEST_OVER_MIDNIGHT: Final = 12 * 60
_WORDS: Final = {
    "days": "on which days", "times": "how many times", "every": "how often it comes again",
    "window": "within which days", "until": "until when", "starting": "from when on",
    "stretch": "for how long it comes again", "moments": "in how long",
}  # fmt: skip


@dataclass(slots=True)
class Group:
    """Days with the times that belong to them."""

    days: list[Day | DayRange] = field(default_factory=list["Day | DayRange"])
    clocks: list[Clock | ClockRange] = field(default_factory=list["Clock | ClockRange"])
    part: PartName | None = None

    @property
    def is_timed(self) -> bool:
        """Whether a time or a part of the day was said."""
        return bool(self.clocks) or self.part is not None

    def minutes_of(self, clock: Clock | ClockRange) -> int:
        """The minutes of the day at which it begins."""
        if isinstance(clock, Clock):
            return _minutes(clock, self.part)
        start, end = clock.start, clock.end
        if start.bare and not end.bare and self.part is None:
            # "from 2 to 4pm" is after noon; "from 9 to 5pm" and "from 9 to 11am" are not
            late = start.minutes % _NOON + _NOON
            return late if late < end.minutes and start.minutes < 7 * 60 else start.minutes % _NOON
        return _minutes(start, self.part)

    def length_of(self, clocks: ClockRange) -> int:
        """How many minutes a range lasts; a bare end is the first such hour after the start."""
        start, end = self.minutes_of(clocks), clocks.end.minutes
        if end <= start:
            end += _NOON if clocks.end.bare and end + _NOON > start else _DAY
        if not 0 < end - start <= (_LONGEST_OVER_MIDNIGHT if end > _DAY else _DAY):
            raise Refusal("ends before it begins")
        return end - start


def _minutes(clock: Clock, part: PartName | None) -> int:
    if clock.bare and part is not None:
        return clock.minutes % _NOON + (0 if part == "morning" else _NOON)
    minutes = afternoon(clock).minutes
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
        until = only(atoms, Until, "until when")
        starting = only(atoms, Starting, "from when on")
        groups = _groups([_settled(atom, usual) for atom in atoms])
        return cls(
            now=now,
            groups=groups,
            moments=[*_moments(atoms, now)],
            times=_times(atoms, number),
            every=_every(atoms),
            window=only(atoms, Window, "within which days"),
            until=until.day if until else None,
            starting=starting.day if starting else None,
            stretch=only(atoms, Stretch, "for how many days"),
            minutes=_length(atoms, groups),
            usual=usual,
        )

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


def _times(atoms: Sequence[Atom], number: int | None) -> Times | None:
    times = only(atoms, Times, "how often")
    if number is None:
        return times
    if times is not None and (times.per is None or number != 1):
        raise Refusal("says twice how many times")
    return times or Times(number)


def _every(atoms: Sequence[Atom]) -> Every | None:
    found = [atom for atom in atoms if isinstance(atom, Every)]
    if len(found) == 2 and found[1].weekdays and found[0] == Every("week"):
        return found[1]  # "weekly on Mondays"
    return only(found, Every, "how often it comes again")


def _moments(atoms: Sequence[Atom], now: datetime) -> Iterable[datetime]:
    for atom in atoms:
        if isinstance(atom, Soon):
            later = datetime.fromtimestamp(now.timestamp() + atom.minutes * 60 + 59, tz=now.tzinfo)
            yield later.replace(second=0, microsecond=0)
        elif isinstance(atom, Moment):
            yield atom.at if atom.at.tzinfo else atom.at.replace(tzinfo=now.tzinfo)


def _settled(atom: Atom, usual: int | None) -> Atom:
    """A bare hour as the one nearest to the usual time: dinner at 8 is in the evening."""
    if usual is None:
        return atom
    if isinstance(atom, ClockRange):
        start = _settled(atom.start, usual)
        assert isinstance(start, Clock)
        return ClockRange(start, atom.end)
    if isinstance(atom, Clock) and atom.bare:
        hours = (atom.minutes % _NOON, atom.minutes % _NOON + _NOON)
        return Clock(min(hours, key=lambda minutes: abs(minutes - usual)))
    return atom


def _groups(atoms: Sequence[Atom]) -> list[Group]:
    """Which times belong to which days: “Monday at 7am and Friday at 6pm”, “at 7am on Monday and Friday”."""
    groups = [Group()]
    times_first: bool | None = None
    for atom in atoms:
        days, part = _days_in(atom), _part_in(atom)
        is_clock = isinstance(atom, Clock | ClockRange)
        if not (days or part or is_clock):
            continue
        times_first = not days if times_first is None else times_first
        if groups[-1].days and groups[-1].is_timed and bool(days) != times_first:
            groups.append(Group())
        _add(groups[-1], days, part, atom if is_clock else None)
    for before, group in pairwise(groups):
        if not group.is_timed:
            group.clocks, group.part = before.clocks, before.part
        if not group.days:
            raise Refusal("it is not clear which time belongs to which day")
    return groups


def _add(group: Group, days: Sequence[Day | DayRange], part: PartName | None, clock: Clock | ClockRange | None) -> None:
    group.days += days
    if clock is not None:
        group.clocks.append(clock)
    if part is not None:
        if group.part not in {None, part}:
            raise Refusal("says two parts of the day")
        group.part = part


def _days_in(atom: Atom) -> Sequence[Day | DayRange]:
    if isinstance(atom, Days):
        return atom.days
    if isinstance(atom, DayRange):
        return [atom]
    return [Ahead()] if isinstance(atom, PartOf) else []


def _part_in(atom: Atom) -> PartName | None:
    if isinstance(atom, Every):
        return atom.part.name if atom.part else None
    return atom.name if isinstance(atom, Part | PartOf) else None


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
