"""Which parts of the plan language a plan needs: the letters of the table in README.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from tests.agentdojo.notation import Task

MODEL = "X"


def letters(task: Task) -> str:
    """`F` functions and the like beyond JMESPath 1.0, `W` when, `L` forEach, `X` a model; `S` none of them."""
    found = {
        "F": any(_is_beyond(each) for each in _expressions([task.steps, task.answer])),
        "W": any("when" in step for step in task.steps),
        "L": any("forEach" in step for step in task.steps),
        MODEL: any(step["tool"] in ("extract", "write") for step in task.steps),
    }
    return "".join(letter for letter, is_used in found.items() if is_used) or "S"


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"$jmespath"}:
            yield value["$jmespath"]
        for each in value.values():
            yield from _expressions(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _expressions(each)


def _is_beyond(expression: str) -> bool:
    try:
        parsed = jmespath.compile(expression).parsed
    except JMESPathError:
        return True
    return any(name not in Functions.FUNCTION_TABLE for name in _functions(parsed))


def _functions(node: dict[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node.get("children", ()):
        yield from _functions(child)
