"""What is known of a value before it is there: read from a JSON Schema, or put together by an expression. Pure.

A shape is all the forms that the value may have. What nothing is known of is ANYTHING; NOTHING is what is always null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final, TypeAlias, cast

from engine.tools import Tool
from engine.tools.schemas import Schema, referred

_MOST_FORMS: Final = 50
"""More forms than that are taken for any: schemas may refer to themselves, and expressions double what they have."""

_DEEPEST_VALUE: Final = 20

_BEYOND: Final = frozenset({"if", "then", "else", "dependentSchemas", "$dynamicRef", "$recursiveRef"})
"""Words of JSON Schema by which a value may have more than what stands beside them."""


class Open:
    """Of this value anything may be true."""


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A value without parts; `kind` says which, in words."""

    kind: str


class Later:
    """A part of a schema that is looked into when somebody asks, once: it may hold itself."""

    __slots__ = ("_root", "_schema", "_shape")

    def __init__(self, root: Schema, schema: object) -> None:
        self._root = root
        self._schema = schema
        self._shape: Shape | None = None

    @property
    def shape(self) -> Shape:
        """The shape that the schema describes."""
        if self._shape is None:
            self._shape = of_schema(self._root, self._schema)
        return self._shape


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An object. `rest` is the shape of all fields that have no name here; None: there are none."""

    fields: Mapping[str, Part]
    rest: Part | None = None

    def field(self, name: str) -> Shape | None:
        """The shape of a field; None if there can be none of that name."""
        part = self.fields.get(name, self.rest)
        return None if part is None else shape(part)

    def values(self) -> Shape:
        """The shape of all its fields together."""
        return union(map(shape, (*self.fields.values(), *(() if self.rest is None else (self.rest,)))))


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A list; `parts` are the shapes that its entries may have."""

    parts: Sequence[Part] = field(default=())

    def entries(self) -> Shape:
        """The shape of an entry."""
        return union(map(shape, self.parts))


Form: TypeAlias = Open | Scalar | Record | Listing
Shape: TypeAlias = tuple[Form, ...]
Part: TypeAlias = Shape | Later

OPEN: Final = Open()
ANYTHING: Final[Shape] = (OPEN,)
NOTHING: Final[Shape] = ()
TEXT: Final = Scalar("a text")
NUMBER: Final = Scalar("a number")
BOOLEAN: Final = Scalar("true or false")
_SCALARS: Final = {"string": TEXT, "number": NUMBER, "integer": NUMBER, "boolean": BOOLEAN}


def shape(part: Part) -> Shape:
    """The shape that a part stands for."""
    return part.shape if isinstance(part, Later) else part


def union(shapes: Iterable[Shape]) -> Shape:
    """What may be any of these."""
    several = list(shapes)
    if len(several) == 1:
        return several[0]
    forms: dict[Form, None] = {}
    for each in several:
        forms.update(dict.fromkeys(each))
        if OPEN in forms or len(forms) > _MOST_FORMS:
            return ANYTHING
    return tuple(forms)


@lru_cache(maxsize=1024)
def of_result(tool: Tool) -> Shape:
    """What the tool gives back."""
    return ANYTHING if tool.result_schema is None else of_schema(tool.result_schema, tool.result_schema)


def of_children(entry: Shape, result: Shape) -> Shape:
    """What a step with a list gives back: an object for each entry, with what its child gave."""
    error: Shape = (Record({"code": (TEXT,), "message": (TEXT,)}),)
    return (Listing(((Record({"item": entry, "result": result, "skipReason": (TEXT,), "error": error}),),)),)


def of_value(value: object, *, depth: int = 0) -> Shape:  # noqa: PLR0911 -- a line for each kind of value
    """The shape of a JSON value that is there."""
    inside = partial(of_value, depth=depth + 1)
    match value:
        case None:
            return NOTHING
        case list() | dict() if depth > _DEEPEST_VALUE:
            return ANYTHING
        case bool():
            return (BOOLEAN,)
        case str():
            return (TEXT,)
        case list():
            return (Listing(tuple(map(inside, cast("list[object]", value)))),)
        case dict():
            entries = cast("dict[str, object]", value)
            return (Record({name: inside(each) for name, each in entries.items()}),)
        case _:
            return (NUMBER,)


def of_schema(root: Schema, schema: object) -> Shape:
    """The shape of the values that a schema describes; ANYTHING where it says what is not understood here."""
    forms: list[Form] = []
    waiting = [schema]
    for seen, each in enumerate(waiting):
        if each is False:
            continue
        if not isinstance(each, Mapping) or seen > _MOST_FORMS:
            return ANYTHING
        written = cast("Schema", each)
        branches = _branches(root, written)
        if branches is None:
            forms += _own_forms(root, written)
        else:
            waiting += branches
    return union([tuple(forms)])


def _branches(root: Schema, schema: Schema) -> list[object] | None:
    """The schemas of which one holds in the place of this; None: it speaks for itself."""
    if not _BEYOND.isdisjoint(schema):
        return [True]
    said = [name for name in ("$ref", "anyOf", "oneOf", "allOf") if name in schema]
    if not said:
        return None
    if len(said) > 1 or "properties" in schema:
        return [True]  # several hold together
    [name] = said
    if name == "$ref":
        return [referred(root, str(schema[name])) or True]
    branches = schema[name]
    if not isinstance(branches, list) or (name == "allOf" and len(cast("list[object]", branches)) > 1):
        return [True]
    return cast("list[object]", branches)


def _own_forms(root: Schema, schema: Schema) -> Iterator[Form]:
    kinds = schema.get("type")
    if kinds is None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, list):
            yield from union(map(of_value, cast("list[object]", values)))
            return
        kinds = "object" if "properties" in schema else "array" if "items" in schema else None
    for kind in cast("list[object]", kinds) if isinstance(kinds, list) else [kinds]:
        match kind:
            case "object":
                yield _record(root, schema)
            case "array":
                yield _listing(root, schema)
            case "null":
                pass
            case str() if kind in _SCALARS:
                yield _SCALARS[kind]
            case _:
                yield OPEN


def _listing(root: Schema, schema: Schema) -> Listing:
    first = cast("Sequence[Any]", schema.get("prefixItems") or ())
    most = schema.get("maxItems")
    has_more = not first or not isinstance(most, int) or most > len(first)
    return Listing([Later(root, each) for each in (*first, *([schema.get("items", True)] if has_more else ()))])


def _record(root: Schema, schema: Schema) -> Record:
    properties = cast("Schema", schema.get("properties") or {})
    rest = True if "patternProperties" in schema else schema.get("additionalProperties", not properties)
    fields = {name: Later(root, each) for name, each in properties.items()}
    return Record(fields, None if rest is False else Later(root, rest))
