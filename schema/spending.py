"""How large an answer may grow: what is counted while it is made, because no text says how long unpaged lists are.

A run's steps lead to the steps that they wait for, those to their own, and so on: a document of twenty words asks for
millions of objects, all of them read already. They would be made in one go, with nobody else served meanwhile. And one
long result is shown wherever its step is.
"""

from asyncio import Lock, sleep
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from strawberry.execution import optimized_is_awaitable

__all__ = [
    "ONE_BY_ONE",
    "AnswerTooLarge",
    "TooMuchJson",
    "back_to",
    "in_turn",
    "is_long",
    "spend",
    "spend_json",
    "spending",
    "standing",
    "with_pauses",
]

T = TypeVar("T")
R = TypeVar("R")

ONE_BY_ONE: Final = 20
"""What an entry counts whose fields graphql-core has to resolve: it takes many times as long."""

_BETWEEN_PAUSES: Final = 500
_UNTIL_PAUSES: Final = 5000
_WITHOUT_PAUSE: Final = 50_000


class AnswerTooLarge(BaseException):
    """The answer has more entries, or more JSON, than one answer may have.

    It is no `Exception`: what becomes of a field's error is to be an error beside the other fields' values, and what
    becomes of this one is that no more is made of the answer.
    """


class TooMuchJson(AnswerTooLarge):
    """The arguments and results in the answer are too long together."""


class _Purse:
    __slots__ = ("bytes_left", "left", "turn", "unpaused")

    def __init__(self, entries: int, json_bytes: int) -> None:
        self.left = entries
        self.bytes_left = json_bytes
        self.unpaused = 0
        self.turn = Lock()


_PURSE: Final = ContextVar[_Purse | None]("purse", default=None)


@contextmanager
def spending(entries: int, json_bytes: int) -> Generator[None]:
    """Within the block, and in tasks begun there, the lists that are made have no more entries together than that.

    And the JSON in them has no more bytes.
    """
    before = _PURSE.set(_Purse(entries, json_bytes))
    try:
        yield
    finally:
        _PURSE.reset(before)


def spend(entries: int, *, at_once: bool = True) -> None:
    """Count so many entries; `AnswerTooLarge` when they are too many for an answer, or to be made `at_once`."""
    purse = _PURSE.get()
    if purse is not None:
        purse.left -= entries
        purse.unpaused += entries if at_once else 0
        if purse.left < 0 or purse.unpaused > _WITHOUT_PAUSE:
            raise AnswerTooLarge


def spend_json(size: int) -> None:
    """Count so many bytes of JSON that are shown; `TooMuchJson` when they are too many for an answer."""
    purse = _PURSE.get()
    if purse is not None:
        purse.bytes_left -= size
        if purse.bytes_left < 0:
            raise TooMuchJson


def standing() -> tuple[int, int, int] | None:
    """What is left, for `back_to`."""
    purse = _PURSE.get()
    return None if purse is None else (purse.left, purse.bytes_left, purse.unpaused)


def back_to(before: tuple[int, int, int] | None) -> None:
    """Take back what was counted since: it is made anew in another way, and counted there."""
    purse = _PURSE.get()
    if purse is not None and before is not None:
        purse.left, purse.bytes_left, purse.unpaused = before


async def with_pauses(items: Sequence[T], make: Callable[[T], R]) -> list[R]:
    """What is made of each item, with pauses in which others are served.

    The long lists of one answer take turns: if each of a hundred did its part before a pause, the pause would be long
    in coming.
    """
    purse = _PURSE.get()
    if purse is None:
        return [make(item) for item in items]
    async with purse.turn:
        made: list[R] = []
        for item in items:
            await _pause(purse, 1)
            made.append(make(item))
        return made


def in_turn(items: Iterable[Any], entries: int) -> Iterator[Awaitable[Any]]:
    """Each item, counting for so many entries, once the others before it are made, with pauses again."""
    purse = _PURSE.get()
    assert purse is not None
    return (item if optimized_is_awaitable(item) else _in_turn(item, entries, purse) for item in items)


async def _in_turn(item: T, entries: int, purse: _Purse) -> T:
    async with purse.turn:
        await _pause(purse, entries)
    return item


async def _pause(purse: _Purse, entries: int) -> None:
    purse.unpaused += entries
    if purse.unpaused > _BETWEEN_PAUSES:
        purse.unpaused = 0
        await sleep(0)


def is_long(entries: int) -> bool:
    """Whether a list is worth making with pauses, after all that was made without one."""
    purse = _PURSE.get()
    return purse is not None and purse.unpaused + entries > _UNTIL_PAUSES
