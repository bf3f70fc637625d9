"""Reads a CV as it is into the form that it should have. Pure.

What a model's fields want is read from their annotations; a field of another form is turned into it where nothing is
lost, and otherwise left out with a remark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel

from engine.tools.builtin.resumes.dates import is_ongoing, read_date
from engine.values import dotted, fault_of, storable

if TYPE_CHECKING:
    from engine.tools.builtin.resumes.model import Part

Path = tuple[str | int, ...]

DATE: Final = "a date"
"""Marks a field as one, in its annotation."""

_LONG: Final = 10_000
"""Texts that may be as long are cut; a shorter one, such as an address, would be another one."""

_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field wants: a part or a text, one or a list of them; how many at most, and how long a text at most."""

    alias: str
    is_list: bool
    part: type[Part] | None
    is_date: bool
    most: int
    longest: int
    is_required: bool


class Reading:
    """One reading of a CV, and the remarks that it makes."""

    def __init__(self) -> None:
        self._remarks: list[str] = []
        self._unprinted: list[str] = []

    @property
    def remarks(self) -> tuple[str, ...]:
        """What could not be read, or will not be printed, and why: a sentence for each."""
        if not self._unprinted:
            return tuple(self._remarks)
        named, more = self._unprinted[:_MOST_NAMED], len(self._unprinted) - _MOST_NAMED
        said = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        return (*self._remarks, f"CV: JSON Resume has no {said}; kept in the JSON, not printed in the text")

    def part(self, value: Mapping[str, Any], model: type[Part], path: Path) -> dict[str, Any]:
        """An object as this part of a CV: under today's names, without what is unsaid."""
        given = {storable(name): each for name, each in value.items() if not _is_unsaid(each, levels=0)}
        read: dict[str, Any] = {}
        for name, field in _fields(model).items():
            for called in (name, *model.formerly.get(name, ())):
                if called not in given or (name in read and given[called] != read[name]):
                    continue  # what an older name says beside today's is kept as it is
                each = given.pop(called)
                found = read[name] if name in read else self._field(each, field, (*path, called), model)
                if not _is_unsaid(found) or (field.is_required and isinstance(found, dict)):
                    read[name] = found
        for name, each in given.items():
            if not (_is_unsaid(each) or (found := self._other(each, (*path, name), model)) is None):
                read[name] = found
        return read

    def _other(self, value: object, path: Path, model: type[Part]) -> object:
        """What is no field is kept as it is."""
        fault = fault_of(value)
        if fault is not None:
            return self._left_out((*path, *fault.path), f"it {fault.message}")
        if path[-1] not in model.unprinted:
            self._unprinted.append(dotted(path))
        return value

    def _field(self, value: object, field: _Field, path: Path, model: type[Part]) -> object:
        if field.is_list:
            entries = cast("list[object]", value) if isinstance(value, list) else self._as_list(value, field)
            found = [
                one
                for place, each in enumerate(entries[: field.most])
                if not _is_unsaid(one := self._one(each, field, (*path, place)))
            ]
            if len(entries) > field.most:
                self._remark(path, f"has {len(entries)} entries, and the first {field.most} were taken")
            return found
        if field.is_date:
            return self._date(value, field, path, goes_on=model.goes_on and field.alias == "endDate")
        return self._one(value, field, path)

    def _as_list(self, value: object, field: _Field) -> list[object]:
        """A text stands for its lines, and anything else for a list of one."""
        return list(value.splitlines()) if isinstance(value, str) and field.part is None else [value]

    def _one(self, value: object, field: _Field, path: Path) -> object:
        if field.part is None:
            return None if _is_unsaid(value) else self._text(value, path, field.longest)
        entries = cast("list[object]", value) if isinstance(value, list) else [value]
        alone: object = entries[0] if len(entries) == 1 else entries
        if isinstance(alone, dict):
            return self.part(cast("dict[str, Any]", alone), field.part, path)
        text = None if _is_unsaid(alone) else self._text(alone, path, _LONG)
        return None if text is None else {field.part.main: text}

    def _date(self, value: object, field: _Field, path: Path, *, goes_on: bool) -> str | None:
        text = self._text(value, path, field.longest)
        if text is None:
            return None
        if field.alias == "endDate" and is_ongoing(text):
            return None if goes_on else text
        found = read_date(text)
        if found is None:
            self._remark(path, f"“{text}” can't be read as a date; it stands as it was written")
        return found or text

    def _text(self, value: object, path: Path, longest: int) -> str | None:
        text = self._scalar(value)
        if text is None:
            found = [self._scalar(each) for each in _parts(value) if not _is_unsaid(each)]
            if not found or None in found:
                return self._left_out(path, f"{_kind(value)} is no text")
            text = ", ".join(each for each in found if each)
        if len(text) <= longest:
            return text
        if longest < _LONG:
            return self._left_out(path, f"it has {len(text)} characters, more than {longest}")
        self._remark(path, f"has {len(text)} characters, and the first {longest - 1} were taken")
        return text[: longest - 1] + "…"

    def _scalar(self, value: object) -> str | None:
        if isinstance(value, str):
            return storable(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return str(value) if isinstance(value, int) or isfinite(value) else None

    def _left_out(self, path: Path, why: str) -> None:
        self._remark(path, f"was left out, as {why}")

    def _remark(self, path: Path, text: str) -> None:
        self._remarks.append(f"CV: {dotted(path)} {text}")


@cache
def _fields(model: type[Part]) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for name, info in model.model_fields.items():
        inner, metadata = _unwrapped(info.annotation, info.metadata)
        alias = info.alias or name
        is_list = get_origin(inner) is list
        limits = [each.max_length for each in metadata if isinstance(each, MaxLen)]
        one, its = _unwrapped(get_args(inner)[0], []) if is_list else (inner, metadata)
        longest = [each.max_length for each in its if isinstance(each, MaxLen)]
        found[alias] = _Field(
            alias,
            is_list,
            cast("type[Part]", one) if isinstance(one, type) and issubclass(one, BaseModel) else None,
            DATE in metadata,
            limits[0] if limits and is_list else 1,
            longest[0] if longest else _LONG,
            info.is_required(),
        )
    return found


def _unwrapped(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, list[Any]]:
    """A type without what makes it optional and annotated; and all that annotates it."""
    said = list(metadata)
    while True:
        args = [each for each in get_args(annotation) if each is not type(None)]
        if hasattr(annotation, "__metadata__"):
            annotation, more = annotation.__origin__, annotation.__metadata__
            said += [inner for each in more for inner in (each, *getattr(each, "metadata", ()))]
        elif get_origin(annotation) is not list and len(args) == 1:
            [annotation] = args
        else:
            return annotation, said


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []


def _is_unsaid(value: object, levels: int = 3) -> bool:
    """Empty, null and blank say nothing, and what holds nothing else neither, some levels deep."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    if not isinstance(value, dict | list):
        return False
    if not levels:
        return not value
    return all(_is_unsaid(each, levels - 1) for each in _parts(cast("object", value)))


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else f"{value}"
