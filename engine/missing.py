"""Why a step has nothing to work on: a list that it takes an entry from is shorter than its plan expected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from engine.expressions import ExpressionFault, Node, compiled
from engine.references import JMESPATH
from engine.tools.errors import Fault
from engine.values import dotted

_WORDS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True, slots=True)
class Missing:
    """An entry that is not there: the key of the step whose result should have it, and that in words."""

    step: str
    message: str

    def after(self, notices: Sequence[str]) -> str:
        """The same after what the step itself said of its result: "1 of 2 found: there is no second job …"."""
        return ": ".join(["; ".join(notices), self.message] if notices else [self.message])


def missing_entry(args: Mapping[str, Any], results: Mapping[str, Any], faults: Iterable[Fault]) -> Missing | None:
    """The first of these faults that comes from an entry which is not there; None where none does.

    `args` are as planned. Only plain paths count (`search.jobs[1].title`): of them it is known what was meant.
    """
    for fault in faults:
        found = _reference(args, fault.path)
        if found is None:
            continue
        path, expression = found
        try:
            way = _way(compiled(expression).parsed)
        except ExpressionFault:
            continue
        missing = None if way is None else _short(way, results)
        if missing is not None:
            where, index, length = missing
            thing, there = _thing(where, path), f"{length or 'none'} in {dotted(where)}"
            message = f"there is no {_ordinal(index)} {thing} ({dotted(('args', *path))}: there {_are(length)} {there})"
            return Missing(where[0], message)
    return None


def _reference(args: Any, path: Sequence[str | int]) -> tuple[tuple[str | int, ...], object] | None:
    """The expression that stands at the path or above it, and where."""
    value: Any = args
    for place in range(len(path) + 1):
        if isinstance(value, Mapping) and JMESPATH in value:
            return tuple(path[:place]), cast("Mapping[str, object]", value)[JMESPATH]
        try:
            value = cast("Any", value)[path[place]]
        except (LookupError, TypeError):
            return None
    return None


def _way(node: Node) -> tuple[str | int, ...] | None:
    """The fields and places that a plain path names, in order; None for any other expression."""
    parts = list(_parts(node))
    return None if None in parts else cast("tuple[str | int, ...]", tuple(parts))


def _parts(node: Node) -> Iterator[str | int | None]:
    match node["type"]:
        case "subexpression" | "index_expression":
            for child in node["children"]:
                yield from _parts(child)
        case "field" | "index":
            yield node["value"]
        case _:
            yield None


def _short(way: Sequence[str | int], results: Any) -> tuple[tuple[str, ...], int, int] | None:
    """The list on the way that is too short, by the names that lead to it; the place looked for, and its length."""
    value, names = results, list[str]()
    for part in way:
        if isinstance(part, str):
            if not isinstance(value, Mapping):
                return None
            names.append(part)
            value = cast("Mapping[str, Any]", value).get(part)
            continue
        if not isinstance(value, list):
            return None
        entries = cast("list[Any]", value)
        if not -len(entries) <= part < len(entries):
            return (tuple(names), part, len(entries)) if names else None
        names.append(str(part))
        value = entries[part]
    return None


def _thing(where: Sequence[str], path: Sequence[str | int]) -> str:
    """What the list's entries are called: as the argument is, where the list is called like several of them."""
    named = {part for part in path if isinstance(part, str)}
    single = where[-1].removesuffix("s")
    return single.replace("_", " ") if single in named and single != where[-1] else "entry"


def _ordinal(index: int) -> str:
    if index < 0:
        return "last" if index == -1 else f"{_ordinal(-index - 1)} from the end"
    if index < len(_WORDS):
        return _WORDS[index]
    number = index + 1
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
