"""Checks planned arguments, in which some values are not known yet, against a JSON Schema.

A reference stands for any value, so every keyword lets `ANYTHING` pass, and keywords that look at a value
as a whole (equality, choice of one branch) let pass what has it inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import (
    extend,  # pyright: ignore[reportUnknownVariableType] -- its parameters have no types
)
from pydantic import TypeAdapter

from engine.nearest import Hints, lookalikes
from engine.tools.errors import Fault
from engine.values import as_integer

_MOST_NAMED: Final = 20
"""Of a longer choice, only what comes near is named."""

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class Anything:
    """Stands for a value that is not known yet."""

    __slots__ = ()


ANYTHING: Final = Anything()

LITERAL: Final = "$literal"
JMESPATH: Final = "$jmespath"
SECRET: Final = "$secret"  # noqa: S105 -- the word that marks a reference to a secret


def with_unknowns(value: object, references: Collection[str]) -> tuple[object, bool]:
    """The value with ANYTHING for each reference and X for `{"$literal": X}`; and whether it had a reference.

    `references` names the marks that count; without `$jmespath` among them, literals are resolved already
    and stand as they are.
    """
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if len(entries) == 1:
            ((mark, inner),) = entries.items()
            if mark in references:
                return ANYTHING, True
            if mark == LITERAL and JMESPATH in references:
                return inner, False
        found = {key: with_unknowns(inner, references) for key, inner in entries.items()}
        return {key: inner for key, (inner, _) in found.items()}, any(some for _, some in found.values())
    if isinstance(value, list):
        items = [with_unknowns(inner, references) for inner in cast("list[object]", value)]
        return [inner for inner, _ in items], any(some for _, some in items)
    return value, False


class LenientSchema:
    """A JSON Schema that lets unknown values pass."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = _Lenient(dict(schema), format_checker=_FORMATS)

    def faults(self, value: object) -> list[Fault]:
        """Everything that no known value could mend, in reading order."""
        errors = cast("Iterator[ValidationError]", self._validator.iter_errors(value))
        hints = Hints()
        found = [fault for error in errors for fault in _faults(error, hints)]
        return list(dict.fromkeys(sorted(found, key=lambda fault: [str(part) for part in fault.path])))


def _faults(error: ValidationError, hints: Hints) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    schema = cast("Mapping[str, Any]", error.schema if isinstance(error.schema, Mapping) else {})
    limit = cast("Any", error.validator_value)
    match error.validator:
        case "required":
            # One error for each missing key; the key is only in the message, so all are named here once.
            for key in limit:
                if key not in cast("Mapping[str, object]", error.instance):
                    yield Fault((*path, key), "is missing")
        case "additionalProperties" if limit is False:
            known = schema.get("properties", {})
            for key in cast("Mapping[str, object]", error.instance):
                if key not in known:
                    yield Fault((*path, key), f"is not known here{hints.near(key, known)}")
        case "anyOf" | "oneOf":
            yield from _branch_faults(error, path, hints)
        case "enum":
            words = [word for word in limit if isinstance(word, str)]
            yield Fault(path, _message("enum", limit, error) + hints.near(error.instance, words))
        case _:
            yield Fault(path, _message(str(error.validator), limit, error))


def _branch_faults(error: ValidationError, path: tuple[str | int, ...], hints: Hints) -> Iterator[Fault]:
    """Of several branches the one that fits best: deepest, then with the fewest faults."""
    branches: dict[object, list[Fault]] = {}
    for inner in error.context or []:
        branch = inner.schema_path[0] if inner.schema_path else None
        branches.setdefault(branch, []).extend(_faults(inner, hints))
    inside = [faults for faults in branches.values() if all(len(fault.path) > len(path) for fault in faults)]
    if inside:
        yield from min(inside, key=len)
        return
    messages = dict.fromkeys(
        fault.message.removeprefix("should be ")
        for faults in branches.values()
        for fault in faults
        if fault.path == path and fault.message != "should be null"
    )
    yield Fault(path, "should be " + " or ".join(messages) if messages else "fits none of the allowed forms")


