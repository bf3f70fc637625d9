"""What people say of time, read as values; `occasions` turns them into dates.

A reader looks at one place in the tokens and answers what is said there and where it ends, or None. What it
does not know (“every other week”, “by Friday”, “12/3”) it leaves, and the planner then names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.planner.rules.numbers import NUMBER_WORDS
from engine.planner.rules.times.atoms import (
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
    Weekday,
    Window,
)
from engine.planner.rules.times.clocks import CLOCK_LEADS, CLOCK_WORDS, HOURS_NAMED, read_clock, read_clock_range
from engine.planner.rules.times.days import DAY_WORDS, read_days
from engine.planner.rules.times.frequencies import (
    ADVERBS,
    GROUPS_PLURAL,
    PERIODICALLY,
    read_every,
    read_occurrences,
    read_times,
)
from engine.planner.rules.times.holidays import HOLIDAY_WORDS
from engine.planner.rules.times.lengths import read_lasting, read_soon, read_stretch
from engine.planner.rules.times.names import MONTH, WEEKDAY, WEEKDAYS_PLURAL
from engine.planner.rules.times.parts import PART_WORDS, read_part
from engine.planner.rules.times.reading import Found, Tokens, word_at
from engine.planner.rules.times.windows import read_starting, read_until, read_window

__all__ = [
    "TIME_NAMES",
    "TIME_WORDS",
    "Ahead", "Atom", "Clock", "ClockRange", "Day", "DayRange", "Days", "Every", "Fixed", "Lasting", "Moment",
    "Occurrences", "Part", "PartName", "PartOf", "Soon", "Starting", "Stretch", "Times", "Until", "Weekday", "Window",
    "read_time",
]  # fmt: skip

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
_READERS: Final[tuple[tuple[Callable[[Tokens, int], Found | None], frozenset[str], bool], ...]] = (
    (read_every, frozenset({*PERIODICALLY, *WEEKDAYS_PLURAL, *GROUPS_PLURAL, "on", "every", "each", "for"}), False),
    (read_times, frozenset(ADVERBS), True),
    (read_occurrences, frozenset({"for"}), True),
    (
        read_window,
        frozenset({"over", "during", "within", "in", "for", "on", "at", "the", "this", "next", "coming", "week"}),
        False,
    ),
    (read_starting, frozenset({"starting", "beginning", "as", "from"}), False),
    (read_until, frozenset({"until", "till", "through", "up", "ending"}), False),
    (read_soon, frozenset({"in", "half"}), True),
    (read_clock_range, frozenset({"from", "between", "at", *CLOCK_WORDS}), True),
    (read_days, DAY_WORDS | {"on", "for", "from"}, True),
    (read_part, PART_WORDS | {"for"}, False),
    (read_clock, CLOCK_LEADS | CLOCK_WORDS, True),
    (read_lasting, frozenset({"for", "lasting", "half", "quarter"}), True),
    (read_stretch, frozenset({"for", "up"}), False),
)
"""Each reader with the words that it can begin with, and whether it can with a number."""
TIME_WORDS: Final = frozenset(word for _, words, _ in _READERS for word in words)
"""What is said of time begins with one of these or with a number."""
_BY_WORD: Final = {
    word: tuple(reader for reader, words, numeric in _READERS if word in words or (numeric and word in NUMBER_WORDS))
    for word in TIME_WORDS | NUMBER_WORDS
}
_BY_NUMBER: Final = tuple(reader for reader, _, numeric in _READERS if numeric)

_LEADS: Final = frozenset({"on", "for", "at", "in", "from", "until", "the", "this", "next"})
_AFTER_LEADS: Final = (
    TIME_WORDS | NUMBER_WORDS | HOLIDAY_WORDS | HOURS_NAMED
    | {
        "ides", "night", "midnight", "month", "year", "rest", "weekend", "weekday", "workday", "working", "business",
        "current", "following", "breakfast", "brunch", "lunch", "dinner", "supper",
    }
)  # fmt: skip


def _may_follow(word: str) -> bool:
    """Whether something of time may begin with this word after a preposition or an article."""
    return word in _AFTER_LEADS or not word.isalpha()


def read_time(tokens: Tokens, at: int) -> Found | None:
    """What is said of time at a place; the longest reading wins, of equal ones the first reader's."""
    word = word_at(tokens, at)
    if word in _LEADS and not _may_follow(word_at(tokens, at + 1)):
        return None
    readers = _BY_WORD.get(word, _BY_NUMBER)
    found = [reading for reader in readers if (reading := reader(tokens, at))]
    return max(found, key=lambda reading: reading[1], default=None)
