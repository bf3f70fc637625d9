"""Parts of expressions as text again, for messages about them. Pure."""

from __future__ import annotations

import json
import re
from typing import Final

from engine.expressions.language import Node, children

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST: Final = 150


def field(name: str, of: str = "") -> str:
    """The name of a field as an expression writes it, behind that of what it belongs to.

    >>> field("title", "jobs[0]"), field("due date")
    ('jobs[0].title', '"due date"')
    """
    written = name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f"{of}.{written}" if of else written


def shortened(text: str) -> str:
    """The text, or its end where it is too long to be read in a message."""
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def written(node: Node) -> str:  # noqa: C901, PLR0911 -- a case for each kind of node
    """The part of an expression, with `…` for what is longer than a path."""
    below = children(node)
    match node["type"]:
        case "field":
            return field(str(node["value"]))
        case "variable":
            return f"${node['value']}"
        case "current":
            return "@"
        case "subexpression":
            return ".".join(map(written, below))
        case "index_expression":
            return f"{written(below[0])}[{below[1].get('value', ':')}]"
        case "filter_projection":
            return f"{written(below[0])}[?…]{_behind(below[1])}"
        case "projection" if below[0]["type"] == "flatten":
            return f"{written(children(below[0])[0])}[]{_behind(below[1])}"
        case "projection":
            return f"{written(below[0])}[*]{_behind(below[1])}"
        case "value_projection":
            return f"{written(below[0])}.*{_behind(below[1])}"
        case "not_expression":
            return f"!{written(below[0])}"
        case "function_expression":
            return f"{node['value']}(…)"
        case _:
            return "…"


def _behind(node: Node) -> str:
    return "" if node["type"] == "identity" else f".{written(node)}"
