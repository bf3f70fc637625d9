"""The origins that are not stored: of steps whose arguments are not touched by what others write. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.provenance.destinations import Destinations
from engine.provenance.origins import Origin
from engine.references import JMESPATH, SECRET, marked
from engine.tools import Tool
from persistence.states import OriginKind, Trust


def plain_origins(args: Mapping[str, Any], tool: Tool | None) -> list[Origin]:
    """The origins of planned arguments, defaults too; `tool` is None where this process knows it no more.

    A reference is from before origins were stored: nobody knows what it brings.
    """
    destinations = Destinations(() if tool is None else tool.destinations)
    marks = {path: (mark, value) for path, mark, value in marked(args) if mark in _KINDS}
    whole = [(name,) for name in args if (name,) not in marks]
    found = [Origin(path, OriginKind.PLAN, Trust.PLAN) for path in whole]
    for path, (mark, value) in marks.items():
        kind, trust = _KINDS[mark]
        found.append(Origin(path, kind, trust, value if mark == JMESPATH else None))
    if tool is not None:
        left_out = [name for name in tool.defaults if name not in args]
        found += [Origin((name,), OriginKind.DEFAULT, Trust.PLAN) for name in left_out]
    paths = [each.path for each in found]
    return [each._replace(destination=destinations.hold(each.path, paths)) for each in found]


_KINDS = {JMESPATH: (OriginKind.RESULT, Trust.OUTSIDE), SECRET: (OriginKind.SECRET, Trust.PLAN)}
