"""Holidays whose day is certain: the same date everywhere, or one that a rule gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from dateutil.easter import easter

from engine.planner.rules.numbers import follows
from engine.planner.rules.times.reading import Tokens, stands_alone

_FIXED: Final[Mapping[str, tuple[int, int]]] = {
    "new year's day": (1, 1), "valentine's day": (2, 14), "st patrick's day": (3, 17), "april fools' day": (4, 1),
    "halloween": (10, 31), "christmas eve": (12, 24), "christmas day": (12, 25), "boxing day": (12, 26),
    "new year's eve": (12, 31),
}  # fmt: skip
_FROM_EASTER: Final[Mapping[str, int]] = {"good friday": -2, "easter sunday": 0, "easter monday": 1}
_THANKSGIVING: Final = "thanksgiving"
_NAMES: Final[Mapping[str, str]] = {
    **{name: name for name in (*_FIXED, *_FROM_EASTER, _THANKSGIVING)},
    "thanksgiving day": _THANKSGIVING,
    "easter": "easter sunday",
    "christmas": "christmas day",
    "xmas": "christmas day",
    "xmas day": "christmas day",
    "xmas eve": "christmas eve",
    "new years day": "new year's day",
    "new years eve": "new year's eve",
    "nye": "new year's eve",
    "halloween night": "halloween",
    "valentines day": "valentine's day",
    "saint valentine's day": "valentine's day",
    "st. patrick's day": "st patrick's day",
    "saint patrick's day": "st patrick's day",
    "st patricks day": "st patrick's day",
    "saint patricks day": "st patrick's day",
    "april fool's day": "april fools' day",
    "april fools day": "april fools' day",
}
_BY_FIRST: Final = {
    first: tuple((tuple(name.split()), key) for name, key in _NAMES.items() if name.split()[0] == first)
    for first in {name.split()[0] for name in _NAMES}
}
HOLIDAY_WORDS: Final = frozenset(_BY_FIRST)


def read_holiday(tokens: Tokens, at: int) -> tuple[str, int] | None:
    """The holiday named at a place, unless it belongs to a noun: “on Christmas”, not “Christmas party”."""
    if at >= len(tokens):
        return None
    found = [(key, at + len(words)) for words, key in _BY_FIRST.get(tokens[at].word, ()) if follows(tokens, at, words)]
    best = max(found, key=lambda one: one[1], default=None)
    return best if best and stands_alone(tokens, best[1]) else None


def holiday_in(year: int, key: str) -> date:
    """The holiday's date in a year."""
    if key in _FIXED:
        return date(year, *_FIXED[key])
    if key == _THANKSGIVING:
        first = date(year, 11, 1)
        return first + timedelta(days=(3 - first.weekday()) % 7 + 21)
    return easter(year) + timedelta(days=_FROM_EASTER[key])
