"""Checks a tool's arguments, planned and resolved, and turns them into Python values for the call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.nearest import Hints
from engine.tools.bare_numbers import BareNumbers
from engine.tools.defaults import completed, completed_by_schema
from engine.tools.errors import ArgsUnfit, Fault, ToolError
from engine.tools.foreign import text_of
from engine.tools.lenient import JMESPATH, SECRET, LenientSchema, with_unknowns
from engine.tools.schemas import names_at, words_at
from engine.tools.signature import Signature
from engine.values import UnfitValue, as_integer, fault_of, storable

_PLANNED: Final = frozenset({JMESPATH, SECRET})
_RESOLVED: Final = frozenset({SECRET})
_OF_WORDS: Final = frozenset({"extra_forbidden", "enum", "literal_error"})
"""Pydantic's faults that are about a word that is not known."""

Prepare = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Arguments in, arguments out: what a tool composes, so that it stands in what is approved."""


class Arguments:
    """What a tool's signature says of its arguments.

    Values are checked as JSON, strictly: a date comes as an ISO string, and "3" is no integer.
    """

    __slots__ = (
        "_bare_numbers",
        "_defaults",
        "_has_parts",
        "_lenient",
        "_make_optional",
        "_model",
        "_mutable",
        "_names",
        "_optional",
        "_prepare",
        "_schema",
    )

    def __init__(self, signature: Signature, prepare: Prepare | None = None) -> None:
        self._model = signature.model
        self._names = dict(signature.names)
        self._defaults = dict(signature.defaults)
        self._mutable = any(isinstance(default, dict | list) for default in self._defaults.values())
        self._has_parts = signature.has_parts
        self._make_optional = signature.optional
        self._optional: type[BaseModel] | None = None
        self._schema = signature.args_schema
        self._prepare = prepare
        self._bare_numbers = BareNumbers(self._schema)
        self._lenient: LenientSchema | None = None

    def faults(self, args: Mapping[str, object]) -> list[Fault]:
        """Everything wrong with planned arguments; a reference at any depth stands for any value."""
        return self._faults(dict(args), _PLANNED)

    def fit(self, args: dict[str, Any]) -> dict[str, Any]:
        """Resolved arguments with the defaults filled in at every depth, and prepared; or ArgsUnfit.

        Otherwise they are unchanged, but for whole numbers like 3.0 where an integer is wanted: those become 3.
        """
        filled = self._filled(args)
        return filled if self._prepare is None else self._prepared(filled, self._prepare)

    def values(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments that are given as Python values, by parameter; or ArgsUnfit."""
        try:
            encoded = orjson.dumps(args)
            model, _ = _validated(self._model, args, encoded)
        except orjson.JSONEncodeError as error:
            raise ArgsUnfit(_json_faults(args) or [Fault((), str(error))]) from error
        except ValidationError as error:
            # The error's text has the values, secrets too.
            raise ArgsUnfit(_readable(error, args, self._schema)) from None
        if numbers := self._bare_numbers.faults(args, encoded):
            raise ArgsUnfit(numbers)
        given = model.model_fields_set
        return {name: getattr(model, field) for field, name in self._names.items() if field in given}

    def _filled(self, args: dict[str, Any]) -> dict[str, Any]:
        defaults = copy.deepcopy(self._defaults) if self._mutable else self._defaults
        if (read := self._read_at_once(args)) is not None:
            model, whole = read
            filled = {**defaults, **whole}
            return self._filled_for_good(filled, model) if self._has_parts else filled
        faults = self._faults(args, _RESOLVED)
        if faults:
            raise ArgsUnfit(faults)
        filled = {**defaults, **args}
        return self._filled_around_secrets(filled) if self._has_parts else filled

    def _read_at_once(self, args: dict[str, Any]) -> tuple[BaseModel, dict[str, Any]] | None:
        """The Python values, and the arguments that they come from; None if they are unfit or hold a secret."""
        try:
            encoded = orjson.dumps(args)
            if b'"$secret"' in encoded or self._bare_numbers.faults(args, encoded):
                return None
            return _validated(self._model, args, encoded)
        except BaseException:  # noqa: BLE001 - every fault is said at its path later; an author's checks may raise anything
            return None

    def _filled_for_good(self, args: dict[str, Any], model: BaseModel) -> dict[str, Any]:
        """The same with the defaults inside of what was given: so a reader finds none missing, now or later."""
        filled = self._filled_inside(args, model)
        if (
            filled is not args
            and self._filled_inside(filled, _validated(self._model, filled, orjson.dumps(filled))[0]) is not filled
        ):
            raise ArgsUnfit([Fault((), "defaults inside are filled in differently each time; write them out")])
        return filled

    def _filled_inside(self, args: dict[str, Any], read: object) -> dict[str, Any]:
        """The same for what was read of them; what is filled in has to fit, too."""
        try:
            filled = cast("dict[str, Any]", completed(args, read))
        except BaseException as error:  # whatever classes of a tool's author raise; nothing here is awaited
            raise ArgsUnfit(
                [Fault((), f"a default inside can't be written as JSON: {storable(text_of(error))}")]
            ) from error
        if filled is not args and (faults := self._faults(filled, _RESOLVED)):
            raise ArgsUnfit(faults)
        return filled

    def _filled_around_secrets(self, args: dict[str, Any]) -> dict[str, Any]:
        """The same for arguments with secrets in them, which can't be read before the call."""
        schema = self._schema

        def fits(branch: Mapping[str, Any], value: object) -> bool:
            known, _ = with_unknowns(value, _RESOLVED)
            return not LenientSchema({"$defs": schema.get("$defs", {}), **branch}).faults(known)

        around = {
            name: completed_by_schema(value, schema["properties"][name], schema, fits)
            for name, value in args.items()
            if with_unknowns(value, _RESOLVED)[1]
        }
        whole = {name: value for name, value in args.items() if name not in around}
        read, _ = _validated(self._of_some(), whole, orjson.dumps(whole))
        values = {name: getattr(read, field) for field, name in self._names.items() if name in whole}
        return self._filled_inside({**args, **around}, values)

    def _of_some(self) -> type[BaseModel]:
        """The model of some of the arguments."""
        if self._optional is None:
            self._optional = self._make_optional()
        return self._optional

    def _prepared(self, args: dict[str, Any], prepare: Prepare) -> dict[str, Any]:
        """What the tool makes of its arguments, which it must leave alone when it sees it again."""
        prepared = self._filled(_outcome_of(prepare, args))
        if _outcome_of(prepare, prepared) != prepared:
            raise ArgsUnfit([Fault((), "its prepare changes again what it has prepared; it must leave that as it is")])
        return prepared

    def _faults(self, args: dict[str, Any], references: frozenset[str]) -> list[Fault]:
        try:
            return self._found(args, references)
        except BaseException as error:  # noqa: BLE001 - an author's checks may raise anything, and nothing here is awaited
            return [Fault((), f"can't be checked: {storable(text_of(error))[:1000]}")]

    def _found(self, args: dict[str, Any], references: frozenset[str]) -> list[Fault]:
        faults = _json_faults(args)
        if faults:
            return faults
        looked = {name: with_unknowns(value, references) for name, value in args.items()}
        known = {name: value for name, (value, _) in looked.items()}
        unknown = {name for name, (_, is_unknown) in looked.items() if is_unknown}
        if not unknown:
            return _faults_by(self._model, known, self._schema) or self._bare_numbers.faults(known, orjson.dumps(known))
        if self._lenient is None:
            self._lenient = LenientSchema(self._schema)
        faults = self._lenient.faults(known)
        # What is known as a whole is read as it will be, too: a schema may say less than what reads it.
        named = {fault.path[0] for fault in faults if fault.path}
        whole = {name: value for name, value in known.items() if name not in unknown | named}
        return faults + _faults_by(self._of_some(), whole, self._schema)


