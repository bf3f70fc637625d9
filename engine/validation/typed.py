"""Follows an expression through what is known of the results, and finds what can't be there. Pure.

What comes out of a function is not followed, nor what it does for each entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from engine.expressions import Node, compiled
from engine.expressions.language import children
from engine.expressions.writing import field as field_of
from engine.expressions.writing import shortened
from engine.nearest import Hints
from engine.validation.shapes import (
    ANYTHING,
    BOOLEAN,
    NUMBER,
    OPEN,
    Listing,
    Record,
    Scalar,
    Shape,
    of_value,
    union,
)

_MOST_NAMED: Final = 12
_MOST_FOUND: Final = 5
"""In one expression: after correcting these, the user sees the others."""


class Sight(NamedTuple):
    """What is known of a value, and how an expression writes it."""

    shape: Shape
    name: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """A part of an expression that no result can have: a field, or entries (`part` None) of what is no list."""

    place: str
    part: str | None
    kind: str
    """What stands at the place: "an object", "a list", …"""
    known: tuple[str, ...] = ()
    """The fields of the object, or of the list's entries."""

    def message(self, hints: Hints) -> str:
        """What is wrong, and what to write."""
        # No message begins with a name: people read sentences, and names keep their letters.
        if self.part is None:
            return f"there are no entries in {self.place}, which is {self.kind}: only a list has them"
        missing = f"there is no {self.part!r:.100} in {self.place}"
        if self.kind == "an object":
            return f"{missing}{self._near(hints)}"
        if self.kind != "a list":
            return f"{missing}, which is {self.kind}"
        if self.known and self.part not in self.known:
            return f"{missing}, which is a list, nor in its entries, {self.place}[*]{self._near(hints)}"
        each, first = (field_of(self.part[:100], f"{self.place}[{which}]") for which in "*0")
        return f"{missing}, which is a list: write {each} for all its entries, or {first} for the first"

    def _near(self, hints: Hints) -> str:
        near = hints.near(self.part, self.known)
        if near or not self.known:
            return near
        more = "" if len(self.known) <= _MOST_NAMED else ", …"
        return f"; it has {', '.join(self.known[:_MOST_NAMED])}{more}"


def impossible(expression: str, results: Mapping[str, Shape], roots: Iterable[str] | None) -> tuple[Impossible, ...]:
    """The parts of a sound expression that can't be there, given the shapes of what it looks at.

    `roots` are the top-level keys that it looks at, None for all. What `results` does not know may be anything.
    """
    if roots is None:
        return _looked_through(expression, results)
    known = tuple([(key, shape) for key in roots if (shape := results.get(key, ANYTHING)) is not ANYTHING])
    return _remembered(expression, known) if known else ()


def outcome(expression: object, results: Mapping[str, Shape]) -> Shape:
    """What is known of an expression's value. Raises ExpressionFault for what is none."""
    return _Walk().of(compiled(expression).parsed, Sight((Record(results, rest=ANYTHING),), ""), {}).shape


@lru_cache(maxsize=2048)
def _remembered(expression: str, known: tuple[tuple[str, Shape], ...]) -> tuple[Impossible, ...]:
    return _looked_through(expression, dict(known))


def _looked_through(expression: str, results: Mapping[str, Shape]) -> tuple[Impossible, ...]:
    walk = _Walk()
    walk.of(compiled(expression).parsed, Sight((Record(results, rest=ANYTHING),), ""), {})
    return tuple(walk.found)


