"""The functions that expressions may call: the library's, JMESPath Community Edition's, and a few of ours.

All are pure, and what they build is bounded before it is built. A function is a method `_func_NAME` with its signature;
an argument marked `optional` may be left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import rfc8785
from jmespath.functions import Functions
from jmespath.functions import signature as _signature

from engine.expressions import dates, patterns
from engine.expressions.faults import ExpressionFault, bound

_LARGEST: Final = 2**53 - 1
"""The largest whole number that all JSON readers keep exactly."""

_FORBIDDEN_KEY: Final = "$secret"

if TYPE_CHECKING:

    class _Functions:
        """The library's functions, which have no types."""

        FUNCTION_TABLE: dict[str, dict[str, Any]]

        def call_function(self, function_name: str, resolved_args: Sequence[Any]) -> Any: ...
        def _validate_arguments(self, args: Sequence[Any], signature: Sequence[Any], function_name: str) -> Any: ...
else:
    _Functions = Functions

Argument = Mapping[str, Any]
"""`types` (none: any), `optional`, `variadic`."""

Method = TypeVar("Method", bound=Callable[..., Any])

_TEXT: Final[Argument] = {"types": ["string"]}
_NUMBER: Final[Argument] = {"types": ["number"]}
_LIST: Final[Argument] = {"types": ["array"]}
_KEY: Final[Argument] = {"types": ["expref"]}
_ANYTHING: Final[Argument] = {"types": []}


def _optional(argument: Argument) -> Argument:
    return {**argument, "optional": True}


def _takes(*arguments: Argument) -> Callable[[Method], Method]:
    """Mark a method as a function with these arguments: the library's decorator, which has no types."""
    return cast("Any", _signature)(*arguments)


