"""Which Python values are the JSON that we keep: pure, and cheap enough for every step.

PostgreSQL refuses NUL and lone surrogates, JSON has no NaN, readers round integers beyond
±(2**53 − 1), and a parser that recurses dies of deep nesting. All of it is refused here, at its path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, cast

import orjson

MAX_DEPTH: Final = 100
"""The most objects and lists inside one another."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every reader of JSON keeps exact (RFC 8785 refuses larger ones too)."""

MAX_VALUES: Final = 1_000_000
"""The most values in one document: a bound on shared and circular structures, not on honest ones."""

_UNFIT_TEXT: Final = re.compile(r"[\x00\ud800-\udfff]")

MAX_TEXT: Final = 16 * 1024 * 1024
"""The most characters in all texts of one document together: for the same reason."""

Path = tuple[str | int, ...]


class UnfitValue(ValueError):
    """A value that can't be kept as JSON; `path` leads to it from the value that was checked."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{dotted(path)}: {message}" if path else message)
        self.path = path
        self.message = message


def check_json(value: object, *, max_bytes: int, what: str) -> bytes:
    """The value's JSON text, or UnfitValue; `what` names the value in a message about its size.

    >>> check_json({"to": ["Ann"]}, max_bytes=100, what="the arguments")
    b'{"to":["Ann"]}'
    """
    fault = fault_of(value)
    if fault is not None:
        raise fault
    encoded = encode(value)
    check_size(encoded, max_bytes=max_bytes, what=what)
    return encoded


def check_size(encoded: bytes, *, max_bytes: int, what: str) -> None:
    """Raises UnfitValue for a JSON text of more than so many bytes."""
    if len(encoded) > max_bytes:
        raise UnfitValue((), f"{what} take {len(encoded)} bytes as JSON, more than the {max_bytes} allowed")


def is_fit(value: object, *, at_most: int = MAX_VALUES) -> bool:
    """Whether `fault_of` finds nothing, and there are no more than so many values."""
    return _is_fit(value, at_most)


def fault_of(value: object) -> UnfitValue | None:
    """The first thing that keeps a value from being kept as JSON, or None.

    Only exact JSON types pass: a tuple or an enum member is a fault here (`engine.tools.results.plain`
    turns such values into JSON first). Circular values end at the depth or the number of values.
    """
    return None if _is_fit(value) else _find_fault(value)


def encode(value: object) -> bytes:
    """The JSON text of a value that `fault_of` has passed."""
    return orjson.dumps(value)


def dotted(path: Path) -> str:
    """A path as people and the API write it.

    >>> dotted(("args", "jobs", 0))
    'args.jobs.0'
    """
    if len(path) > 12:
        return ".".join(map(str, path[:6])) + "…" + ".".join(map(str, path[-3:]))
    return ".".join(map(str, path))


def text_fault(text: str) -> str | None:
    """What keeps a text from being kept, or None."""
    found = None if text.isascii() and "\x00" not in text else _UNFIT_TEXT.search(text)
    if found is None:
        return None
    return "has a NUL character" if found[0] == "\x00" else "has a lone surrogate, which is no character"


def as_integer(number: float) -> int | None:
    """The integer that a whole number is, however it was written; None for others, and beyond ±(2**53 − 1).

    >>> as_integer(3.0), as_integer(3.5), as_integer(1e300)
    (3, None, None)
    """
    return int(number) if number.is_integer() and abs(number) <= MAX_INTEGER else None


def storable(text: str) -> str:
    r"""The text with a sign in place of each character that can't be kept.

    >>> storable("a\x00b")
    'a␀b'
    """
    return text.replace("\x00", "␀").encode("utf-8", "replace").decode()


def _is_fit(value: object, budget: int = MAX_VALUES) -> bool:  # noqa: C901, PLR0911, PLR0912 -- one flat loop, for its speed
    """The same as `_find_fault(value) is None`, several times as fast: no paths, one level at a time."""
    level: list[Any] = [value]
    text = MAX_TEXT
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        containers = 0
        for item in level:
            kind = type(item)  # pyright: ignore[reportUnknownVariableType] -- cast() costs half as much again
            if kind is str:
                text -= len(item)
                if text < 0:
                    return False
                if item.isascii():
                    if "\x00" in item:
                        return False
                elif _UNFIT_TEXT.search(item):
                    return False
            elif kind is int:
                if not -MAX_INTEGER <= item <= MAX_INTEGER:
                    return False
            elif kind is dict:
                containers += 1
                budget -= len(item)
                if budget < 0:
                    return False
                for key in item:
                    if type(key) is not str or (("\x00" in key) if key.isascii() else _UNFIT_TEXT.search(key)):
                        return False
                below.extend(item.values())
            elif kind is list:
                containers += 1
                budget -= len(item)
                if budget < 0:
                    return False
                below.extend(item)
            elif kind is float:
                if not isfinite(item):
                    return False
            elif kind is not bool and item is not None:
                return False
        if not containers:
            return True
        level = below
    return False


def _find_fault(value: object) -> UnfitValue | None:
    """The first fault in reading order, with its path. Iterative, so that no depth can exhaust the stack."""
    waiting: list[tuple[Path, object]] = [((), value)]
    seen = text = 0
    while waiting:
        path, item = waiting.pop()
        seen += 1
        text += len(item) if type(item) is str else 0
        if seen > MAX_VALUES or text > MAX_TEXT:
            return UnfitValue((), f"holds more than {MAX_VALUES} values or {MAX_TEXT} characters, or contains itself")
        message = _scalar_fault(item)
        if message is not None:
            return UnfitValue(path, message)
        if not isinstance(item, dict | list):
            continue
        if len(path) >= MAX_DEPTH:
            return UnfitValue(path, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, list):
            inside = list(enumerate(cast("list[object]", item)))
        else:
            entries = cast("Mapping[object, object]", item)
            for key in entries:
                message = _key_fault(key)
                if message is not None:
                    return UnfitValue(path, message)
            inside = list(cast("Mapping[str, object]", entries).items())
        waiting.extend(((*path, key), inner) for key, inner in reversed(inside))
    return None


def _scalar_fault(item: object) -> str | None:
    kind = type(item)
    if kind is str:
        return text_fault(cast("str", item))
    if kind is int:
        return None if -MAX_INTEGER <= cast("int", item) <= MAX_INTEGER else "is an integer beyond ±(2^53 − 1)"
    if kind is float:
        return None if isfinite(cast("float", item)) else "is not a finite number (NaN or Infinity)"
    if kind in (dict, list, bool) or item is None:
        return None
    return f"is no JSON value (a Python {kind.__qualname__})"


def _key_fault(key: object) -> str | None:
    if type(key) is not str:
        return f"has the key {key!r:.40}, which is not text"
    message = text_fault(key)
    return None if message is None else f"has a key that {message}"