def _validated(model: type[BaseModel], args: dict[str, Any], encoded: bytes) -> tuple[BaseModel, dict[str, Any]]:
    """The Python values, and the arguments that they come from; or ValidationError, or what a check raises.

    JSON has one kind of number: 3.0 is the integer 3, as the digest sees it too.
    """
    read = model.__pydantic_validator__.validate_json
    try:
        return read(encoded, strict=True), args
    except ValidationError as error:
        whole = _with_integers(args, error)
        if whole is None:
            raise
    return read(orjson.dumps(whole), strict=True), whole


def _with_integers(args: dict[str, Any], error: ValidationError) -> dict[str, Any] | None:
    """The arguments with an integer in place of each whole number that was refused; None when there is none."""
    places = {
        _path_in(args, each) for each in error.errors(include_url=False, include_input=False, include_context=False)
    }
    whole: dict[str, Any] | None = None
    for path in places:
        value = _value_at(args, path)
        if isinstance(value, float) and (integer := as_integer(value)) is not None:
            whole = copy.deepcopy(args) if whole is None else whole
            parent: Any = _value_at(whole, path[:-1])
            parent[path[-1]] = integer
    return whole


def _faults_by(model: type[BaseModel], args: dict[str, Any], schema: Mapping[str, Any]) -> list[Fault]:
    try:
        _validated(model, args, orjson.dumps(args))
    except ValidationError as error:
        return _readable(error, args, schema)
    return []


