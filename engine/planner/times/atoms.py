"""What can be said of time, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Unit = Literal["day", "week", "month"]
Shift = Literal["", "this", "next"]
PartName = Literal["morning", "afternoon", "evening", "night"]
WindowName = Literal["this week", "next week", "this weekend", "next weekend", "this month", "next month", "days"]


@dataclass(frozen=True, slots=True)
class Weekday:
    """0 is Monday; `this` and `next` are meant by calendar weeks."""

    number: int
    shift: Shift = ""


@dataclass(frozen=True, slots=True)
class Ahead:
    """So many days or months from today."""

    days: int = 0
    months: int = 0


@dataclass(frozen=True, slots=True)
class Fixed:
    """A date; without a year the next such date. `weekday`, when it was said too, has to fit."""

    day: int
    month: int | None = None
    year: int | None = None
    weekday: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A date with its time, as in ISO 8601; `at` without a zone is local."""

    at: datetime


Day = Weekday | Ahead | Fixed


@dataclass(frozen=True, slots=True)
class Days:
    """One or more days."""

    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class DayRange:
    """All days from the first to the last."""

    first: Day
    last: Day


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in minutes; `bare` when only an hour was said, without morning or evening."""

    minutes: int
    bare: bool = False


@dataclass(frozen=True, slots=True)
class ClockRange:
    """From one time of day to another."""

    start: Clock
    end: Clock


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the day."""

    name: PartName


@dataclass(frozen=True, slots=True)
class PartOf:
    """A part of today: “tonight”, “this morning”."""

    name: PartName


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long one occasion takes, in minutes."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """For so many days or months."""

    days: int = 0
    months: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the calendar within which days are free to choose; `days` counts from today."""

    name: WindowName
    days: int = 0


@dataclass(frozen=True, slots=True)
class Times:
    """So many times, in all or in each day, week or month."""

    number: int
    per: Unit | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """Again each day, week or month, or on each of some weekdays."""

    unit: Unit
    weekdays: tuple[int, ...] = ()
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """Up to and including a day."""

    day: Day


@dataclass(frozen=True, slots=True)
class Starting:
    """From a day, or from a window's first day, on."""

    day: Day | Window


@dataclass(frozen=True, slots=True)
class Soon:
    """So many minutes from now."""

    minutes: int


Atom = (
    Days | DayRange | Moment | Clock | ClockRange | Part | PartOf | Lasting | Stretch | Window | Times | Every
    | Until | Starting | Soon
)  # fmt: skip
Found = tuple[Atom, int]