_TYPES: Final = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


_LIMITS: Final = {
    "const": "should be {!r}",
    "exclusiveMaximum": "should be less than {}",
    "exclusiveMinimum": "should be more than {}",
    "format": "should be a valid {}",
    "maxItems": "should have {} or fewer items",
    "maxLength": "should have {} or fewer characters",
    "maximum": "should be {} or less",
    "minItems": "should have {} or more items",
    "minLength": "should have {} or more characters",
    "minimum": "should be {} or more",
    "multipleOf": "should be a multiple of {}",
    "pattern": "should match {!r}",
}


def _message(keyword: str, limit: Any, error: ValidationError) -> str:
    if keyword == "type":
        kinds: list[str] = [limit] if isinstance(limit, str) else list(limit)
        return "should be " + " or ".join(_TYPES.get(kind, kind) for kind in kinds)
    if keyword == "enum" and len(limit) > _MOST_NAMED:
        near = ", ".join(map(repr, lookalikes(str(error.instance), map(str, limit))))
        return f"should be one of {len(limit)} words" + (f"; the nearest: {near}" if near else "")
    if keyword == "enum":
        return "should be one of " + ", ".join(map(repr, limit))
    if keyword in _LIMITS:
        return _LIMITS[keyword].format(limit)
    return str(error.message)


def _skipping_unknown(keyword: Keyword, *, whole: bool) -> Keyword:
    def check(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        if instance is ANYTHING or (whole and _has_unknown(instance)):
            return None
        return keyword(validator, limit, instance, schema)

    return check


def _has_unknown(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return any(map(_has_unknown, cast("list[object]", value)))
    return value is ANYTHING


def _one_of(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
    """Several branches may fit what is not known yet; none at all is a fault."""
    keyword = "anyOf" if _has_unknown(instance) else "oneOf"
    return _KEYWORDS[keyword](validator, limit, instance, schema)


_KEYWORDS: Final = cast("Mapping[str, Keyword]", Draft202012Validator.VALIDATORS)
_WHOLE: Final = frozenset(
    {"enum", "const", "uniqueItems", "not", "if", "contains", "dependentSchemas", "propertyNames"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)


def _is_number(_checker: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(_checker: object, value: object) -> bool:
    """The same as the check of resolved arguments: 3.0 is one, up to where readers of JSON begin to round."""
    if isinstance(value, float):
        return as_integer(value) is not None
    return isinstance(value, int) and not isinstance(value, bool)


_extend = cast("Callable[..., type[Any]]", extend)
_Lenient: Final = _extend(
    Draft202012Validator,
    validators={
        name: _skipping_unknown(_one_of if name == "oneOf" else keyword, whole=name in _WHOLE)
        for name, keyword in _KEYWORDS.items()
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


TEMPORAL: Final[Mapping[str, Any]] = {"date-time": datetime, "date": date, "time": time, "duration": timedelta}
"""Formats of times, with the types that read them."""
_BARE_NUMBER: Final = re.compile(r"\s*[-+]?[0-9.]+\s*")


def is_bare_number(text: str) -> bool:
    """Whether a text is a number alone: pydantic reads it as seconds since 1970, and nobody writes a time so."""
    return _BARE_NUMBER.fullmatch(text) is not None


def _formats() -> FormatChecker:
    """Formats checked by the same parser that reads resolved arguments."""
    checker = FormatChecker(formats=())
    for name, kind in {**TEMPORAL, "uuid": UUID}.items():
        adapter = TypeAdapter[Any](kind)

        def is_valid(value: object, adapter: TypeAdapter[Any] = adapter) -> bool:
            if isinstance(value, str):
                adapter.validate_strings(value, strict=True)
                return not is_bare_number(value)
            return True

        checker.checks(name, raises=ValueError)(is_valid)
    return checker


_FORMATS: Final = _formats()
