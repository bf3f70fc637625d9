"""How often: “3x”, “twice a week”, “every day”, “on Mondays and Thursdays”."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.planner.numbers import whole
from engine.planner.times.atoms import Every, Part, PartName, Times, Unit
from engine.planner.times.clocks import PARTS
from engine.planner.times.days import LIST_MARKS, WEEKDAY, WEEKDAYS_PLURAL
from engine.planner.times.reading import Found, Tokens, skip, word_at

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
    place = skip(tokens, at, "on")
    word = word_at(tokens, place)
    if word in GROUPS_PLURAL:
        return Every("week", GROUPS_PLURAL[word]), place + 1
    if word in WEEKDAYS_PLURAL:
        return _weekdays(tokens, place, WEEKDAYS_PLURAL)
    return _each(tokens, at)


def _each(tokens: Tokens, at: int) -> Found | None:
    place = skip(tokens, at, "every single", "on every", "every", "each")
    word = word_at(tokens, place)
    if place == at:
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
