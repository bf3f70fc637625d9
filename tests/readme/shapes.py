"""The README's rule for what it shows: `…` stands for what differs each time, all the rest is exact.

In a text or a JSON string it stands for any characters within a line; as a line of its own, or as an entry of a list,
for any number of lines or entries; as a whole value for any value; as a key for any other keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

ANY = "…"


def fits_text(shown: str, said: str) -> bool:
    """Whether a text is as shown, line by line; spaces at the ends of lines and of the text do not count."""
    return _fits_each(_lines(shown), _lines(said), _fits_string)


def fits_json(shown: Any, said: Any) -> bool:
    """Whether a JSON value is as shown."""
    if shown == ANY:
        return True
    if isinstance(shown, str) and isinstance(said, str):
        return _fits_string(shown, said)
    if isinstance(shown, dict) and isinstance(said, dict):
        return _fits_object(cast("dict[str, Any]", shown), cast("dict[str, Any]", said))
    if isinstance(shown, list) and isinstance(said, list):
        return _fits_each(cast("list[Any]", shown), cast("list[Any]", said), fits_json)
    return _is_same(cast("object", shown), cast("object", said))


def _is_same(shown: object, said: object) -> bool:
    return type(shown) is type(said) and shown == said  # to Python, True is 1


def _fits_object(shown: dict[str, Any], said: dict[str, Any]) -> bool:
    named = shown.keys() - {ANY}
    is_complete = ANY in shown or named == said.keys()
    return is_complete and all(key in said and fits_json(shown[key], said[key]) for key in named)


def _fits_each(shown: Sequence[Any], said: Sequence[Any], fits: Callable[[Any, Any], bool]) -> bool:
    # reached[n]: whether what was shown so far can stand for the first n entries.
    reached = [True] + [False] * len(said)
    for each in shown:
        if each == ANY:
            first = next((n for n, yes in enumerate(reached) if yes), len(reached))
            reached = [n >= first for n in range(len(reached))]
        else:
            reached = [False] + [reached[n] and fits(each, said[n]) for n in range(len(said))]
    return reached[-1]


def _fits_string(shown: str, said: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split(ANY))), said, re.DOTALL) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
