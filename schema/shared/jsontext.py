"""JSON in and out: fast where it is plain, strict about what other readers would read differently."""

import json
import re
from typing import Any, Final, cast

import orjson

from schema.shared.faults import BAD_USER_INPUT, RequestError

__all__ = ["MAX_SAFE_INTEGER", "JsonText", "check_json", "decode", "encode"]

MAX_SAFE_INTEGER: Final = 2**53 - 1

_LONG_NUMBER: Final = re.compile(rb"[0-9]{16}")


class JsonText:
    """JSON that is only handed on: its text goes into the answer. Read, it would take many times the memory."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())

    def shown(self) -> orjson.Fragment:
        """What `encode` writes as this text."""
        return orjson.Fragment(self.text)


def encode(value: object) -> bytes:
    """`value` as JSON text; what orjson can't write (huge integers, lone surrogates) the slow encoder does."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), default=_slowly).encode()


def _slowly(value: object) -> object:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, orjson.Fragment) else str(value)


def decode(text: bytes) -> Any:
    """The value of a JSON text; a `RequestError` with `BAD_USER_INPUT` if it is none that can be kept exactly.

    Refused are NaN, infinities, lone surrogates, the character NUL, integers
    beyond ±(2⁵³ - 1) and nesting that would exhaust the stack.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The text is not valid JSON: {error.msg}", BAD_USER_INPUT) from None
    if _LONG_NUMBER.search(text):
        _refuse_long_integers(text)
    if b"\\u0000" in text:
        check_json(value, what="The text")
    return value


def check_json(value: Any, *, what: str, max_depth: int = 1024) -> None:
    """Refuse, with a `RequestError`, what can't be kept exactly as JSON; `what` begins the sentence."""
    pending: list[tuple[Any, int]] = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            _check_text(item, what)
        elif isinstance(item, dict | list):
            if depth > max_depth:
                raise _bad(f"{what} is nested too deeply: at most {max_depth} levels are allowed.")
            entries: Any = cast("Any", item)
            if isinstance(item, dict):
                pending.extend((key, depth) for key in entries)
                entries = entries.values()
            pending.extend((entry, depth + 1) for entry in entries)
        elif isinstance(item, int) and abs(item) > MAX_SAFE_INTEGER:
            raise _bad(f"{what} holds an integer beyond ±(2^53 - 1), which JSON's readers would round.")
        elif isinstance(item, float) and (item != item or item in (float("inf"), float("-inf"))):  # noqa: PLR0124 - only NaN differs from itself
            raise _bad(f"{what} holds a number that JSON has no text for.")


def _check_text(text: str, what: str) -> None:
    if "\x00" in text:
        raise _bad(f"{what} holds the character NUL.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad(f"{what} holds half of a surrogate pair, which is no character.") from None


def _refuse_long_integers(text: bytes) -> None:
    # orjson reads integers past 64 bits as floats, so the digits themselves have to be looked at.
    def whole(digits: str) -> int:
        if len(digits) > 17 or abs(int(digits)) > MAX_SAFE_INTEGER:
            raise _bad("The text holds an integer beyond ±(2^53 - 1), which JSON's readers would round.")
        return 0

    try:
        json.loads(text, parse_int=whole)
    except RecursionError:
        raise _bad("The text is nested too deeply.") from None


def _bad(message: str) -> RequestError:
    return RequestError(message, BAD_USER_INPUT)
