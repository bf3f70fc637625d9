"""What is wrong with an expression before it is ever evaluated: its functions, their arguments, its variables."""

from __future__ import annotations

from typing import Final

from engine.expressions import patterns
from engine.expressions.faults import ExpressionFault
from engine.expressions.functions import TABLE, least_arguments
from engine.expressions.language import Node, children, walk
from engine.nearest import nearest

_PATTERN_ARGUMENT: Final = {"regex_first": 1, "regex_all": 1}


def check_calls(root: Node) -> None:
    """Raise ExpressionFault for what no data could mend: an unknown function, or arguments that it never takes.

    Said when a plan is submitted, and not when its steps have had their effects.
    """
    allowed: set[int] = set()
    for _, node in walk(root):
        if node["type"] == "function_expression":
            _check_call(node)
            allowed.update(id(child) for child in children(node))
        elif node["type"] == "expref" and id(node) not in allowed:
            raise ExpressionFault("no JMESPath expression: &… may only stand as an argument of a function")
        elif node["type"] == "slice" and node["children"][2] == 0:
            raise ExpressionFault("no JMESPath expression: the step of a slice can't be 0")


def _check_call(node: Node) -> None:
    name, given = str(node["value"]), children(node)
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
    for place, child in enumerate(given):
        kinds = arguments[min(place, len(arguments) - 1)]["types"]
        if ("expref" in kinds) is not (child["type"] == "expref"):
            wanted = (
                "an expression reference (&…)" if "expref" in kinds else "a value, and no expression reference (&…),"
            )
            raise ExpressionFault(f"{name}() takes {wanted} as argument {place + 1}")
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
