"""JMESPath expressions that strangers wrote: compiled, looked through, and evaluated within bounds. Pure.

An expression of a hundred characters can stand for a value of any size (`[@, @]|[@, @]|…` doubles at each step), and
whoever writes it out runs out of memory. So the size of what is built is known while it is built, and the work is
counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import jmespath
from jmespath.exceptions import ArityError, IncompleteExpressionError, JMESPathError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter

Node = Mapping[str, Any]

_LONGEST: Final = 2000
_DEEPEST: Final = 100
"""The interpreter takes some stack for each level."""

_MOST_WORK: Final = 500_000
_MOST_WORK_TOGETHER: Final = 1_500_000
_MOST_WEIGHT: Final = 1_000_000
_FORBIDDEN_KEY: Final = "$secret"


class ExpressionFault(ValueError):
    """An expression that is none, or that has no value; the text says why, without the data."""


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> ParsedResult:
    if len(expression) > _LONGEST:
        raise ExpressionFault(f"a $jmespath may have {_LONGEST} characters, and this has {len(expression)}")
    try:
        parsed = jmespath.compile(expression)
    except (JMESPathError, RecursionError, ValueError) as error:
        raise ExpressionFault(f"no JMESPath expression: {_place(error)}") from error
    _check_calls(parsed.parsed)
    for depth, node in _nodes(parsed.parsed):
        if depth > _DEEPEST:
            raise ExpressionFault(f"a $jmespath may be {_DEEPEST} levels deep")
        if _makes_secret(node):
            raise ExpressionFault("a $jmespath can't make a $secret: only a plan's own is one")
    return parsed


def compiled(expression: object) -> ParsedResult:
    """The expression, parsed. Raises ExpressionFault."""
    if not isinstance(expression, str):
        raise ExpressionFault("a $jmespath is an expression as text")
    return _parsed(expression)


def roots(expression: ParsedResult) -> frozenset[str] | None:
    """The top-level keys that an expression looks at; None when it may look at all of them."""
    found: set[str] = set()
    return None if _looks_everywhere(expression.parsed, found) else frozenset(found)


class Budget:
    """The work that several evaluations may do together: a plan has thousands of steps, and each its expressions."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MOST_WORK_TOGETHER


class Evaluation:
    """Evaluates any number of expressions over the same results, within one bound for all of them together."""

    def __init__(self, results: Mapping[str, Any], budget: Budget | None = None) -> None:
        self._results = results
        self._interpreter = _Bounded(budget or Budget())

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

    class _Functions:
        def call_function(self, function_name: str, resolved_args: Sequence[Any]) -> Any: ...
else:
    _Interpreter, _Functions = TreeInterpreter, Functions


class _BoundedFunctions(_Functions):
    """The library's functions, save one that multiplies."""

    def call_function(self, function_name: str, resolved_args: Sequence[Any]) -> Any:
        if function_name == "join" and len(resolved_args) == 2:
            glue, parts = resolved_args
            if isinstance(glue, str) and isinstance(parts, list):
                _bound(len(glue) * len(cast("list[object]", parts)))
        return super().call_function(function_name, resolved_args)


_FUNCTIONS: Final = cast("Mapping[str, Mapping[str, Any]]", Functions.FUNCTION_TABLE)  # pyright: ignore[reportUnknownMemberType]
"""The library's own table of what there is."""


class _Bounded(_Interpreter):
    """The library's interpreter, which counts its steps and weighs what it builds."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(Options(custom_functions=cast("Functions", _BoundedFunctions())))
        self._work = 0
        self._budget = budget
        # By identity, kept alive with its weight: what was weighed once is not walked again.
        self._weights: dict[int, tuple[object, int]] = {}

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        self._spend(1)
        value = super().visit(node, *args, **kwargs)
        if node["type"] in _BUILDING:
            _bound(self._weight(value))
        return value

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


def _bound(weight: int) -> None:
    if weight > _MOST_WEIGHT:
        raise ExpressionFault("makes too large a value")


def _check_calls(root: Node) -> None:
    """Raises ExpressionFault for what no data could mend: an unknown function, or arguments that it never takes.

    Said when a plan is submitted, and not when its steps have had their effects.
    """
    allowed: set[int] = set()
    for _, node in _nodes(root):
        if node["type"] == "function_expression":
            _check_call(node)
            allowed.update(id(child) for child in _children(node))
        elif node["type"] == "expref" and id(node) not in allowed:
            raise ExpressionFault("no JMESPath expression: &… may only stand as an argument of a function")
        elif node["type"] == "slice" and node["children"][2] == 0:
            raise ExpressionFault("no JMESPath expression: the step of a slice can't be 0")


def _check_call(node: Node) -> None:
    name, given = str(node["value"]), _children(node)
    known = _FUNCTIONS.get(name)
    if known is None:
        near = get_close_matches(name, _FUNCTIONS, 1)
        hint = f"; did you mean {near[0]}()?" if near else f"; there are {', '.join(sorted(_FUNCTIONS))}"
        raise ExpressionFault(f"there is no JMESPath function {name}(){hint}")
    wanted: Sequence[Mapping[str, Any]] = known["signature"]
    variadic = bool(wanted) and bool(wanted[-1].get("variadic"))
    if len(given) < len(wanted) or (len(given) > len(wanted) and not variadic):
        most = (
            f"{len(wanted)}{' or more' if variadic else ''} argument{'' if len(wanted) == 1 and not variadic else 's'}"
        )
        raise ExpressionFault(f"the JMESPath function {name}() takes {most}, and this gives it {len(given)}")
    for place, child in enumerate(given):
        kinds: Sequence[str] = wanted[min(place, len(wanted) - 1)]["types"]
        if ("expref" in kinds) is not (child["type"] == "expref"):
            what = "an expression reference (&…)" if "expref" in kinds else "a value, and no expression reference (&…),"
            raise ExpressionFault(f"the JMESPath function {name}() takes {what} as argument {place + 1}")


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
    return any(_looks_everywhere(child, found) for child in _children(node)[_SAME.get(kind, slice(None))])


def _nodes(root: Node) -> Iterator[tuple[int, Node]]:
    """All nodes with their depth. Iterative: a long pipe is deep."""
    waiting = [(1, root)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting.extend((depth + 1, child) for child in _children(node))


def _children(node: Node) -> Sequence[Node]:
    children = cast("Sequence[object]", node.get("children") or ())
    # A slice's children are numbers.
    return [cast("Node", child) for child in children if isinstance(child, dict)]


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


def _place(error: Exception) -> str:
    """What is wrong, and where: the parser's own picture of that takes several lines, and a font."""
    if isinstance(error, IncompleteExpressionError):
        return "it ends where more should follow"
    if isinstance(error, LexerError):
        return f"at character {error.lexer_position + 1}: {_one_line(error.message)}"
    if isinstance(error, ArityError) or not isinstance(error, ParseError):
        return _line(error)
    if error.token_type == "EOF":  # noqa: S105 - the parser's name for the end
        return "it ends where more should follow"
    return f"at character {error.lex_position + 1}, {_one_line(str(error.token_value))!r} can't stand there"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _line(error: Exception) -> str:
    return _one_line(str(error)) or type(error).__name__
