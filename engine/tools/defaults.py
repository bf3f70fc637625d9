"""The defaults inside arguments, at every depth: of models, dataclasses, typed dictionaries, in lists and unions. Pure.

A default that is not written into the arguments is neither shown to the approver nor in the digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import orjson
from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, core_schema

from engine.tools.foreign import attempted
from engine.tools.members import SEQUENCES, as_given, members, static_defaults
from engine.values import encode, fault_of

Fits = Callable[[Mapping[str, Any], object], bool]
"""Whether a value fits a JSON Schema."""

_WITH_MEMBERS: Final = frozenset({"model", "dataclass", "typed-dict", "call"})
"""The kinds of pydantic's core schemas whose values may have defaults inside; `call` is a named tuple."""
_NO_SCHEMAS: Final = frozenset({"metadata", "serialization", "default", "expected"})


def completed(given: object, value: object) -> object:
    """What was given as JSON with the defaults that its Python value has; the same object if it lacks none.

    `value` is what `given` was read as, so that of a union it is the branch that was taken. What was given stays as it
    was given, in its order.
    """
    if isinstance(value, RootModel):
        return completed(given, cast("RootModel[object]", value).root)
    if isinstance(given, dict):
        return _completed_object(cast("dict[str, object]", given), value)
    if isinstance(given, list) and isinstance(value, SEQUENCES):
        return _completed_list(cast("list[object]", given), cast("Sequence[object]", value))
    return cast("object", given)


def completed_by_schema(given: Any, schema: Mapping[str, Any], root: Mapping[str, Any], fits: Fits) -> Any:
    """The same by a JSON Schema, for arguments that can't be read yet, as they hold references to secrets.

    Of a union it is the first branch that the value `fits`.
    """
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    branches: list[dict[str, Any]] = schema.get("anyOf") or schema.get("oneOf") or []
    if branches:
        fitting = [branch for branch in branches if fits(branch, given)]
        return completed_by_schema(given, fitting[0], root, fits) if fitting else given
    if isinstance(given, dict):
        return _completed_object_by_schema(cast("dict[str, Any]", given), schema, root, fits)
    if isinstance(given, list):
        items = cast("list[Any]", given)
        rest = cast("dict[str, Any]", schema.get("items") or {})
        schemas: list[dict[str, Any]] = [*schema.get("prefixItems", ())][: len(items)]
        schemas += [rest] * (len(items) - len(schemas))
        return [completed_by_schema(one, its, root, fits) for one, its in zip(items, schemas, strict=True)]
    return given


_NOT_GIVEN: Final = object()


class ArgumentsSchema(GenerateJsonSchema):
    """JSON Schema whose defaults are written as arguments are, those too that a factory makes alike each time."""

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        """The default, or pydantic's sign that there is none to show."""
        factory = schema.get("default_factory")
        if factory is None or schema.get("default_factory_takes_data"):
            return super().get_default_value(schema)
        make = cast("Callable[[], object]", factory)
        # What an author's code raises here is said when arguments are filled in: of one step then, not of the program.
        one, other = attempted(make, _NOT_GIVEN), attempted(make, _NOT_GIVEN)
        written = None if one is _NOT_GIVEN else _written(one)
        return one if written is not None and written == _written(other) else super().get_default_value(schema)

    def encode_default(self, dft: Any) -> Any:
        """The default as JSON."""
        try:
            return as_given(dft)
        except ValueError:
            return super().encode_default(dft)


def has_parts(model: type[BaseModel]) -> bool:
    """Whether the values of a model's fields may have members of their own, and so defaults."""
    return any(schema["type"] in _WITH_MEMBERS and schema.get("cls") is not model for schema in _schemas_of(model))


def unfit_default(model: type[BaseModel]) -> str | None:
    """Which default of a class inside the model can't be written into arguments, and why; None if all can."""
    parts: dict[type[Any], None] = {
        each["cls"]: None for each in _schemas_of(model) if each["type"] in ("model", "dataclass") and "cls" in each
    }
    return next((fault for part in parts if part is not model and (fault := _unfit_default(part))), None)


def _completed_object(given: dict[str, object], value: object) -> dict[str, object]:
    changed: dict[str, object] = {}
    for names, inner in members(value):
        name = next((each for each in names if each in given), None)
        if name is None:
            changed[names[0]] = as_given(inner)
        elif (done := completed(given[name], inner)) is not given[name]:
            changed[name] = done
    return {**given, **changed} if changed else given


def _completed_list(given: list[object], value: Sequence[object]) -> list[object]:
    if len(value) < len(given):
        return given
    done = [completed(one, other) for one, other in zip(given, value, strict=False)]
    if len(value) == len(given) and all(one is other for one, other in zip(done, given, strict=True)):
        return given
    return done + [as_given(inner) for inner in value[len(given) :]]  # a named tuple's


def _completed_object_by_schema(
    given: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], fits: Fits
) -> dict[str, Any]:
    if len(given) == 1 and "$secret" in given:
        return given
    properties: Mapping[str, Any] = schema.get("properties", {})
    others = schema.get("additionalProperties")
    other: dict[str, Any] = cast("dict[str, Any]", others) if isinstance(others, dict) else {}
    done = {name: completed_by_schema(inner, properties.get(name, other), root, fits) for name, inner in given.items()}
    missing = {name: each["default"] for name, each in properties.items() if name not in done and "default" in each}
    return {**done, **missing}


def _unfit_default(part: type[Any]) -> str | None:
    adapter = TypeAdapter[Any](part)
    for names, default in static_defaults(part):
        where = f"the default of {part.__name__}.{names[0]}"
        try:
            written = as_given(default)
        except (ValueError, PydanticSerializationError) as error:
            return f"{where} can't be written as JSON: {error}"
        if fault := fault_of(written):
            return f"{where} {fault}"
        try:
            adapter.validate_json(encode({names[0]: written}), strict=True)
        except ValidationError as error:
            for each in error.errors(include_url=False, include_input=False):
                if each["loc"][:1] == (names[0],):
                    return f"{where} does not fit its annotation: {each['msg']}"
    return None


def _written(value: object) -> bytes | None:
    try:
        return orjson.dumps(as_given(value))
    except (ValueError, TypeError, PydanticSerializationError):
        return None


def _schemas_of(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """All core schemas inside the model's, its own first."""
    waiting: list[Any] = [model.__pydantic_core_schema__]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            schema = cast("dict[str, Any]", item)
            is_schema = isinstance(schema.get("type"), str)
            if is_schema:
                yield schema
            waiting.extend(inner for key, inner in schema.items() if not (is_schema and key in _NO_SCHEMAS))
        elif isinstance(item, list | tuple):
            waiting.extend(cast("Sequence[Any]", item))
