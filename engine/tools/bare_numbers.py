"""Texts like "1796000000" where a time should stand: pydantic takes them for seconds, however strict it is."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any, Final, cast

from engine.tools.errors import Fault
from engine.tools.lenient import TEMPORAL, LenientSchema, is_bare_number

_NUMBER_IN_QUOTES: Final = re.compile(rb'"\s*[-+]?[0-9.]+\s*"')


class BareNumbers:
    """Finds them in one tool's arguments, which a look at the bytes mostly answers."""

    __slots__ = ("_has_times", "_lenient", "_schema")

    def __init__(self, args_schema: Mapping[str, Any]) -> None:
        self._schema = args_schema
        self._has_times = _has_format(args_schema, TEMPORAL)
        self._lenient: LenientSchema | None = None

    def faults(self, args: Mapping[str, object], encoded: bytes) -> list[Fault]:
        """A fault for each; `encoded` are the same arguments as JSON, which fit in everything else."""
        if not self._has_times or _NUMBER_IN_QUOTES.search(encoded) is None:
            return []
        if self._lenient is None:
            self._lenient = LenientSchema(self._schema)
        return [fault for fault in self._lenient.faults(args) if _is_bare_number_at(args, fault.path)]


def _has_format(schema: object, formats: Container[object]) -> bool:
    if isinstance(schema, Mapping):
        entries = cast("Mapping[str, object]", schema)
        return entries.get("format") in formats or any(_has_format(inner, formats) for inner in entries.values())
    if isinstance(schema, list):
        return any(_has_format(inner, formats) for inner in cast("list[object]", schema))
    return False


def _is_bare_number_at(args: object, path: Sequence[str | int]) -> bool:
    try:
        value: Any = reduce(getitem, cast("Sequence[Any]", path), cast("Any", args))
    except (KeyError, IndexError, TypeError):
        return False  # what is missing is no number
    return isinstance(value, str) and is_bare_number(value)
