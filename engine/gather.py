"""Group commit without a timer: while one group is being written, the next one gathers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

from persistence.database import Unavailable

log = structlog.get_logger()

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gather(Generic[Item, Answer]):
    """Writes items in groups, one group at a time, and answers each one's caller.

    An idle gatherer writes a single item at once. When a group fails for another reason than the database being away,
    its items are written one by one, so that one bad item takes none of the others with it.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, at_most: int, name: str
    ) -> None:
        self._write = write
        self._at_most = at_most
        self._name = name
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, item: Item) -> Answer:
        """The answer for this item, once it is committed. Raises what its writing raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if not self._writing:
            self._writing = True
            task = asyncio.create_task(self._write_all(), name=self._name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def close(self) -> None:
        """Wait for what is being written."""
        for task in tuple(self._tasks):
            with suppress(asyncio.CancelledError):
                await task

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(self._at_most, len(self._waiting)))]
                # A caller that has given up meanwhile is not written for.
                group = [(item, answer) for item, answer in group if not answer.done()]
                if group:
                    await self._write_group(group)
        finally:
            self._writing = False

    async def _write_group(self, group: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._write([item for item, _ in group])
        except Unavailable as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            if len(group) == 1:
                _fail(group, error)
                return
            log.warning("group_written_one_by_one", group=self._name, items=len(group), error=str(error))
            for each in group:
                await self._write_group([each])
        else:
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _fail(group: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
