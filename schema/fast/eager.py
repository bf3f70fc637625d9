"""Starting a coroutine at once: most sends, and many answers, never wait; tasks and timers cost as much as they do."""

from asyncio import timeout_at
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

__all__ = ["Rest", "begin", "in_time"]

T = TypeVar("T")


class Rest(Generic[T]):
    """What is left of a coroutine that has to wait: awaiting it goes on from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        """Give the loop what the coroutine waits for, until it has ended."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    answer = yield waits_for
                except BaseException as error:  # noqa: BLE001 - thrown into the coroutine, whose matter it is
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(answer)
        except StopIteration as end:
            return end.value


def begin(coroutine: Coroutine[Any, Any, T]) -> Rest[T] | None:
    """Run the coroutine up to where it has to wait; None if it ended before. Raises what it raises.

    In a task only: what it waits for belongs to the running loop.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return Rest(coroutine, waits_for)


async def in_time(deadline: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine gives; `TimeoutError` if it still waits at the deadline (the loop's time).

    As `asyncio.timeout_at` does, but what never waits needs no timer.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    async with timeout_at(deadline):
        return await Rest(coroutine, waits_for)
