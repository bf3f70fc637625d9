"""Regular expressions over anybody's text: RE2's alone, which take time in proportion to the text."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from engine.expressions.faults import ExpressionFault

re2: Final[Any] = import_module("re2")  # it has no types

_LONGEST: Final = 500
_WORK_A_MATCH: Final = 20
"""In the steps that an evaluation counts: the library makes an object with all positions for each."""
_MEMORY: Final = 1024 * 1024
"""Of one compiled pattern, in bytes: `(a{100}){100}` is short, and would take a hundred times that."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The pattern. Raises ExpressionFault when RE2 refuses it."""
    if len(pattern) > _LONGEST:
        raise ExpressionFault(f"a regular expression may have {_LONGEST} characters, and this has {len(pattern)}")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ExpressionFault(f"no regular expression of RE2: {reason}") from None


def first(text: str, pattern: str) -> str | None:
    """The first match, or its first group where the pattern has one; None where nothing matches."""
    found = compiled(pattern).search(text)
    return None if found is None else _taken(found)


def every(text: str, pattern: str, spend: Callable[[int], None]) -> list[str | None]:
    """All matches in turn, each as `first` gives it; each is counted as work."""
    made: list[str | None] = []
    for found in compiled(pattern).finditer(text):
        spend(_WORK_A_MATCH)
        made.append(_taken(found))
    return made


def _taken(found: Any) -> str | None:
    return found.group(1 if found.re.groups else 0)
