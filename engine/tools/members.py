"""What Python values have inside that was read from JSON: the members of models, dataclasses, dictionaries. Pure."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeGuard, cast

import orjson
from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

SEQUENCES: Final = (list, tuple, deque)
"""What a JSON list is read as, in its order."""

Member = tuple[list[str], object]
"""The names under which a member is read, the usual one first, and its value."""


def members(value: object) -> Iterator[Member]:
    """What a value holds under names; nothing for a value that has no members."""
    if isinstance(value, BaseModel):
        yield from _of_model(value)
    elif is_dataclass_value(value):
        yield from _of_dataclass(value)
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[object, object]", value).items():
            yield [key if isinstance(key, str) else _as_key(key)], inner
    elif isinstance(value, tuple) and hasattr(cast("object", value), "_fields"):
        named = cast("Any", value)
        for name in named._fields:
            yield [name], getattr(named, name)


def as_given(value: object) -> object:
    """A Python value as the JSON that is read as it: under the names that are read, every member written out.

    Raises ValueError for what can't be shown, and what pydantic raises for what is no JSON.
    """
    if isinstance(value, RootModel):
        return as_given(cast("RootModel[object]", value).root)
    if isinstance(value, SecretStr | SecretBytes):
        raise ValueError("would be hidden from the person who approves the arguments")  # noqa: TRY004 -- it is the value
    if isinstance(value, BaseModel | Mapping) or is_dataclass_value(value):
        return {names[0]: as_given(inner) for names, inner in members(cast("object", value))}
    if isinstance(value, SEQUENCES):
        return [as_given(inner) for inner in cast("Iterable[object]", value)]
    if isinstance(value, set | frozenset):
        # Its own order is another one in each process.
        return sorted(map(as_given, cast("Iterable[object]", value)), key=orjson.dumps)
    return cast("object", to_jsonable_python(value))


def static_defaults(part: type[Any]) -> Iterator[Member]:
    """The defaults of a model or dataclass that are there before any value is made."""
    if issubclass(part, BaseModel):
        for name, field in part.model_fields.items():
            if field.default_factory is None and not field.is_required() and (names := _model_names(part, name, field)):
                yield names, field.default
    elif dataclasses.is_dataclass(part):
        for each in dataclasses.fields(part):
            default: Any = each.default
            if isinstance(default, FieldInfo):
                default = dataclasses.MISSING if default.is_required() else default.default
            if each.init and default is not dataclasses.MISSING and (names := _dataclass_names(part, each.name)):
                yield names, default


def is_dataclass_value(value: object) -> TypeGuard[Any]:
    """Whether it is a dataclass's instance, and not the class."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _of_model(value: BaseModel) -> Iterator[Member]:
    kind = type(value)
    for name, field in kind.model_fields.items():
        if names := _model_names(kind, name, field):
            yield names, getattr(value, name)
    for name, inner in (value.model_extra or {}).items():
        yield [name], inner


def _of_dataclass(value: Any) -> Iterator[Member]:
    for each in dataclasses.fields(value):
        if each.init and (names := _dataclass_names(cast("type[Any]", type(value)), each.name)):
            yield names, getattr(value, each.name)


def _model_names(kind: type[BaseModel], name: str, field: FieldInfo) -> list[str]:
    config = kind.model_config
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    by_alias = config.get("validate_by_alias", True)
    return _names(name, field, by_name=bool(by_name), by_alias=by_alias is not False)


def _dataclass_names(kind: type[Any], name: str) -> list[str]:
    field: FieldInfo | None = getattr(kind, "__pydantic_fields__", {}).get(name)
    return [name] if field is None else _names(name, field, by_name=False, by_alias=True)


def _names(name: str, field: FieldInfo, *, by_name: bool, by_alias: bool) -> list[str]:
    """None for what is only read along a path: it has no name of its own."""
    alias = field.validation_alias or field.alias
    if alias is None or not by_alias:
        return [name]
    choices: list[str | AliasPath] = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [each for each in choices if isinstance(each, str)] + ([name] if by_name else [])


def _as_key(key: object) -> str:
    return next(iter(cast("dict[str, None]", to_jsonable_python({key: None}))))