class CommunityFunctions(_Functions):
    """The functions of one evaluation; `spend` counts its work, and `now` is when its run was submitted."""

    def __init__(self, spend: Callable[[int], None], now: str | None = None) -> None:
        self._spend = spend
        self._now = now

    def call_function(self, function_name: str, resolved_args: Sequence[Any]) -> Any:
        """The function's value; its work is counted. Raises ExpressionFault and the library's JMESPathError."""
        if function_name == "join" and len(resolved_args) == 2:
            glue, parts = resolved_args
            if isinstance(glue, str) and isinstance(parts, list):
                bound(len(glue) * len(cast("list[object]", parts)))
        self._spend(sum(_size(each) for each in resolved_args))
        return super().call_function(function_name, resolved_args)

    def _validate_arguments(self, args: Sequence[Any], signature: Sequence[Any], function_name: str) -> Any:
        # The library knows no optional arguments: those that were left out have no type to check.
        given = signature[: len(args)] if len(args) >= least_arguments(signature) else signature
        return super()._validate_arguments(args, given, function_name)

    # Objects and lists

    @_takes({"types": ["object"]})
    def _func_items(self, entries: dict[str, Any]) -> list[Any]:
        return [[key, value] for key, value in entries.items()]

    @_takes(_LIST)
    def _func_from_items(self, pairs: list[Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for pair in pairs:
            if not (isinstance(pair, list) and len(cast("list[object]", pair)) == 2 and isinstance(pair[0], str)):
                raise ExpressionFault("from_items() takes pairs of a text and a value, like ['key', value]")
            made[_key("from_items", pair[0])] = pair[1]
        return made

    @_takes({"types": ["array"], "variadic": True})
    def _func_zip(self, *lists: list[Any]) -> list[Any]:
        bound(min(map(len, lists)) * len(lists))
        return [list(each) for each in zip(*lists, strict=False)]

    @_takes(_LIST, _KEY)
    def _func_group_by(self, entries: list[Any], key: Any) -> dict[str, list[Any]]:
        groups: dict[str, list[Any]] = {}
        for entry in entries:
            name = key.visit(key.expression, entry)
            if name is None:
                continue
            if not isinstance(name, str):
                raise ExpressionFault(f"group_by() groups by texts, and a key is {_kind(name)}")
            groups.setdefault(_key("group_by", name), []).append(entry)
        return groups

    @_takes(_LIST)
    def _func_unique(self, entries: list[Any]) -> list[Any]:
        return self._firsts(entries, entries)

    @_takes(_LIST, _KEY)
    def _func_unique_by(self, entries: list[Any], key: Any) -> list[Any]:
        return self._firsts(entries, [key.visit(key.expression, entry) for entry in entries])

    def _firsts(self, entries: list[Any], keys: list[Any]) -> list[Any]:
        """The first entry of each key; keys are the same when their JSON is: 1 and 1.0 are, 1 and true are not."""
        self._spend(sum(_deep_size(key) for key in keys))
        firsts: dict[bytes, Any] = {}
        for entry, key in zip(entries, keys, strict=True):
            firsts.setdefault(rfc8785.dumps(key), entry)
        return list(firsts.values())

    @_takes(_ANYTHING, _ANYTHING)
    def _func_default(self, value: Any, other: Any) -> Any:
        return other if value is None else value

    # Texts

    @_takes(_TEXT, _TEXT, _optional(_NUMBER))
    def _func_split(self, text: str, separator: str, most: float | None = None) -> list[str]:
        times = -1 if most is None else _count("split", most)
        if separator:
            return text.split(separator, times)
        head = text if times < 0 else text[:times]
        bound(2 * len(head))
        return list(head) if times < 0 else [*head, text[times:]]

    @_takes(_TEXT)
    def _func_lower(self, text: str) -> str:
        return text.lower()

    @_takes(_TEXT)
    def _func_upper(self, text: str) -> str:
        return text.upper()

    @_takes(_TEXT, _optional(_TEXT))
    def _func_trim(self, text: str, characters: str = "") -> str:
        return text.strip(characters or None)

    @_takes(_TEXT, _TEXT, _TEXT, _optional(_NUMBER))
    def _func_replace(self, text: str, old: str, new: str, most: float | None = None) -> str:
        times = -1 if most is None else _count("replace", most)
        found = text.count(old)
        bound(len(text) + (found if times < 0 else min(found, times)) * len(new))
        return text.replace(old, new, times)

    @_takes(_TEXT, _NUMBER, _optional(_TEXT))
    def _func_pad_left(self, text: str, width: float, character: str = " ") -> str:
        return text.rjust(*_padding("pad_left", width, character))

    @_takes(_TEXT, _NUMBER, _optional(_TEXT))
    def _func_pad_right(self, text: str, width: float, character: str = " ") -> str:
        return text.ljust(*_padding("pad_right", width, character))

    @_takes(_TEXT, _TEXT, _optional(_NUMBER), _optional(_NUMBER))
    def _func_find_first(
        self, text: str, part: str, start: float | None = None, end: float | None = None
    ) -> int | None:
        first = 0 if start is None else _whole("find_first", start)
        last = len(text) if end is None else _whole("find_first", end)
        place = text.find(part, first, last) if part else -1
        return None if place < 0 else place

    @_takes(_TEXT, _TEXT)
    def _func_regex_first(self, text: str, pattern: str) -> str | None:
        return patterns.first(text, pattern)

    @_takes(_TEXT, _TEXT)
    def _func_regex_all(self, text: str, pattern: str) -> list[str | None]:
        return patterns.every(text, pattern, self._spend)

    # Numbers

    @_takes(_NUMBER, _optional(_NUMBER))
    def _func_round(self, value: float, digits: float = 0) -> float:
        places = _whole("round", digits)
        if abs(places) > 20:
            raise ExpressionFault("round() takes at most 20 digits")
        rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        return number(int(rounded) if places <= 0 else float(rounded))

    # Dates and times, as ISO 8601 text

    @_takes(_TEXT, _NUMBER, _TEXT)
    def _func_date_add(self, at: str, amount: float, unit: str) -> str:
        return dates.add(at, _whole("date_add", amount), unit)

    @_takes(_TEXT, _TEXT, _TEXT)
    def _func_date_diff(self, since: str, until: str, unit: str) -> int:
        return dates.difference(since, until, unit)

    @_takes(_TEXT, _TEXT)
    def _func_date_format(self, at: str, layout: str) -> str:
        return dates.written(at, layout)

    @_takes(_TEXT, _TEXT)
    def _func_date_parse(self, text: str, layout: str) -> str | None:
        return dates.parsed(text, layout)

    @_takes()
    def _func_now(self) -> str:
        # Not the clock's time: a step that is tried again must be called with the same.
        if self._now is None:
            raise ExpressionFault("now() is the moment at which a run is submitted, and is known in runs only")
        return self._now


TABLE: Final[Mapping[str, Sequence[Argument]]] = {
    name: entry["signature"] for name, entry in CommunityFunctions.FUNCTION_TABLE.items()
}
"""All functions by name, with their arguments."""


def least_arguments(arguments: Sequence[Argument]) -> int:
    """How many arguments a call must have."""
    return sum(not each.get("optional") for each in arguments)


def calculated(operator: str, left: object, right: object) -> float:
    """The value of an arithmetic expression. Raises ExpressionFault for what are no numbers, and for division by 0."""
    for operand in (left, right):
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise ExpressionFault(f"{operator} takes numbers, and one side of it is {_kind(operand)}")
    a, b = cast("float", left), cast("float", right)
    try:
        match operator:
            case "+":
                value = a + b
            case "-":
                value = a - b
            case "*":
                value = a * b
            case "/":
                value = a / b
            case _:
                value = a % b
    except ZeroDivisionError:
        raise ExpressionFault(f"{operator} by zero has no value") from None
    except OverflowError:
        raise ExpressionFault(f"{operator} gives a number that is too large") from None
    return number(value)


def number(value: float) -> float:
    """The number as readers of JSON keep it: a whole one without a fraction. Raises ExpressionFault if too large."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ExpressionFault("gives a number that is too large")
        if not value.is_integer() or abs(value) > _LARGEST:
            return value
        return int(value)
    if abs(value) > _LARGEST:
        raise ExpressionFault("gives a whole number beyond ±(2^53 - 1), which readers of JSON would round")
    return value


def _whole(function: str, value: float) -> int:
    if not math.isfinite(value) or value != int(value):
        raise ExpressionFault(f"{function}() takes whole numbers, and one is {value}")
    return int(value)


def _count(function: str, value: float) -> int:
    count = _whole(function, value)
    if count < 0:
        raise ExpressionFault(f"{function}() takes a number of 0 or more, and it is {count}")
    return count


def _padding(function: str, width: float, character: str) -> tuple[int, str]:
    if len(character) != 1:
        raise ExpressionFault(f"{function}() pads with one character, and has {len(character)}")
    columns = _count(function, width)
    bound(columns)
    return columns, character


def _key(function: str, name: str) -> str:
    if name == _FORBIDDEN_KEY:
        raise ExpressionFault(f"{function}() can't make a {_FORBIDDEN_KEY}: only a plan's own is one")
    return name


def _size(value: object) -> int:
    """What reading a value once takes, about: its entries, or a step for each hundred characters."""
    if isinstance(value, str):
        return len(value) // 100
    return len(cast("Sequence[object]", value)) if isinstance(value, list | dict) else 0


def _deep_size(value: object) -> int:
    total, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        total += 1 + _size(each)
        if isinstance(each, list):
            waiting += cast("list[object]", each)
        elif isinstance(each, dict):
            waiting += cast("dict[str, object]", each).values()
    return total


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a number"
