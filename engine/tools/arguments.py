"""Checks a tool's arguments, planned and resolved, and turns them into Python values for the call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.tools.errors import ArgsUnfit, Fault
from engine.tools.foreign import text_of
from engine.tools.lenient import JMESPATH, SECRET, LenientSchema, with_unknowns
from engine.tools.signature import Signature
from engine.values import UnfitValue, as_integer, fault_of

_PLANNED: Final = frozenset({JMESPATH, SECRET})
_RESOLVED: Final = frozenset({SECRET})


class Arguments:
    """What a tool's signature says of its arguments.

    Values are checked as JSON, strictly: a date comes as an ISO string, and "3" is no integer.
    """

    __slots__ = ("_defaults", "_lenient", "_mutable", "_names", "_schema", "_validate_json")

    def __init__(self, signature: Signature) -> None:
        self._validate_json = signature.model.__pydantic_validator__.validate_json
        self._names = dict(signature.names)
        self._defaults = dict(signature.defaults)
        self._mutable = any(isinstance(default, dict | list) for default in self._defaults.values())
        self._schema = signature.args_schema
        self._lenient: LenientSchema | None = None

    def faults(self, args: Mapping[str, object]) -> list[Fault]:
        """Everything wrong with planned arguments; a reference at any depth stands for any value."""
        return self._faults(dict(args), _PLANNED)

    def _faults(self, args: dict[str, Any], references: frozenset[str]) -> list[Fault]:
        try:
            return self._found(args, references)
        except BaseException as error:  # noqa: BLE001 - an author's checks may raise anything, and nothing here is awaited
            return [Fault((), f"can't be checked: {text_of(error):.1000}")]

    def fit(self, args: dict[str, Any]) -> dict[str, Any]:
        """Resolved arguments with the defaults filled in; or ArgsUnfit.

        Otherwise they are unchanged, but for whole numbers like 3.0 where an integer is wanted: those become 3.
        """
        try:
            encoded = orjson.dumps(args)
            if b'"$secret"' not in encoded:
                return self._filled(self._validated(encoded, args)[1])
        except BaseException:  # noqa: BLE001, S110 - said below, with every fault at its path; an author's checks may raise anything
            pass
        faults = self._faults(args, _RESOLVED)
        if faults:
            raise ArgsUnfit(faults)
        return self._filled(args)

    def values(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments that are given as Python values, by parameter; or ArgsUnfit."""
        try:
            model, _ = self._validated(orjson.dumps(args), args)
        except orjson.JSONEncodeError as error:
            raise ArgsUnfit(_json_faults(args) or [Fault((), str(error))]) from error
        except ValidationError as error:
            raise ArgsUnfit(_readable(error, args)) from None  # the error's text has the values, secrets too
        given = model.model_fields_set
        return {name: getattr(model, field) for field, name in self._names.items() if field in given}

    def _filled(self, args: dict[str, Any]) -> dict[str, Any]:
        defaults = copy.deepcopy(self._defaults) if self._mutable else self._defaults
        return {**defaults, **args}

    def _validated(self, encoded: bytes, args: dict[str, Any]) -> tuple[BaseModel, dict[str, Any]]:
        """The Python values, and the arguments that they come from; or ValidationError, or what a check raises.

        JSON has one kind of number: 3.0 is the integer 3, as the digest sees it too.
        """
        try:
            return self._validate_json(encoded, strict=True), args
        except ValidationError as error:
            whole = _with_integers(args, error)
            if whole is None:
                raise
        return self._validate_json(orjson.dumps(whole), strict=True), whole

    def _found(self, args: dict[str, Any], references: frozenset[str]) -> list[Fault]:
        faults = _json_faults(args)
        if faults:
            return faults
        known, has_unknown = with_unknowns(args, references)
        if has_unknown:
            if self._lenient is None:
                self._lenient = LenientSchema(self._schema)
            return self._lenient.faults(known)
        try:
            self._validated(orjson.dumps(known), cast("dict[str, Any]", known))
        except ValidationError as error:
            return _readable(error, known)
        return []


def _json_faults(args: object) -> list[Fault]:
    fault: UnfitValue | None = fault_of(args)
    return [] if fault is None else [Fault(fault.path, fault.message)]


def _with_integers(args: dict[str, Any], error: ValidationError) -> dict[str, Any] | None:
    """The arguments with an integer in place of each whole number that was refused; None when there is none."""
    places = {
        _path_in(args, each) for each in error.errors(include_url=False, include_input=False, include_context=False)
    }
    whole: dict[str, Any] | None = None
    for path in places:
        value = _at(args, path)
        if isinstance(value, float) and (integer := as_integer(value)) is not None:
            whole = copy.deepcopy(args) if whole is None else whole
            _at(whole, path[:-1])[path[-1]] = integer
    return whole


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at the path; None where there is nothing: a missing argument's place is a path too."""
    for part in path:
        if isinstance(value, dict):
            value = cast("dict[str | int, Any]", value).get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[part]
        else:
            return None
    return value


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
