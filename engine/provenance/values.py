"""Values as far as they are known before a run: their labels, part by part. Pure.

Strangers write the expressions that make these, and `[@, @]|[@, @]|…` makes a value of any size: every operation here
looks at a few parts only, and shares the others.
"""

# `Value` says what each method does.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from engine.provenance.labels import PLAN, Label, join
from engine.tools.labels import Known

_MOST_KINDS: Final = 8
"""A value that may be one of more than so many kinds is taken as a whole."""


class Value:
    """A value of one label, whatever part is taken of it; the kinds below know more of their parts."""

    __slots__ = ("label",)

    def __init__(self, label: Label) -> None:
        self.label = label
        """Of all of it."""

    def field(self, name: str) -> Value:
        """What an object has under this name."""
        del name
        return Value(self.label)

    def entry(self, place: int | None = None) -> Value:
        """What a list has at this place, or at any."""
        del place
        return Value(self.label)

    def each(self) -> Value:
        """What an object has under any name."""
        return Value(self.label)

    def raised(self, label: Label) -> Value:
        """The same, each part with this label joined to its own."""
        if type(self) is Value:
            return Value(join(self.label, label))
        return _Raised(self, label)

    def reversed(self) -> Value:
        """The same list from its end."""
        return self

    def flat(self) -> Value:
        """What stands for it, as a list's entry, when that is flattened: its own entries if it is a list."""
        return Value(self.label)


NOTHING: Final = Value(PLAN)


def result_of(known: Known | None, own: Label, full: Label) -> Value:
    """What a tool gives back: `own` is the label of its arguments, `full` that with what it reads."""
    if known is None or own == full:
        return Value(full)
    return Value(own) if known.own else _Typed(known, own, full)


class _Typed(Value):
    """A tool's result, or a part of one: the service's own fields have one label, all others another."""

    __slots__ = ("_full", "_known", "_own")

    def __init__(self, known: Known, own: Label, full: Label) -> None:
        super().__init__(own if known.is_wholly_own else full)
        self._known = known
        self._own = own
        self._full = full

    def field(self, name: str) -> Value:
        return self._part(self._known.fields.get(name) or self._known.others)

    def entry(self, place: int | None = None) -> Value:
        del place
        return self._part(self._known.entries)

    def each(self) -> Value:
        known = self._known
        parts = [*known.fields.values(), known.others]
        return either([self._part(part) for part in parts if part is not None]) if any(parts) else Value(self._full)

    def flat(self) -> Value:
        # Its form says whether it is a list; where it may be one or not, it is either.
        known = self._known
        if known.entries is None:
            return self
        return either([self, self._part(known.entries)]) if known.fields else self._part(known.entries)

    def _part(self, known: Known | None) -> Value:
        if known is None:
            return Value(self._full)
        return Value(self._own) if known.own else _Typed(known, self._own, self._full)


class Fields(Value):
    """An object with these fields, and no others."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Value]) -> None:
        super().__init__(_joined(fields.values()))
        self._fields = fields

    def field(self, name: str) -> Value:
        return self._fields.get(name, NOTHING)

    def each(self) -> Value:
        return either(self._fields.values())

    def flat(self) -> Value:
        return self


class Listed(Value):
    """A list that an expression writes out."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Sequence[Value]) -> None:
        super().__init__(_joined(entries))
        self._entries = entries

    def entry(self, place: int | None = None) -> Value:
        if place is None:
            return either(self._entries)
        return self._entries[place] if -len(self._entries) <= place < len(self._entries) else NOTHING

    def reversed(self) -> Value:
        return Listed(self._entries[::-1])

    def flat(self) -> Value:
        return either(self._entries)


class Every(Value):
    """A list of any length whose entries are all alike."""

    __slots__ = ("_entry",)

    def __init__(self, entry: Value) -> None:
        super().__init__(entry.label)
        self._entry = entry

    def entry(self, place: int | None = None) -> Value:
        del place
        return self._entry

    def flat(self) -> Value:
        return self._entry


class Groups(Value):
    """An object whose names are worked out, and have a label of their own; under each is the same."""

    __slots__ = ("_group",)

    def __init__(self, names: Label, group: Value) -> None:
        super().__init__(join(names, group.label))
        self._group = group

    def field(self, name: str) -> Value:
        del name
        return self._group

    def each(self) -> Value:
        return self._group

    def flat(self) -> Value:
        return self


def either(values: Iterable[Value]) -> Value:
    """One of these values, and nobody knows which."""
    kinds: dict[int, Value] = {}
    for value in values:
        for kind in value.kinds if isinstance(value, _Either) else (value,):
            kinds[id(kind)] = kind
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    plain = all(type(kind) is Value for kind in kinds.values())
    return Value(_joined(kinds.values())) if plain or len(kinds) > _MOST_KINDS else _Either(tuple(kinds.values()))


class _Either(Value):
    """Of one of several kinds; none of them is an either itself."""

    __slots__ = ("kinds",)

    def __init__(self, kinds: tuple[Value, ...]) -> None:
        super().__init__(_joined(kinds))
        self.kinds = kinds

    def field(self, name: str) -> Value:
        return self._of(lambda value: value.field(name))

    def entry(self, place: int | None = None) -> Value:
        return self._of(lambda value: value.entry(place))

    def each(self) -> Value:
        return self._of(lambda value: value.each())

    def raised(self, label: Label) -> Value:
        return self._of(lambda value: value.raised(label))

    def reversed(self) -> Value:
        return self._of(lambda value: value.reversed())

    def flat(self) -> Value:
        return self._of(lambda value: value.flat())

    def _of(self, part: Callable[[Value], Value]) -> Value:
        return either([part(value) for value in self.kinds])


class _Raised(Value):
    """A value with a label joined to each part's own."""

    __slots__ = ("_by", "_value")

    def __init__(self, value: Value, by: Label) -> None:
        super().__init__(join(value.label, by))
        self._value = value
        self._by = by

    def field(self, name: str) -> Value:
        return self._value.field(name).raised(self._by)

    def entry(self, place: int | None = None) -> Value:
        return self._value.entry(place).raised(self._by)

    def each(self) -> Value:
        return self._value.each().raised(self._by)

    def raised(self, label: Label) -> Value:
        return _Raised(self._value, join(self._by, label))

    def reversed(self) -> Value:
        return self._value.reversed().raised(self._by)

    def flat(self) -> Value:
        return self._value.flat().raised(self._by)


def _joined(values: Iterable[Value]) -> Label:
    label = PLAN
    for value in values:
        label = join(label, value.label)
    return label