@dataclass(slots=True)
class _Walk:
    """One look through an expression. A part of which nothing is known, or that was found, is followed no further."""

    found: list[Impossible] = field(default_factory=list[Impossible])

    def of(self, node: Node, here: Sight, variables: Mapping[str, Sight]) -> Sight:  # noqa: C901, PLR0911, PLR0912 -- a case for each kind of node
        """What is known of a node's value over what is known `here`."""
        below = children(node)
        match node["type"]:
            case "identity" | "current":
                return here
            case "field":
                return self._field(here, str(node["value"]))
            case "subexpression" | "pipe" | "index_expression":
                for each in below:
                    here = self.of(each, here, variables)
                return here
            case "index":
                return self._entry(here, f"{here.name}[{node['value']}]")
            case "slice":
                return Sight((Listing((self._entry(here, here.name).shape,)),), here.name)
            case "projection":
                return self._projection(below[0], below[1], here, variables)
            case "filter_projection":
                entry = self._entry_of(self.of(below[0], here, variables), "[?…]")
                self.of(below[2], entry, variables)
                return self._list_of(self.of(below[1], entry, variables))
            case "value_projection":
                of = self.of(below[0], here, variables)
                values = union(form.values() if isinstance(form, Record) else ANYTHING for form in of.shape)
                return self._list_of(self.of(below[1], Sight(values, field_of_all(of.name)), variables))
            case "flatten":
                return self._flat(self.of(below[0], here, variables))
            case "multi_select_list":
                return Sight((Listing([self.of(each, here, variables).shape for each in below]),), "[…]")
            case "multi_select_dict":
                fields = {str(each["value"]): self.of(children(each)[0], here, variables).shape for each in below}
                return Sight((Record(fields),), "{…}")
            case "or_expression" | "and_expression":
                sights = [self.of(each, here, variables) for each in below]
                return Sight(union(each.shape for each in sights), "(…)")
            case "not_expression" | "comparator":
                self._each(below, here, variables)
                return Sight((BOOLEAN,), "(…)")
            case "arithmetic" | "sign":
                self._each(below, here, variables)
                return Sight((NUMBER,), "(…)")
            case "literal":
                return Sight(of_value(node["value"]), "`…`")
            case "let_expression":
                *assigns, body = below
                bound = {str(each["value"]): self.of(children(each)[0], here, variables) for each in assigns}
                named = {name: Sight(sight.shape, f"${name}") for name, sight in bound.items()}
                return self.of(body, here, {**variables, **named})
            case "variable":
                return variables.get(str(node["value"]), Sight(ANYTHING, ""))
            case "function_expression":
                self._each([each for each in below if each["type"] != "expref"], here, variables)
                return Sight(ANYTHING, f"{node['value']}(…)")
            case _:
                return Sight(ANYTHING, "(…)")

    def _each(self, nodes: Iterable[Node], here: Sight, variables: Mapping[str, Sight]) -> None:
        for node in nodes:
            self.of(node, here, variables)

    def _projection(self, left: Node, right: Node, here: Sight, variables: Mapping[str, Sight]) -> Sight:
        of = self.of(left, here, variables)
        if left["type"] == "flatten":
            mark = "[]"
        elif left["type"] == "index_expression" and children(left)[-1]["type"] == "slice":
            mark = "[:]"
        else:
            mark = "[*]"
        return self._list_of(self.of(right, self._entry_of(of, mark), variables))

    def _entry_of(self, of: Sight, mark: str) -> Sight:
        return self._entry(of, f"{of.name}{mark}")

    @staticmethod
    def _list_of(entry: Sight) -> Sight:
        return Sight((Listing((entry.shape,)),), entry.name)

    def _field(self, here: Sight, name: str) -> Sight:
        if not here.shape or OPEN in here.shape:
            return Sight(here.shape, field_of(name, here.name))
        of = [form.field(name) for form in here.shape if isinstance(form, Record)]
        possible = [shape for shape in of if shape is not None]
        if possible:
            return Sight(union(possible), field_of(name, here.name))
        lists = [form for form in here.shape if isinstance(form, Listing)]
        if of:
            self._add(here, name, "an object", _names(here.shape))
        elif lists:
            self._add(here, name, "a list", _names(union(form.entries() for form in lists)))
        else:
            self._add(here, name, _kind(here.shape))
        return Sight(ANYTHING, "")

    def _entry(self, here: Sight, name: str) -> Sight:
        """What is known of an entry of a list."""
        if not here.shape or OPEN in here.shape:
            return Sight(here.shape, name)
        lists = [form for form in here.shape if isinstance(form, Listing)]
        if not lists:
            self._add(here, None, _kind(here.shape))
            return Sight(ANYTHING, name)
        return Sight(union(form.entries() for form in lists), name)

    def _flat(self, here: Sight) -> Sight:
        """A list of the entries, and of the entries of those that are lists."""
        entry = self._entry(here, here.name)
        inside = union(form.entries() if isinstance(form, Listing) else (form,) for form in entry.shape)
        return Sight((Listing((inside,)),), here.name)

    def _add(self, here: Sight, part: str | None, kind: str, known: tuple[str, ...] = ()) -> None:
        if len(self.found) < _MOST_FOUND:
            self.found.append(Impossible(shortened(here.name) or "@", part, kind, known))


def field_of_all(name: str) -> str:
    """How an expression writes all the fields of what has this name."""
    return f"{name}.*" if name else "*"


def _names(shape: Shape) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for form in shape if isinstance(form, Record) for name in form.fields))


def _kind(shape: Shape) -> str:
    kinds = [
        form.kind if isinstance(form, Scalar) else "an object" if isinstance(form, Record) else "a list"
        for form in shape
    ]
    return " or ".join(dict.fromkeys(kinds))
