"""What is wrong with an expression before it is ever evaluated: its functions, their arguments, its variables."""

from __future__ import annotations

from typing import Final

from engine.expressions import patterns
from engine.expressions.faults import ExpressionFault
from engine.expressions.functions import TABLE, least_arguments
from engine.expressions.language import Node, children
from engine.nearest import nearest

_PATTERN_ARGUMENT: Final = {"regex_first": 1, "regex_all": 1}


def check_call(node: Node) -> None:
    """Raise ExpressionFault for a call of an unknown function, or with a wrong number of arguments."""
    name, given = str(node["value"]), node["children"]
    arguments = TABLE.get(name)
    if arguments is None:
        raise ExpressionFault(f"there is no function {name}(){_nearest(name)}")
    least = least_arguments(arguments)
    if arguments and arguments[-1].get("variadic"):
        if len(given) < least:
            raise ExpressionFault(f"{name}() takes {least} or more arguments, and has {len(given)}")
    elif not least <= len(given) <= len(arguments):
        wanted = str(least) if least == len(arguments) else f"{least} to {len(arguments)}"
        raise ExpressionFault(f"{name}() takes {wanted} argument{'' if wanted == '1' else 's'}, and has {len(given)}")
    place = _PATTERN_ARGUMENT.get(name)
    if place is not None and given[place]["type"] == "literal" and isinstance(given[place]["value"], str):
        patterns.compiled(given[place]["value"])


def check_variables(root: Node) -> None:
    """Raise ExpressionFault for a variable that no `let` around it binds."""
    waiting: list[tuple[Node, frozenset[str]]] = [(root, frozenset())]
    while waiting:
        node, bound = waiting.pop()
        if node["type"] == "variable" and node["value"] not in bound:
            name = node["value"]
            raise ExpressionFault(f"nothing binds ${name} here; write `let ${name} = … in …` around it")
        below = children(node)
        if node["type"] == "let_expression":
            *assigns, body = below
            waiting.extend((each, bound) for each in assigns)
            waiting.append((body, bound | {str(each["value"]) for each in assigns}))
        else:
            waiting.extend((child, bound) for child in below)


def _nearest(name: str) -> str:
    found = nearest(name, TABLE)
    return "" if found is None else f"; the nearest is {found}()"
