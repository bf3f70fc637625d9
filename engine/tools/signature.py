"""Reads a tool's parameters from its function's signature, and refuses what no plan could call."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import ComputedFieldInfo, FieldInfo
from pydantic_core import PydanticSerializationError

from engine.tools.context import ToolContext
from engine.tools.defaults import ArgumentsSchema, has_parts, unfit_default
from engine.tools.errors import ToolDeclarationError
from engine.tools.members import as_given
from engine.tools.results import ResultSchema
from engine.values import encode, fault_of

log = structlog.get_logger()

_WITHOUT_FORM: Final = (
    None,
    types.NoneType,
    Any,
    object,
    dict,
    Mapping,
    dict[str, Any],
    dict[str, object],
    Mapping[str, Any],
    Mapping[str, object],
)
"""Return annotations that say no more of a result than that it is JSON."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a tool's function takes and gives."""

    takes_context: bool
    context_by_name: str | None
    """The context's parameter, when it can be passed by name only."""
    model: type[BaseModel]
    """One field for each argument, under aliases: a parameter may have any name."""
    names: Mapping[str, str]
    """From the model's fields to the parameters."""
    defaults: Mapping[str, object]
    """JSON values of the parameters that have one."""
    has_parts: bool
    """Whether arguments may have defaults inside: of models and the like."""
    optional: Callable[[], type[BaseModel]]
    """Makes the same model with nothing required in it."""
    args_schema: dict[str, Any]
    result_schema: dict[str, Any] | None


def read_signature(function: Callable[..., object]) -> Signature:
    """The signature of a tool's function; ToolDeclarationError says what to mend."""
    name = where(function)
    parameters = list(inspect.signature(function).parameters.values())
    context = parameters[0] if parameters and _is_context(parameters[0]) else None
    arguments = parameters[1:] if context is not None else parameters
    fields: dict[str, Any] = {}
    defaults: dict[str, object] = {}
    names: dict[str, str] = {}
    for number, parameter in enumerate(arguments):
        _check_kind(name, parameter)
        annotation = _annotation(function, parameter)
        field: Any = {"alias": parameter.name}
        if parameter.default is not parameter.empty:
            _check_default_kind(name, parameter)
            defaults[parameter.name] = _plain_default(name, parameter)
            field["default"] = parameter.default
        fields[f"arg_{number}"] = (annotation, Field(**field))
        names[f"arg_{number}"] = parameter.name
    model = _model(function, fields)
    _check_defaults(name, model, defaults)
    if unfit := unfit_default(model):
        raise ToolDeclarationError(f"tool {name}: {unfit}")
    return Signature(
        takes_context=context is not None,
        context_by_name=context.name if context is not None and context.kind is context.KEYWORD_ONLY else None,
        model=model,
        names=names,
        defaults=defaults,
        has_parts=has_parts(model),
        optional=partial(_optional_model, function, fields),
        args_schema=_args_schema(function, model),
        result_schema=_result_schema(function),
    )


