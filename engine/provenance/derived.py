"""The origins that are not stored: of steps whose arguments are not touched by what others write. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.expressions import ExpressionFault, compiled, roots
from engine.provenance.destinations import Destinations
from engine.provenance.origins import Origin
from engine.references import JMESPATH, SECRET, marked
from engine.tools import Tool
from persistence.states import OriginKind, Trust


def plain_origins(
    args: Mapping[str, Any], tool: Tool | None, place_of: Mapping[str, int], depends_on: Sequence[int]
) -> list[Origin]:
    """The origins of planned arguments, in the plan's order, and of those that the tool fills in; all are ours.

    `tool` is None where this process knows it no more. `place_of` has the positions of the steps that are referred to,
    by key; a reference to everything names what the step depends on.
    """
    inside: dict[str | int, list[Origin]] = {}
    for path, mark, value in marked(args):
        if mark == JMESPATH:
            keys = _keys(value)
            steps = depends_on if keys is None else [place_of[key] for key in keys if key in place_of]
            kind = OriginKind.RESULT if steps else OriginKind.PLAN
            origin = Origin(path, kind, Trust.PLAN, value, tuple(sorted(steps)))
        elif mark == SECRET:
            origin = Origin(path, OriginKind.SECRET, Trust.PLAN)
        else:
            continue
        inside.setdefault(path[0], []).append(origin)
    found: list[Origin] = []
    for name in args:
        below = inside.get(name, ())
        if not (below and len(below[0].path) == 1):
            found.append(Origin((name,), OriginKind.PLAN, Trust.PLAN))
        found += below
    if tool is None:
        return found
    found += [Origin((name,), OriginKind.DEFAULT, Trust.PLAN) for name in tool.defaults if name not in args]
    return marking_destinations(found, Destinations(tool.destinations))


def marking_destinations(origins: Sequence[Origin], destinations: Destinations) -> list[Origin]:
    """The same origins, those of destinations marked."""
    paths = [each.path for each in origins]
    holding = [destinations.hold(path, paths) for path in paths]
    return [
        each if each.destination is holds else each._replace(destination=holds)
        for each, holds in zip(origins, holding, strict=True)
    ]


def referred_keys(args: Mapping[str, Any]) -> set[str]:
    """The keys of the steps at which the references in planned arguments look."""
    return {key for _, mark, value in marked(args) if mark == JMESPATH for key in _keys(value) or ()}


def _keys(expression: object) -> Iterable[str] | None:
    try:
        return roots(compiled(expression))
    except ExpressionFault:  # stored by a version that knew more
        return ()
