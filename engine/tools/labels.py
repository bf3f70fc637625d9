"""What authors of tools say of values: arguments that decide where an effect goes, fields that no stranger wrote. Pure.

Both are marks in annotations, `Annotated[str, Destination]`, and stand in the JSON Schemas, where they are found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from engine.tools.schemas import Schema, branches_of, target_of

DESTINATION: Final = "x-destination"
OWN: Final = "x-own"
_DEEPEST: Final = 8
"""Schemas may refer to themselves; a destination further inside than this is covered by its argument's name."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A word about a type that its JSON Schema carries."""

    keyword: str

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Called by pydantic: the type's schema, with the word."""
        return {**handler(core_schema), self.keyword: True}


Destination: Final = Mark(DESTINATION)
"""Of an argument, or a field inside of one: it says to whom, where, which or how much."""

Own: Final = Mark(OWN)
"""Of a result's field: the service itself assigns it, and it says what no stranger has written."""


def destinations_of(args_schema: Schema) -> tuple[str, ...]:
    """The dotted names of all destinations among a tool's arguments, in the schema's order; lists add nothing."""
    return tuple(dict.fromkeys(_destinations(args_schema, args_schema, (), _DEEPEST)))


def _destinations(root: Schema, schema: Schema, path: tuple[str, ...], depth: int) -> Iterator[str]:
    if schema.get(DESTINATION) is True and path:
        yield ".".join(path)
        return
    if depth == 0:
        return
    if (target := target_of(root, schema)) is not None:
        yield from _destinations(root, target, path, depth - 1)
    for branch in branches_of(schema):
        yield from _destinations(root, branch, path, depth - 1)
    for name, inner in cast("Schema", schema.get("properties", {})).items():
        yield from _destinations(root, inner, (*path, name), depth - 1)
    for inner in (schema.get("items"), schema.get("additionalProperties"), *_sequence(schema, "prefixItems")):
        if isinstance(inner, Mapping):
            yield from _destinations(root, cast("Schema", inner), path, depth - 1)


@dataclass(slots=True)
class Known:
    """What is known of a value of a result: whether all of it is the service's own, and the same of its parts.

    `fields` are those that an object of this kind may have by name, `others` all it may have beside them; `entries`
    those of a list. A part that is not here is as foreign as the whole.
    """

    own: bool = False
    fields: dict[str, Known] = field(default_factory=dict[str, "Known"])
    others: Known | None = None
    entries: Known | None = None
    is_wholly_own: bool = False
    """Whether every part that it may have is the service's own, even though it is not marked itself."""


FOREIGN: Final = Known()


def own_parts(result_schema: Schema | None) -> Known | None:
    """What the schema says of a result's fields; None where it marks none as the service's own."""
    if result_schema is None:
        return None
    reading = _Reading(result_schema)
    known = reading.known(result_schema)
    return known if reading.found else None


class _Reading:
    """One walk over a result's schema; what refers to itself becomes a circle."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._named: dict[str, Known] = {}
        self.found = False

    def known(self, schema: Schema) -> Known:
        if schema.get(OWN) is True:
            self.found = True
            return Known(own=True, is_wholly_own=True)
        name = schema.get("$ref")
        if isinstance(name, str):
            if name not in self._named:
                here = self._named[name] = Known()
                target = target_of(self._root, schema)
                read = FOREIGN if target is None else self.known(target)
                here.own, here.fields, here.others = read.own, read.fields, read.others
                here.entries, here.is_wholly_own = read.entries, read.is_wholly_own
            return self._named[name]
        branches = [branch for branch in branches_of(schema) if branch.get("type") != "null"]
        if branches:
            first, *more = [self.known(branch) for branch in branches]
            for other in more:
                first = _either(first, other)
            return first
        return self._of_one_kind(schema)

    def _of_one_kind(self, schema: Schema) -> Known:
        found = Known()
        properties = cast("Schema", schema.get("properties", {}))
        found.fields = {name: self.known(inner) for name, inner in properties.items()}
        others = schema.get("additionalProperties")
        found.others = self.known(cast("Schema", others)) if isinstance(others, Mapping) else None
        entries = schema.get("items")
        found.entries = self.known(cast("Schema", entries)) if isinstance(entries, Mapping) else None
        for inner in _sequence(schema, "prefixItems"):
            entry = self.known(inner)
            found.entries = entry if found.entries is None else _either(found.entries, entry)
        if properties and others in (None, False):
            found.is_wholly_own = all(each.is_wholly_own for each in found.fields.values())
        elif found.entries is not None:
            found.is_wholly_own = found.entries.is_wholly_own
        return found


def _either(one: Known, other: Known) -> Known:
    """What is known of a value that is of one kind or of another."""
    if one is other:
        return one
    if one.own and other.own:
        return one
    shared = one.fields.keys() & other.fields.keys()
    fields = {name: known for each in (one, other) for name, known in each.fields.items() if name not in shared}
    for name in shared:
        mine, theirs = one.fields[name], other.fields[name]
        fields[name] = mine if mine.own and theirs.own else FOREIGN
    entries = one.entries if other.entries is None else other.entries
    if one.entries is not None and other.entries is not None:
        entries = one.entries if one.entries.own and other.entries.own else FOREIGN
    if one.own or other.own or one.others is not None or other.others is not None:
        return FOREIGN
    return Known(fields=fields, entries=entries, is_wholly_own=one.is_wholly_own and other.is_wholly_own)


def _sequence(schema: Schema, keyword: str) -> Sequence[Schema]:
    return cast("Sequence[Schema]", schema.get(keyword, ()))