def where(function: Callable[..., object]) -> str:
    """How messages name a function: its module and qualified name."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{module}.{name}" if module else name


def _is_context(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        annotation = annotation.strip("\"' ").rpartition(".")[2]
        return parameter.name == "ctx" or annotation == "ToolContext"
    return parameter.name == "ctx" or annotation is ToolContext


def _check_kind(name: str, parameter: inspect.Parameter) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise ToolDeclarationError(
            f"tool {name}: {stars}{parameter.name} has no schema; declare each argument by its name"
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise ToolDeclarationError(
            f"tool {name}: {parameter.name!r} can't be passed by its name; move the / in front of it"
        )
    if _is_context(parameter):
        raise ToolDeclarationError(f"tool {name}: the context must be the first parameter")
    if parameter.annotation is parameter.empty:
        raise ToolDeclarationError(
            f"tool {name}: {parameter.name!r} has no annotation, which its schema comes from; "
            f"annotate it, as in '{parameter.name}: str'"
        )


def _annotation(function: Callable[..., object], parameter: inspect.Parameter) -> Any:
    try:
        return resolved(function, parameter.name, parameter.annotation)
    except Exception as error:
        raise ToolDeclarationError(
            f"tool {where(function)}: the annotation {parameter.annotation!r} of {parameter.name!r} can't be "
            f"resolved ({error}); import or define it at the top of the module, outside TYPE_CHECKING"
        ) from error


def resolved(function: Callable[..., object], name: str, annotation: object) -> Any:
    """An annotation as a type, also when it was written as text."""
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return typing.get_type_hints(holder, globalns=scope, include_extras=True)[name]


def _title(name: str, field: FieldInfo | ComputedFieldInfo) -> str:
    title = (field.alias or name).replace("_", " ").strip()
    return title[:1].upper() + title[1:]


def _check_default_kind(name: str, parameter: inspect.Parameter) -> None:
    if isinstance(parameter.default, FieldInfo):
        raise ToolDeclarationError(
            f"tool {name}: write the Field of {parameter.name!r} inside its annotation, "
            f"as in '{parameter.name}: Annotated[int, Field(ge=1)] = 1'"
        )


def _plain_default(name: str, parameter: inspect.Parameter) -> object:
    try:
        default = as_given(parameter.default)
    except PydanticSerializationError as error:
        raise ToolDeclarationError(f"tool {name}: the default of {parameter.name!r} is not JSON") from error
    except ValueError as error:
        raise ToolDeclarationError(f"tool {name}: the default of {parameter.name!r} {error}") from error
    fault = fault_of(default)
    if fault is not None:
        raise ToolDeclarationError(f"tool {name}: the default of {parameter.name!r} {fault}")
    return default


def _model(function: Callable[..., object], fields: dict[str, Any]) -> type[BaseModel]:
    name = getattr(function, "__name__", "tool")
    # Aliases alone name the arguments: an unknown one is a fault, "arg_0" included.
    config = ConfigDict(extra="forbid", title=name, field_title_generator=_title)
    try:
        return create_model(name, __config__=config, __module__=function.__module__, **fields)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise ToolDeclarationError(
            f"tool {where(function)}: its arguments have no schema: {_first_line(error)}; "
            "use JSON types, pydantic models or dataclasses"
        ) from error


def _optional_model(function: Callable[..., object], fields: Mapping[str, Any]) -> type[BaseModel]:
    optional = {
        name: (annotation, Field(alias=field.alias, default=None)) for name, (annotation, field) in fields.items()
    }
    return _model(function, optional)


def _check_defaults(name: str, model: type[BaseModel], defaults: Mapping[str, object]) -> None:
    for parameter, default in defaults.items():
        try:
            model.__pydantic_validator__.validate_json(encode({parameter: default}), strict=True)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_input=False):
                if fault["loc"][0] == parameter:
                    mend = f"; annotate it as '{parameter}: … | None'" if default is None else ""
                    raise ToolDeclarationError(
                        f"tool {name}: the default of {parameter!r} does not fit its annotation: {fault['msg']}{mend}"
                    ) from error


def _args_schema(function: Callable[..., object], model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema(schema_generator=ArgumentsSchema)
    except PydanticInvalidForJsonSchema as error:
        raise ToolDeclarationError(
            f"tool {where(function)}: its arguments have no JSON Schema: {_first_line(error)}; "
            "use JSON types, pydantic models or dataclasses"
        ) from error


def _result_schema(function: Callable[..., object]) -> dict[str, Any] | None:
    annotation = inspect.signature(function).return_annotation
    if annotation is inspect.Signature.empty:
        return None
    try:
        annotation = resolved(function, "return", annotation)
        if annotation in _WITHOUT_FORM:
            return None
        return TypeAdapter[Any](annotation).json_schema(mode="serialization", schema_generator=ResultSchema)
    except Exception as error:
        if isinstance(error, PydanticUserError) and error.code == "typed-dict-version":
            # As for arguments: one word mends it.
            raise ToolDeclarationError(
                f"tool {where(function)}: what it returns has no schema: {_first_line(error)}"
            ) from error
        # Only a description: what it returns is checked when it has returned.
        log.warning("tool_without_result_schema", tool=where(function), why=_first_line(error))
        return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
