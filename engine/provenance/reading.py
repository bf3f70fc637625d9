"""Reads an expression without its data: which label its value will have. Pure.

What an expression gives back has its own label, part by part. What it selects by (a filter, a sort, a grouping) raises
what is selected to CHOSEN; taking by a fixed place or name selects nothing. What is worked out has its operands' label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, cast

from engine.expressions.language import Node, children
from engine.provenance.labels import PLAN, Label, chosen, join
from engine.provenance.values import Every, Fields, Groups, Listed, Value, either
from persistence.states import Trust

Scope = Mapping[str, Value]
"""The variables of the `let` expressions around a node."""

_NO_VARIABLES: Final[Scope] = {}


def read(expression: Node, root: Value, literals: Label) -> Value:
    """What an expression gives back, evaluated over `root`; `literals` is the label of what is written in it."""
    return _Reader(literals).value(expression, root, _NO_VARIABLES)


class _Reader:
    """One expression, read over labels where its evaluation would read data."""

    def __init__(self, literals: Label) -> None:
        self._literals = Value(literals)

    def value(self, node: Node, here: Value, scope: Scope) -> Value:
        kind = node["type"]
        if kind == "field":
            return here.field(node["value"])
        if kind in ("subexpression", "pipe", "index_expression"):
            for child in children(node):
                here = self.value(child, here, scope)
            return here
        if kind == "index":
            return here.entry(node["value"])
        read_node = _NODES.get(kind)
        return self._computed(node, here, scope) if read_node is None else read_node(self, node, here, scope)

    def _label(self, node: Node, here: Value, scope: Scope) -> Label:
        return self.value(node, here, scope).label

    def same(self, node: Node, here: Value, scope: Scope) -> Value:
        """The value itself: `@`, and what is a list before and after."""
        del node, scope
        return here

    def literal(self, node: Node, here: Value, scope: Scope) -> Value:
        del node, here, scope
        return self._literals

    def variable(self, node: Node, here: Value, scope: Scope) -> Value:
        return scope.get(node["value"]) or Value(here.label)

    def let(self, node: Node, here: Value, scope: Scope) -> Value:
        *assigns, body = children(node)
        bound = {str(each["value"]): self.value(children(each)[0], here, scope) for each in assigns}
        return self.value(body, here, {**scope, **bound})

    def projection(self, node: Node, here: Value, scope: Scope) -> Value:
        left, right = children(node)
        return Every(self.value(right, self.value(left, here, scope).entry(), scope))

    def value_projection(self, node: Node, here: Value, scope: Scope) -> Value:
        left, right = children(node)
        return Every(self.value(right, self.value(left, here, scope).each(), scope))

    def filter_projection(self, node: Node, here: Value, scope: Scope) -> Value:
        left, right, condition = children(node)
        entry = self._selected(self.value(left, here, scope), condition, scope)
        return Every(self.value(right, entry, scope))

    def flatten(self, node: Node, here: Value, scope: Scope) -> Value:
        return Every(self.value(children(node)[0], here, scope).entry().flat())

    def listed(self, node: Node, here: Value, scope: Scope) -> Value:
        return Listed([self.value(child, here, scope) for child in children(node)])

    def fields(self, node: Node, here: Value, scope: Scope) -> Value:
        pairs = children(node)
        return Fields({str(pair["value"]): self.value(children(pair)[0], here, scope) for pair in pairs})

    def one_or_other(self, node: Node, here: Value, scope: Scope) -> Value:
        """`||` and `&&`: which of the two it is depends on the first."""
        first, second = children(node)
        return _first_or(self.value(first, here, scope), self.value(second, here, scope))

    def call(self, node: Node, here: Value, scope: Scope) -> Value:
        read_call = _CALLS.get(node["value"])
        given = children(node)
        if read_call is None or len(given) < read_call[1]:
            return self._computed(node, here, scope)
        return read_call[0](self, given, here, scope)

    def choosing(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        """`sort_by`, `unique_by`: the entries of a list, selected by a key."""
        found = self.value(given[0], here, scope)
        return Every(self._selected(found, given[1], scope))

    def choosing_one(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        """`max_by`, `min_by`."""
        return self._selected(self.value(given[0], here, scope), given[1], scope)

    def grouping(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        found = self.value(given[0], here, scope)
        names = self._label(given[1], found.entry(), scope)
        return Groups(names, Every(self._selected(found, given[1], scope)))

    def mapping(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        entry = self.value(given[1], here, scope).entry()
        return Every(self.value(given[0], entry, scope))

    def reverse(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        return self.value(given[0], here, scope).reversed()

    def values(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        return Every(self.value(given[0], here, scope).each())

    def first_of(self, given: Sequence[Node], here: Value, scope: Scope) -> Value:
        """`default`, `not_null`: the first that there is."""
        values = [self.value(each, here, scope) for each in given]
        return reduce(_first_or, values[1:], values[0])

    def expref(self, node: Node, here: Value, scope: Scope) -> Value:
        return self.value(children(node)[0], here, scope)

    def _selected(self, found: Value, key: Node, scope: Scope) -> Value:
        """An entry of a list, as it is when a key or a condition decides which one."""
        entry = found.entry()
        by = join(found.label, self._label(key, entry, scope))
        return entry if by.trust is Trust.PLAN else entry.raised(chosen(by))

    def _computed(self, node: Node, here: Value, scope: Scope) -> Value:
        """What is made of operands; a function is given to the entries of a list if it is given at all."""
        label, lists = PLAN, here
        for child in children(node):
            if child["type"] == "expref":
                label = join(label, self._label(child, either([lists.entry(), lists]), scope))
            else:
                found = self.value(child, here, scope)
                label, lists = join(label, found.label), found
        return Value(label)


def _first_or(first: Value, second: Value) -> Value:
    by = first.label
    if by.trust is Trust.PLAN:
        return either([first, second])
    return either([first.raised(chosen(by)), second.raised(chosen(by))])


_NODES: Final[Mapping[str, Callable[[_Reader, Node, Value, Scope], Value]]] = {
    "identity": _Reader.same,
    "current": _Reader.same,
    "slice": _Reader.same,
    "literal": _Reader.literal,
    "variable": _Reader.variable,
    "let_expression": _Reader.let,
    "projection": _Reader.projection,
    "value_projection": _Reader.value_projection,
    "filter_projection": _Reader.filter_projection,
    "flatten": _Reader.flatten,
    "multi_select_list": _Reader.listed,
    "multi_select_dict": _Reader.fields,
    "or_expression": _Reader.one_or_other,
    "and_expression": _Reader.one_or_other,
    "function_expression": _Reader.call,
    "expref": _Reader.expref,
}
"""Other nodes are worked out of their children: comparisons, arithmetic, `!`."""

_CALLS: Final[Mapping[Any, tuple[Callable[[_Reader, Sequence[Node], Value, Scope], Value], int]]] = cast(
    "Any",
    {
        "sort_by": (_Reader.choosing, 2),
        "unique_by": (_Reader.choosing, 2),
        "max_by": (_Reader.choosing_one, 2),
        "min_by": (_Reader.choosing_one, 2),
        "group_by": (_Reader.grouping, 2),
        "map": (_Reader.mapping, 2),
        "reverse": (_Reader.reverse, 1),
        "values": (_Reader.values, 1),
        "default": (_Reader.first_of, 2),
        "not_null": (_Reader.first_of, 1),
    },
)
"""The functions that give back what they are given; all others work something out of it."""
