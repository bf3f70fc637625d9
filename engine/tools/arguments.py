"""Checks a tool's arguments, planned and resolved, and turns them into Python values for the call."""

from __future__ import annotations

import copy
import re
from collections.abc import Container, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any, Final, cast

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.tools.errors import ArgsUnfit, Fault
from engine.tools.lenient import JMESPATH, SECRET, TEMPORAL, LenientSchema, is_bare_number, with_unknowns
from engine.tools.signature import Signature
from engine.values import UnfitValue, fault_of

_PLANNED: Final = frozenset({JMESPATH, SECRET})
_RESOLVED: Final = frozenset({SECRET})
_NUMBER_IN_QUOTES: Final = re.compile(rb'"\s*[-+]?[0-9.]+\s*"')


class Arguments:
    """What a tool's signature says of its arguments.

    Values are checked as JSON, strictly: a date comes as an ISO string, and "3" is no integer.
    """

    __slots__ = ("_defaults", "_has_times", "_lenient", "_mutable", "_names", "_schema", "_validate_json")

    def __init__(self, signature: Signature) -> None:
        self._validate_json = signature.model.__pydantic_validator__.validate_json
        self._names = dict(signature.names)
        self._defaults = dict(signature.defaults)
        self._mutable = any(isinstance(default, dict | list) for default in self._defaults.values())
        self._schema = signature.args_schema
        self._has_times = _has_format(self._schema, TEMPORAL)
        self._lenient: LenientSchema | None = None

    def faults(self, args: Mapping[str, object]) -> list[Fault]:
        """Everything wrong with planned arguments; a reference at any depth stands for any value."""
        return self._faults(dict(args), _PLANNED)

    def fit(self, args: dict[str, Any]) -> dict[str, Any]:
        """Resolved arguments with the defaults filled in, otherwise unchanged; or ArgsUnfit."""
        try:
            encoded = orjson.dumps(args)
            if b'"$secret"' not in encoded:
                self._validate_json(encoded, strict=True)
                if not self._bare_numbers(args, encoded):
                    return self._filled(args)
        except (orjson.JSONEncodeError, ValidationError):
            pass  # said below, with every fault at its path
        faults = self._faults(args, _RESOLVED)
        if faults:
            raise ArgsUnfit(faults)
        return self._filled(args)

    def values(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments that are given as Python values, by parameter; or ArgsUnfit."""
        try:
            encoded = orjson.dumps(args)
            model = self._validate_json(encoded, strict=True)
        except orjson.JSONEncodeError as error:
            raise ArgsUnfit(_json_faults(args) or [Fault((), str(error))]) from error
        except ValidationError as error:
            raise ArgsUnfit(_readable(error, args)) from None  # the error's text has the values, secrets too
        if numbers := self._bare_numbers(args, encoded):
            raise ArgsUnfit(numbers)
        given = model.model_fields_set
        return {name: getattr(model, field) for field, name in self._names.items() if field in given}

    def _filled(self, args: dict[str, Any]) -> dict[str, Any]:
        defaults = copy.deepcopy(self._defaults) if self._mutable else self._defaults
        return {**defaults, **args}

    def _faults(self, args: dict[str, Any], references: frozenset[str]) -> list[Fault]:
        faults = _json_faults(args)
        if faults:
            return faults
        known, has_unknown = with_unknowns(args, references)
        if has_unknown:
            return self._by_schema().faults(known)
        encoded = orjson.dumps(known)
        try:
            self._validate_json(encoded, strict=True)
        except ValidationError as error:
            return _readable(error, known)
        return self._bare_numbers(known, encoded)

    def _by_schema(self) -> LenientSchema:
        if self._lenient is None:
            self._lenient = LenientSchema(self._schema)
        return self._lenient

    def _bare_numbers(self, args: object, encoded: bytes) -> list[Fault]:
        """Texts like "1796000000" where a time should stand: pydantic takes them, which its strictness can't change."""
        if not self._has_times or _NUMBER_IN_QUOTES.search(encoded) is None:
            return []
        return [fault for fault in self._by_schema().faults(args) if _is_bare_number_at(args, fault.path)]


def _has_format(schema: object, formats: Container[object]) -> bool:
    if isinstance(schema, Mapping):
        entries = cast("Mapping[str, object]", schema)
        return entries.get("format") in formats or any(_has_format(inner, formats) for inner in entries.values())
    if isinstance(schema, list):
        return any(_has_format(inner, formats) for inner in cast("list[object]", schema))
    return False


def _is_bare_number_at(args: object, path: Sequence[str | int]) -> bool:
    value: Any = reduce(getitem, cast("Sequence[Any]", path), cast("Any", args))
    return isinstance(value, str) and is_bare_number(value)


def _json_faults(args: object) -> list[Fault]:
    fault: UnfitValue | None = fault_of(args)
    return [] if fault is None else [Fault(fault.path, fault.message)]


def _readable(error: ValidationError, args: object) -> list[Fault]:
    """Pydantic's errors, one fault a path: the branches of a union speak of the same value."""
    messages: dict[tuple[str | int, ...], list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = _path_in(args, detail)
        message = _message(detail)
        said = messages.setdefault(path, [])
        if message not in said:
            said.append(message)
    return [Fault(path, _joined(said)) for path, said in messages.items()]


def _path_in(args: object, detail: ErrorDetails) -> tuple[str | int, ...]:
    """The error's place without what only names a branch of a union."""
    path: list[str | int] = []
    here = args
    last = len(detail["loc"]) - 1
    for number, part in enumerate(detail["loc"]):
        if isinstance(here, dict) and part in here:
            here = cast("dict[str | int, object]", here)[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(cast("list[object]", here)):
            here = cast("list[object]", here)[part]
        elif not (number == last and detail["type"] == "missing"):
            continue
        path.append(part)
    return tuple(path)


def _message(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not known here"
        case _:
            message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            return message.replace("Input should", "should", 1)


def _joined(messages: list[str]) -> str:
    first, *rest = messages
    return " or ".join([first, *(message.removeprefix("should be ") for message in rest)])
