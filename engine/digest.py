"""The digest that an approval binds to: SHA-256 of canonical JSON (RFC 8785). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import orjson
import rfc8785


def args_digest(tool: str, args: Mapping[str, object]) -> str:
    """SHA-256, in hex, of the RFC 8785 JSON of `{"args": args, "tool": tool}`.

    >>> args_digest("send_postcard", {"to": "Ann"})
    '6847941c68e9dba0394cdc591053ece8de364d63ed332034226c0899dcf0f9ed'
    """
    return hashlib.sha256(canonical({"args": args, "tool": tool})).hexdigest()


def canonical(value: object) -> bytes:
    """The value's RFC 8785 text: one byte string for all ways of writing the same JSON.

    The value must have passed `values.fault_of`; what RFC 8785 can't say raises
    `rfc8785.CanonicalizationError`.
    """
    if _is_simple(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
        except orjson.JSONEncodeError:
            pass  # rfc8785 names the fault
    return rfc8785.dumps(cast("Any", value))


def _is_simple(value: object) -> bool:
    """Whether orjson with sorted keys writes exactly what RFC 8785 asks for.

    It formats floats differently, and sorts keys by UTF-8 instead of UTF-16, which is the same for ASCII.
    """
    waiting: list[Any] = [value]
    for item in waiting:  # grows while it is walked; anything circular is refused by fault_of before
        kind = type(item)  # pyright: ignore[reportUnknownVariableType] -- cast() costs half as much again
        if kind is dict:
            for key in item:
                if type(key) is not str or not key.isascii():
                    return False
            waiting.extend(item.values())
        elif kind is list:
            waiting.extend(item)
        elif kind is not str and kind is not int and kind is not bool and item is not None:
            return False
    return True
