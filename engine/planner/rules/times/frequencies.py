"""How often: “3x”, “twice a week”, “every day”, “on Mondays and Thursdays”."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.planner.rules.numbers import ordinal, text_of, whole
from engine.planner.rules.times.atoms import Every, Occurrences, Part, PartName, Times, Unit
from engine.planner.rules.times.names import LIST_MARKS, WEEKDAY, WEEKDAYS_PLURAL
from engine.planner.rules.times.parts import PARTS
from engine.planner.rules.times.reading import Found, Tokens, skip, word_at

_TIMES: Final = re.compile(r"([0-9]{1,3})x")
ADVERBS: Final = {"once": 1, "twice": 2, "thrice": 3}
_UNITS: Final[Mapping[str, Unit]] = {"day": "day", "week": "week", "month": "month"}
PERIODICALLY: Final[Mapping[str, Unit]] = {
    "daily": "day", "everyday": "day", "weekly": "week", "monthly": "month",
}  # fmt: skip
_PARTS: Final[Mapping[str, PartName]] = {**PARTS, "night": "night"}
_WORKDAYS: Final = (0, 1, 2, 3, 4)
_WEEKEND: Final = (5, 6)
_GROUPS: Final[Mapping[str, tuple[int, ...]]] = {
    "weekday": _WORKDAYS, "workday": _WORKDAYS, "weekend": _WEEKEND,
}  # fmt: skip
GROUPS_PLURAL: Final[Mapping[str, tuple[int, ...]]] = {
    "weekdays": _WORKDAYS, "workdays": _WORKDAYS, "weekends": _WEEKEND,
}  # fmt: skip


_PLURAL_UNITS: Final[Mapping[str, Unit]] = {"days": "day", "weeks": "week", "months": "month"}
_OCCURRENCES: Final = frozenset(
    {"occurrences", "occurrence", "repetitions", "repetition", "repeats", "instances", "occasions"}
)
_OF_A_MONTH: Final = (
    "of the month", "of each month", "of every month", "day of the month", "day of each month", "day of every month",
)  # fmt: skip
_MOST_INTERVAL: Final = 12


def read_occurrences(tokens: Tokens, at: int) -> Found | None:
    """How many times in all something comes again: “for 5 times”, “5 occurrences”."""
    place = skip(tokens, at, "for a total of", "a total of", "for")
    found = whole(tokens, place)
    if not found:
        return None
    word = word_at(tokens, found[1])
    if word in _OCCURRENCES or (place > at and word in {"times", "time"}):
        return Occurrences(found[0]), found[1] + 1
    return None


def read_times(tokens: Tokens, at: int) -> Found | None:
    """So many times, in all or in each day, week or month."""
    found = _number_of_times(tokens, at)
    if not found:
        return None
    number, end = found
    after = skip(tokens, end, "a", "per", "each", "every", "/")
    unit = _UNITS.get(word_at(tokens, after)) if after > end else None
    if unit:
        return Times(number, unit), after + 1
    if unit := PERIODICALLY.get(word_at(tokens, end)):
        return Times(number, unit), end + 1
    return Times(number), end


def _number_of_times(tokens: Tokens, at: int) -> tuple[int, int] | None:
    word = word_at(tokens, at)
    if word in ADVERBS:
        return ADVERBS[word], at + 1
    if short := _TIMES.fullmatch(word):
        return int(short[1]), at + 1
    found = whole(tokens, at)
    if found and word_at(tokens, found[1]) in {"times", "time", "x", "×"}:
        return found[0], found[1] + 1
    return None


def read_every(tokens: Tokens, at: int) -> Found | None:
    """What comes again each day, week or month, or on each of some weekdays."""
    if unit := PERIODICALLY.get(word_at(tokens, at)):
        return Every(unit), at + 1
    place = skip(tokens, at, "on", "for")
    word = word_at(tokens, place)
    if word in GROUPS_PLURAL:
        return Every("week", GROUPS_PLURAL[word]), place + 1
    if word in WEEKDAYS_PLURAL:
        return _weekdays(tokens, place, WEEKDAYS_PLURAL)
    if (found := _on_a_day_of_each_month(tokens, at)) or word not in {"every", "each"}:
        return found
    return _each(tokens, at) or _alternate(tokens, at)


def _alternate(tokens: Tokens, at: int) -> Found | None:
    """“Every other Friday”, “every 3 weeks on Monday”, “every fourth day”, “every fortnight”."""
    place = skip(tokens, at, "for", "on")
    place = skip(tokens, place, "every")
    if word_at(tokens, place - 1) != "every":
        return None
    if word_at(tokens, place) == "fortnight":
        return Every("week", interval=2, said="every fortnight"), place + 1
    nth = (2, place + 1) if word_at(tokens, place) == "other" else ordinal(tokens, place)
    found = nth or whole(tokens, place)
    if not found or not 1 < found[0] <= _MOST_INTERVAL:
        return None
    units = _UNITS if nth else _PLURAL_UNITS
    return _at_intervals(tokens, at, found, units)


def _at_intervals(tokens: Tokens, at: int, found: tuple[int, int], units: Mapping[str, Unit]) -> Found | None:
    """“… other week”, “… 3 weeks”, “… second Friday”: the interval, and where its number ends."""
    interval, after = found
    word = word_at(tokens, after)
    if unit := units.get(word):
        return Every(unit, interval=interval, said=text_of(tokens[at : after + 1])), after + 1
    if word in WEEKDAY and units is _UNITS:
        every, end = _weekdays(tokens, after, WEEKDAY)
        if skip(tokens, end, "of", "in") > end:
            return None  # "every second Friday of the month"
        assert isinstance(every, Every)
        return Every("week", every.weekdays, interval=interval, said=text_of(tokens[at:end])), end
    return None


def _on_a_day_of_each_month(tokens: Tokens, at: int) -> Found | None:
    """“Every 2nd of the month”, “on the first day of each month”."""
    place = skip(tokens, at, "for", "on")
    every = skip(tokens, place, "every", "each")
    nth = ordinal(tokens, skip(tokens, place, "the") if every == place else every)
    if not nth or not 1 <= nth[0] <= 31:
        return None
    end = skip(tokens, nth[1], *_OF_A_MONTH)
    if end == nth[1] or (every == place and tokens[end - 2].word == "the"):
        return None  # "on the 2nd of the month" is once
    return Every("month", monthday=nth[0]), end


def _each(tokens: Tokens, at: int) -> Found | None:
    place = skip(tokens, skip(tokens, at, "for", "on"), "every single", "every", "each")
    word = word_at(tokens, place)
    if place == at or tokens[place - 1].word not in {"single", "every", "each"}:
        return None
    if unit := _UNITS.get(word):
        return Every(unit), place + 1
    if word in _GROUPS:
        return Every("week", _GROUPS[word]), place + 1
    if part := _PARTS.get(word):
        return Every("day", part=Part(part)), place + 1
    return _weekdays(tokens, place, WEEKDAY) if word in WEEKDAY else None


def _weekdays(tokens: Tokens, at: int, names: Mapping[str, int]) -> Found:
    numbers, end = [names[word_at(tokens, at)]], at + 1
    while True:
        after = skip(tokens, end, *LIST_MARKS)
        after = skip(tokens, after, "on", "every") if after > end else after
        number = names.get(word_at(tokens, after))
        if after == end or number is None:
            return Every("week", tuple(dict.fromkeys(numbers))), end
        numbers.append(number)
        end = after + 1
