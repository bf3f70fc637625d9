"""How large an answer may grow: what is counted while it is made, because no text says how long unpaged lists are.

A run's steps lead to the steps that they wait for, those to their own, and so on: a document of twenty words asks for
millions of objects, all of them read already. They would be made in one go, with nobody else served meanwhile.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["ONE_BY_ONE", "AnswerTooLarge", "is_large", "pause_is_due", "spend", "spending"]

ONE_BY_ONE: Final = 20
"""What an entry counts whose fields graphql-core has to resolve: it takes many times as long."""

_BETWEEN_PAUSES: Final = 2000
_LARGE: Final = 256


class AnswerTooLarge(BaseException):
    """The answer has more entries than one answer may have.

    It is no `Exception`: what becomes of a field's error is to be an error beside the other fields' values, and what
    becomes of this one is that no more is made of the answer.
    """


class _Purse:
    __slots__ = ("left", "unpaused")

    def __init__(self, entries: int) -> None:
        self.left = entries
        self.unpaused = 0


_PURSE: Final = ContextVar[_Purse | None]("purse", default=None)


@contextmanager
def spending(entries: int) -> Generator[None]:
    """Within the block, the lists that are made, in tasks begun there too, have no more entries together than that."""
    before = _PURSE.set(_Purse(entries))
    try:
        yield
    finally:
        _PURSE.reset(before)


def spend(entries: int) -> None:
    """Count so many entries; `AnswerTooLarge` when they are too many."""
    purse = _PURSE.get()
    if purse is not None:
        purse.left -= entries
        purse.unpaused += entries
        if purse.left < 0:
            raise AnswerTooLarge


def is_large(entries: int) -> bool:
    """Whether a list is worth looking for pauses in."""
    return entries > _LARGE and _PURSE.get() is not None


def pause_is_due() -> bool:
    """Whether others should be served before more is made; asked by whoever then does so."""
    purse = _PURSE.get()
    if purse is None or purse.unpaused < _BETWEEN_PAUSES:
        return False
    purse.unpaused = 0
    return True
