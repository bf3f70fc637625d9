"""Turns what a tool returned into plain JSON values, or says where and why it can't."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

from engine.tools.errors import ResultUnfit
from engine.tools.foreign import text_of
from engine.values import MAX_DEPTH, MAX_VALUES, fault_of, is_fit

Way = tuple[str | int, ...]


def plain(value: object, *, at_most: int = MAX_VALUES) -> object:
    """The value as JSON: models and dataclasses as objects, tuples as lists, times as ISO 8601 text.

    A Decimal becomes text, which keeps its digits. Raises ResultUnfit, which names the place, for sets,
    bytes, other objects, keys that are not text, more than `at_most` values, and everything that `engine.values`
    refuses.
    """
    if is_fit(value, at_most=at_most):
        return value
    try:
        converted = _Conversion(at_most).of(value, ())
    except ResultUnfit:
        raise
    except BaseException as error:  # a mapping or a number of the author's own may raise anything when it is read
        raise ResultUnfit((), f"can't be read: {text_of(error):.500}") from error
    fault = fault_of(converted)
    if fault is not None:
        raise ResultUnfit(fault.path, fault.message)
    return converted


class ResultSchema(GenerateJsonSchema):
    """JSON Schema of results under the names that `plain` gives their fields: a model's aliases only if it says so."""

    def __init__(self, by_alias: bool = True, *args: Any, **more: Any) -> None:  # noqa: FBT001, FBT002 -- as pydantic has it
        del by_alias
        super().__init__(False, *args, **more)  # noqa: FBT003

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A model's schema. What it says of aliases holds for itself alone, as when it is dumped."""
        before = self.by_alias
        self.by_alias = bool(schema["cls"].model_config.get("serialize_by_alias"))
        try:
            return super().model_schema(schema)
        finally:
            self.by_alias = before


class _Conversion:
    """One walk over a value, bounded in depth and number."""

    __slots__ = ("_at_most", "_left", "_open")

    def __init__(self, at_most: int) -> None:
        self._open: set[int] = set()
        self._at_most = self._left = at_most

    def of(self, value: object, path: Way) -> object:
        self._left -= 1
        if self._left < 0:
            raise ResultUnfit((), f"holds more than {self._at_most} values")
        if value is None or type(value) in (str, int, float, bool):
            return value
        if isinstance(value, Enum):
            return self.of(value.value, path)
        scalar = _scalar(value)
        if scalar is not None:
            return scalar
        if id(value) in self._open:
            raise ResultUnfit(path, "contains itself")
        if len(path) >= MAX_DEPTH:
            raise ResultUnfit(path, f"is nested deeper than {MAX_DEPTH} levels")
        self._open.add(id(value))
        try:
            return self._container(value, path)
        finally:
            self._open.discard(id(value))

    def _container(self, value: object, path: Way) -> object:
        if isinstance(value, list | tuple):
            items = cast("list[object]", value)
            return [self.of(item, (*path, number)) for number, item in enumerate(items)]
        if isinstance(value, BaseModel):
            return self._entries(_dumped(value, path), path)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return self._entries({each.name: getattr(value, each.name) for each in fields}, path)
        if isinstance(value, Mapping):
            return self._entries(cast("Mapping[object, object]", value), path)
        raise ResultUnfit(path, f"is no JSON value (a Python {type(value).__qualname__})")

    def _entries(self, entries: Mapping[Any, object], path: Way) -> dict[str, object]:
        plain_entries: dict[str, object] = {}
        for key, value in entries.items():
            name = key.value if isinstance(key, Enum) else key
            if not isinstance(name, str):
                raise ResultUnfit(path, f"has the key {name!r:.40}, which is not text")
            plain_entries[str(name)] = self.of(value, (*path, str(name)))
        return plain_entries


def _scalar(value: object) -> str | int | float | None:
    """A single JSON value for what is one in all but type, or None."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return cast("str", to_jsonable_python(value))
    if isinstance(value, UUID | PurePath | Decimal):
        return str(value)
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return None


def _dumped(model: BaseModel, path: Way) -> dict[str, object]:
    try:
        return model.model_dump(mode="json")
    except BaseException as error:  # serializers are the author's code, and may raise anything
        raise ResultUnfit(path, f"can't be turned into JSON: {text_of(error):.500}") from error
