"""What can be said of time, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Unit = Literal["day", "week", "month"]
Shift = Literal["", "this", "next"]
PartName = Literal["morning", "afternoon", "evening", "night"]
WindowName = Literal[
    "this week", "next week", "this weekend", "next weekend", "this month", "next month", "days", "month",
    "first week", "week of", "weekend of",
]  # fmt: skip


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
    """A date; without a year the next such date. `weekday`, when it was said too, has to fit.

    `shift` is for a day of this month or the next one.
    """

    day: int
    month: int | None = None
    year: int | None = None
    weekday: int | None = None
    shift: Shift = ""


@dataclass(frozen=True, slots=True)
class NthOf:
    """The first, second … or last (-1) such weekday, or day, of a month."""

    nth: int
    weekday: int | None
    month: int | None = None
    year: int | None = None
    shift: Shift = ""


@dataclass(frozen=True, slots=True)
class NthToCome:
    """Such a weekday, counted from tomorrow on: “two sundays from now” is the second."""

    weekday: int
    count: int


@dataclass(frozen=True, slots=True)
class Workday:
    """The next day from Monday to Friday, after today."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """A holiday that is on the same day wherever it is known, by its key in `holidays`."""

    key: str


@dataclass(frozen=True, slots=True)
class After:
    """So many days or months after a day, before it if they are negative."""

    base: Day
    days: int = 0
    months: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """A date with its time, as in ISO 8601; `at` without a zone is local."""

    at: datetime


Day = Weekday | Ahead | Fixed | NthOf | NthToCome | Workday | Holiday | After


@dataclass(frozen=True, slots=True)
class Days:
    """One or more days; `part` is said with them: “tomorrow morning”."""

    days: tuple[Day, ...]
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class DayRange:
    """All days from the first to the last."""

    first: Day
    last: Day


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in minutes; `bare` when nothing tells which half of the day is meant.

    `is_midnight`: said as such, so that it may be a day's beginning or its end. `is_24`: written as clocks of
    24 hours show it.
    """

    minutes: int
    bare: bool = False
    is_midnight: bool = False
    is_24: bool = False


@dataclass(frozen=True, slots=True)
class ClockRange:
    """From one time of day to another."""

    start: Clock
    end: Clock


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the day; `start` is its minute of the day where “early” or “late” was said."""

    name: PartName
    start: int | None = None


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
    """A stretch of the calendar within which days are free to choose; `days` counts from today.

    `month` and `year` are those of "month" and "first week", `day` lies in "week of" and begins "weekend of".
    """

    name: WindowName
    days: int = 0
    month: int = 0
    year: int | None = None
    day: Day | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """So many times, in all or in each day, week or month."""

    number: int
    per: Unit | None = None


@dataclass(frozen=True, slots=True)
class Occurrences:
    """So many times in all, as “for 5 times” says it of what comes again."""

    number: int


@dataclass(frozen=True, slots=True)
class Every:
    """Again each day, week or month, or on each of some weekdays, or on a day of each month.

    `interval` is 2 for every other; `said` are the words.
    """

    unit: Unit
    weekdays: tuple[int, ...] = ()
    part: Part | None = None
    interval: int = 1
    monthday: int | None = None
    said: str = ""


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
    | Until | Starting | Soon | Occurrences
)  # fmt: skip
