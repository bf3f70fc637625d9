"""JMESPath expressions that strangers wrote: compiled, looked through, and evaluated within bounds. Pure.

An expression of a hundred characters can stand for a value of any size (`[@, @]|[@, @]|…` doubles at each step), and
writing it out takes more memory than there is. So the size of what is built is known while it is built, and the work is
counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter

from engine.expressions.checking import check_calls, check_variables
from engine.expressions.faults import ExpressionFault, bound, wrong_syntax
from engine.expressions.functions import CommunityFunctions, calculated
from engine.expressions.language import Node, children, parse, walk

_LONGEST: Final = 2000
_DEEPEST: Final = 100
"""The interpreter takes some stack for each level."""

_MOST_WORK: Final = 500_000
_MOST_WORK_TOGETHER: Final = 1_500_000
_FORBIDDEN_KEY: Final = "$secret"


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> ParsedResult:
    if len(expression) > _LONGEST:
        raise ExpressionFault(f"a $jmespath may have {_LONGEST} characters, and this has {len(expression)}")
    try:
        parsed = parse(expression)
    except (JMESPathError, RecursionError, ValueError) as error:
        raise ExpressionFault(f"no JMESPath expression: {wrong_syntax(error, expression)}") from error
    for depth, node in walk(parsed.parsed):
        if depth > _DEEPEST:
            raise ExpressionFault(f"a $jmespath may be {_DEEPEST} levels deep")
        if _makes_secret(node):
            raise ExpressionFault("a $jmespath can't make a $secret: only a plan's own is one")
    check_calls(parsed.parsed)
    check_variables(parsed.parsed)
    return parsed


def compiled(expression: object) -> ParsedResult:
    """The expression, parsed. Raises ExpressionFault."""
    return _parsed(_text(expression))


def _text(expression: object) -> str:
    if not isinstance(expression, str):
        raise ExpressionFault("a $jmespath is an expression as text")
    return expression


def roots(expression: ParsedResult) -> frozenset[str] | None:
    """The top-level keys that an expression looks at; None when it may look at all of them."""
    found: set[str] = set()
    return None if _looks_everywhere(expression.parsed, found) else frozenset(found)


class Look(NamedTuple):
    """What an expression looks at, before there is any data."""

    roots: frozenset[str] | None
    """The top-level keys; None when it may look at all of them."""
    calls_now: bool
    """Whether its value depends on the moment at which its run was submitted."""


@lru_cache(maxsize=4096)
def _look(expression: str) -> Look:
    parsed = _parsed(expression)
    calls_now = "now" in expression and any(
        node["type"] == "function_expression" and node["value"] == "now" for _, node in walk(parsed.parsed)
    )
    return Look(roots(parsed), calls_now)


def look(expression: object) -> Look:
    """What the expression looks at. Raises ExpressionFault."""
    return _look(_text(expression))


class Budget:
    """The work that several evaluations may do together: a plan has thousands of steps, and each its expressions."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MOST_WORK_TOGETHER


class Evaluation:
    """Evaluates any number of expressions over the same results, within one bound for all of them together.

    `now` is when their run was submitted, in RFC 3339 with Z; without it, what calls `now()` has no value.
    """

    def __init__(self, results: Mapping[str, Any], budget: Budget | None = None, *, now: str | None = None) -> None:
        self._results = results
        self._interpreter = _Bounded(budget or Budget(), now)

    def value_of(self, expression: object) -> Any:
        """The expression's value, null where it finds nothing. Raises ExpressionFault."""
        parsed = compiled(expression)
        try:
            return self._interpreter.visit(parsed.parsed, self._results)
        except Exception as error:  # a library's functions over anybody's data: whatever it is, there is no value
            # JMESPath minds upper and lower case: the message must not begin with the expression.
            raise ExpressionFault(f"the expression {expression} has no value: {_line(error)[:500]}") from error


if TYPE_CHECKING:

    class _Interpreter:
        """The library's visitor, which has no types."""

        def __init__(self, options: Options | None = None) -> None: ...
        def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any: ...
