"""Finds what `!` was most likely not meant to say: it binds more tightly than the dot. Pure."""

from __future__ import annotations

from typing import Final

from engine.expressions.evaluation import compiled
from engine.expressions.language import Node, children, walk
from engine.expressions.writing import shortened, written

_LOOKS_INSIDE: Final = frozenset({"subexpression", "filter_projection", "value_projection", "flatten"})


def negated_field(expression: object) -> tuple[str, str] | None:
    """A part that looks inside of a `!…`, which is always null, and what to write for it; None if there is none.

    Raises ExpressionFault.

    >>> negated_field("!d.value && !x"), negated_field("!(d.value)")
    (('!d.value', '!(d.value)'), None)
    """
    for _, node in walk(compiled(expression).parsed):
        below = children(node)
        if node["type"] in _LOOKS_INSIDE and below[0]["type"] == "not_expression":
            return shortened(written(node)), f"!({shortened(written(_without_not(node)))})"
    return None


def _without_not(node: Node) -> Node:
    negation, *others = children(node)
    return {**node, "children": [*children(negation), *others]}
