"""What people say of time, read as values; `occasions` turns them into dates.

A reader looks at one place in the tokens and answers what is said there and where it ends, or None. What it
does not know (“every other week”, “by Friday”, “12/3”) it leaves, and the planner then names it.
"""

from __future__ import annotations

from typing import Final

from engine.planner.numbers import ORDINALS
from engine.planner.times.atoms import (
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
    PartName,
    PartOf,
    Soon,
    Starting,
    Stretch,
    Times,
    Until,
    Weekday,
    Window,
)
from engine.planner.times.clocks import PARTS, afternoon, read_clock, read_clock_range, read_part
from engine.planner.times.days import MONTH, NEAR_DAYS, WEEKDAY, WEEKDAYS_PLURAL, read_days
from engine.planner.times.frequencies import read_every, read_times
from engine.planner.times.lengths import read_lasting, read_soon, read_stretch
from engine.planner.times.reading import Found, Tokens
from engine.planner.times.windows import read_starting, read_until, read_window

__all__ = [
    "TIME_NAMES",
    "TIME_WORDS",
    "Ahead", "Atom", "Clock", "ClockRange", "Day", "DayRange", "Days", "Every", "Fixed", "Lasting", "Moment", "Part",
    "PartName", "PartOf", "Soon", "Starting", "Stretch", "Times", "Until", "Weekday", "Window", "afternoon",
    "read_time",
]  # fmt: skip

TIME_WORDS: Final = frozenset(
    {
        *WEEKDAY, *WEEKDAYS_PLURAL, *MONTH, *ORDINALS, "on", "for", "from", "at", "in", "the", "this", "next", "coming",
        "today", "tomorrow", "day", "tonight", "a", "an", "half", "quarter", "noon", "midday", "starting", "beginning",
        "as", "until", "till", "through", "up", "ending", "every", "each", "daily", "everyday", "weekly", "monthly",
        "weekdays", "workdays", "weekends", "once", "twice", "thrice", "between", "over", "during", "within", "lasting",
        *PARTS, *NEAR_DAYS,
    }
)  # fmt: skip
"""What is said of time begins with one of these or with a number."""
TIME_NAMES: Final = frozenset(
    {
        *(name for name in (*WEEKDAY, *MONTH) if len(name) > 4), *WEEKDAYS_PLURAL, "june", "july", "day", "days",
        "week", "weeks", "weekend", "weekends", "weekday", "weekdays", "month", "months", "year", "years", "hour",
        "hours",
        "minute", "minutes", "summer", "winter", "spring", "autumn", "fall", "today", "tomorrow", "tonight", "morning",
        "afternoon", "evening",
    }
)  # fmt: skip
"""Words that speak of time: a place with one of them in it is none (“in December”, “in the week after”)."""
_READERS: Final = (
    read_every, read_times, read_window, read_starting, read_until, read_soon, read_clock_range, read_days, read_part,
    read_clock, read_lasting, read_stretch,
)  # fmt: skip


def read_time(tokens: Tokens, at: int) -> Found | None:
    """What is said of time at a place; the longest reading wins, of equal ones the first reader's."""
    found = [reading for reader in _READERS if (reading := reader(tokens, at))]
    return max(found, key=lambda reading: reading[1], default=None)