else:
    _Interpreter = TreeInterpreter


class _Bounded(_Interpreter):
    """The library's interpreter, which counts its steps and weighs what it builds."""

    def __init__(self, budget: Budget, now: str | None) -> None:
        super().__init__(Options(custom_functions=cast("Any", CommunityFunctions(self._spend, now))))
        self._work = 0
        self._variables: list[dict[str, Any]] = []
        self._budget = budget
        # By identity, kept alive with its weight: what was weighed once is not walked again.
        self._weights: dict[int, tuple[object, int]] = {}

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        self._spend(1)
        value = super().visit(node, *args, **kwargs)
        if node["type"] in _BUILDING:
            bound(self._weight(value))
        return value

    def visit_let_expression(self, node: Node, value: Any) -> Any:
        *assigns, body = node["children"]
        self._variables.append({each["value"]: self.visit(each["children"][0], value) for each in assigns})
        try:
            return self.visit(body, value)
        finally:
            self._variables.pop()

    def visit_variable(self, node: Node, value: Any) -> Any:
        del value
        return next(scope[node["value"]] for scope in reversed(self._variables) if node["value"] in scope)

    def visit_arithmetic(self, node: Node, value: Any) -> Any:
        left, right = node["children"]
        return calculated(node["value"], self.visit(left, value), self.visit(right, value))

    def visit_sign(self, node: Node, value: Any) -> Any:
        return calculated(node["value"], 0, self.visit(node["children"][0], value))

    def _spend(self, work: int) -> None:
        self._work += work
        self._budget.left -= work
        if self._work > _MOST_WORK:
            raise ExpressionFault("takes too many steps")
        if self._budget.left < 0:
            raise ExpressionFault("takes too many steps, together with those of the steps beside it")

    def _weight(self, value: object) -> int:
        """How many values and characters it would be written out, with what it holds twice counted twice."""
        if isinstance(value, str):
            return 1 + len(value)
        if not isinstance(value, list | dict):
            return 1
        known = self._weights.get(id(cast("object", value)))
        if known is not None:
            return known[1]
        if isinstance(value, list):
            inside, weight = cast("Sequence[object]", value), 1
        else:
            entries = cast("dict[str, object]", value)
            inside, weight = entries.values(), 1 + sum(map(len, entries))
        self._spend(len(inside))
        for each in inside:
            weight += self._weight(each)
        self._weights[id(cast("object", value))] = (cast("object", value), weight)
        return weight


_BUILDING: Final = frozenset(
    {
        "multi_select_list",
        "multi_select_dict",
        "flatten",
        "projection",
        "value_projection",
        "filter_projection",
        "function_expression",
    }
)
"""The nodes whose value is new; the others' is a part of what was there."""


# Which children of a node are evaluated over the same value as the node itself. The others see what those gave.
_SAME: Final[dict[str, slice]] = {
    "subexpression": slice(0, 1),
    "index_expression": slice(0, 1),
    "projection": slice(0, 1),
    "value_projection": slice(0, 1),
    "filter_projection": slice(0, 1),
    "pipe": slice(0, 1),
    "expref": slice(0, 0),
}


def _looks_everywhere(node: Node, found: set[str]) -> bool:
    kind = node["type"]
    if kind == "field":
        found.add(node["value"])
        return False
    if kind in ("identity", "current"):
        return True
    return any(_looks_everywhere(child, found) for child in children(node)[_SAME.get(kind, slice(None))])


def _makes_secret(node: Node) -> bool:
    if node["type"] == "key_val_pair":
        return node["value"] == _FORBIDDEN_KEY
    return node["type"] == "literal" and _holds_key(node["value"])


def _holds_key(value: object) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            entries = cast("dict[str, object]", item)
            if _FORBIDDEN_KEY in entries:
                return True
            waiting.extend(entries.values())
        elif isinstance(item, list):
            waiting.extend(cast("list[object]", item))
    return False


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