def _outcome_of(prepare: Prepare, args: dict[str, Any]) -> dict[str, Any]:
    """What an author's function makes of arguments: whatever it raises is a fault of these arguments alone."""
    try:
        made: Any = prepare(copy.deepcopy(args))
    except ArgsUnfit:
        raise
    except ToolError as error:
        raise ArgsUnfit([Fault((), storable(str(error)))]) from error
    except (Exception, SystemExit, GeneratorExit) as error:
        raise ArgsUnfit([Fault((), f"can't be prepared: {storable(text_of(error))}")]) from error
    if not isinstance(made, Mapping):
        raise ArgsUnfit([Fault((), f"its prepare gave back {type(made).__name__}, and no arguments")])
    prepared = dict(cast("Mapping[str, Any]", made))
    if faults := _json_faults(prepared):
        raise ArgsUnfit(faults)
    return prepared


def _json_faults(args: object) -> list[Fault]:
    fault: UnfitValue | None = fault_of(args)
    return [] if fault is None else [Fault(fault.path, fault.message)]


def _readable(error: ValidationError, args: object, schema: Mapping[str, Any]) -> list[Fault]:
    """Pydantic's errors, one fault a path: the branches of a union speak of the same value."""
    hints = Hints()
    kinds: dict[tuple[str | int, ...], str] = {}
    messages: dict[tuple[str | int, ...], list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = _path_in(args, detail)
        message = _message(detail)
        said = messages.setdefault(path, [])
        if message not in said:
            said.append(message)
        if detail["type"] in _OF_WORDS:
            kinds[path] = detail["type"]
    return [
        Fault(path, _joined(said) + (_hint(hints, kinds[path], path, args, schema) if path in kinds else ""))
        for path, said in messages.items()
    ]


def _hint(hints: Hints, kind: str, path: tuple[str | int, ...], args: object, schema: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        return hints.near(path[-1], names_at(schema, path[:-1])) if path else ""
    return hints.near(_value_at(args, path), words_at(schema, path))


def _value_at(args: object, path: tuple[str | int, ...]) -> object:
    here: Any = args
    for part in path:
        try:
            here = here[part]
        except (LookupError, TypeError):  # the fault is about an entry's name, or its parent
            return None
    return here


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
