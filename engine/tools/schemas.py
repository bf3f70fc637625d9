"""What a JSON Schema allows at a place: the names of entries, and the words of a choice. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

_BRANCHES: Final = ("anyOf", "oneOf", "allOf")
_MOST: Final = 200
"""Schemas may refer to themselves; no tool's arguments have as many branches at one place."""

Schema = Mapping[str, Any]


def names_at(root: Schema, path: Sequence[str | int]) -> list[str]:
    """The names that an object at that path may have entries under, in whichever of its forms."""
    return [name for schema in _at(root, path) for name in cast("Schema", schema.get("properties", {}))]


def words_at(root: Schema, path: Sequence[str | int]) -> list[str]:
    """The texts of which the value at that path should be one."""
    found: list[object] = []
    for schema in _at(root, path):
        found += cast("list[object]", schema.get("enum", []))
        found += [schema["const"]] if "const" in schema else []
    return [word for word in found if isinstance(word, str)]


def referred(root: Schema, reference: str) -> Schema | None:
    """The schema that a `$ref` leads to within its document; None if there is none."""
    here: Any = root
    for part in reference.removeprefix("#/").split("/"):
        here = cast("Schema", here).get(part) if isinstance(here, Mapping) else None
    return cast("Schema", here) if isinstance(here, Mapping) else None


def branches_of(schema: Schema) -> list[Schema]:
    """The schemas that this one chooses between, or joins."""
    return [
        cast("Schema", each)
        for keyword in _BRANCHES
        for each in cast("Sequence[Any]", schema.get(keyword, ()))
        if isinstance(each, Mapping)
    ]


def target_of(root: Schema, schema: Schema) -> Schema | None:
    """The schema that this one refers to, if it does."""
    reference = schema.get("$ref")
    return referred(root, reference) if isinstance(reference, str) else None


def _at(root: Schema, path: Sequence[str | int]) -> list[Schema]:
    here = _forms(root, [root])
    for part in path:
        here = _forms(root, [inner for schema in here for inner in _below(schema, part)])
    return here


def _below(schema: Schema, part: str | int) -> Iterator[Schema]:
    if isinstance(part, int):
        before = cast("Sequence[Any]", schema.get("prefixItems", ()))
        below = before[part] if part < len(before) else schema.get("items")
    else:
        below = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    if isinstance(below, Mapping):
        yield cast("Schema", below)


def _forms(root: Schema, schemas: list[Schema]) -> list[Schema]:
    """The schemas, and those that they refer to or choose between."""
    found: list[Schema] = []
    while schemas and len(found) < _MOST:
        schema = schemas.pop(0)
        found.append(schema)
        target = target_of(root, schema)
        schemas += [] if target is None else [target]
        schemas += branches_of(schema)
    return found
