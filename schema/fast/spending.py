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
    "has_pauses",
    "in_turn",
    "is_long",
    "settled",
    "spend",
    "spend_json",
    "spending",
    "standing",
    "stir",
    "with_pauses",
]

T = TypeVar("T")
R = TypeVar("R")

ONE_BY_ONE: Final = 20
"""What an entry counts whose fields graphql-core has to resolve: it takes many times as long."""

_BETWEEN_PAUSES: Final = 500
_UNTIL_PAUSES: Final = 5000
_WITHOUT_PAUSE: Final = 50_000
_STILL: Final = 24
"""Turns of the loop: what an entry leads to before it asks for more takes one or two for each level of fields."""


class AnswerTooLarge(BaseException):
    """The answer has more entries, or more JSON, than one answer may have.

    It is no `Exception`: what becomes of a field's error is to be an error beside the other fields' values, and what
    becomes of this one is that no more is made of the answer.
    """


class TooMuchJson(AnswerTooLarge):
    """The arguments and results in the answer are too long together."""


class _Purse:
    __slots__ = ("bytes_left", "has_pauses", "left", "stirred", "turn", "unpaused", "waiting")

    def __init__(self, entries: int, json_bytes: int) -> None:
        self.left = entries
        self.bytes_left = json_bytes
        self.unpaused = 0
        self.turn = Lock()
        self.has_pauses = False
        self.waiting = 0
        """Entries of long lists whose turn is still to come."""
        self.stirred = 0
        """Grows while the answer is being made."""


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
    purse.waiting += 1
    try:
        async with purse.turn:
            await _pause(purse, entries)
    finally:
        purse.waiting -= 1
        purse.stirred += 1
    return item


async def _pause(purse: _Purse, entries: int) -> None:
    purse.unpaused += entries
    if purse.unpaused > _BETWEEN_PAUSES:
        purse.unpaused = 0
        await sleep(0)


def is_long(entries: int) -> bool:
    """Whether a list is worth making with pauses, after all that was made without one."""
    purse = _PURSE.get()
    if purse is None or purse.unpaused + entries <= _UNTIL_PAUSES:
        return False
    purse.has_pauses = True
    return True


def has_pauses() -> bool:
    """Whether a list of this answer is made with pauses, between which its entries ask for what they show."""
    purse = _PURSE.get()
    return purse is not None and purse.has_pauses


def stir() -> None:
    """Say that the answer is still being made: something more was asked for."""
    purse = _PURSE.get()
    if purse is not None:
        purse.stirred += 1


async def settled() -> None:
    """Wait until all entries of the long lists had their turns, and nothing more is asked for.

    What is read for them before that is read for some of them, and then again for the next.
    """
    purse = _PURSE.get()
    still = 0
    while purse is not None and still < _STILL:
        seen = purse.stirred
        await sleep(0)
        still = 0 if purse.waiting or purse.stirred != seen else still + 1
