"""Reading what other people's code raised: it may raise again, and anything, also what would end the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def text_of(error: BaseException) -> str:
    """What an error says of itself, after its type.

    >>> text_of(ValueError("odd")), text_of(KeyError())
    ('ValueError: odd', 'KeyError')
    """
    kind, text = type(error).__name__, read(str, error)
    return f"{kind}: {text}" if text else kind


def read(how: Callable[[Any], str], thing: object) -> str:
    """The text of a stranger's object, or words in its place when reading it raises."""
    found = attempted(lambda: str.__str__(how(thing)), None)
    return "(its text can't be read)" if found is None else found


def attribute(thing: object, name: str, otherwise: T) -> Any | T:
    """A stranger's attribute; `otherwise` where there is none, or looking at it raises."""
    return attempted(lambda: getattr(thing, name), otherwise)


def attempted(look: Callable[[], Any], otherwise: T) -> Any | T:
    """What a look at a stranger's object gives; `otherwise` when it raises."""
    try:
        return look()
    except BaseException:  # noqa: BLE001 - SystemExit and the like too: nothing here is awaited, so nobody cancels it
        return otherwise
