"""Group commit without a timer: while one group is being written, the next one gathers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import structlog

from persistence.database import Unavailable
from persistence.supervisor import failed, known

log = structlog.get_logger()

_ANSWERS: Final = known("group-answers")

Item = TypeVar("Item")
Answer = TypeVar("Answer")


_Entry = tuple[Item, Callable[[Answer | Exception], None], asyncio.Future[Answer] | None]
"""An item, the callback that gets its answer, and the future whose end says that nobody waits for it any more."""


class Gather(Generic[Item, Answer]):
    """Writes items in groups, up to `writers` groups at a time, and answers each one's caller.

    An idle gatherer writes a single item at once. When a group fails for another reason than the database being away,
    its items are written one by one, so that one bad item takes none of the others with it.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        at_most: int,
        name: str,
        writers: int = 1,
    ) -> None:
        self._write = write
        self._at_most = at_most
        self._name = name
        self._writers = writers
        self._waiting: deque[_Entry[Item, Answer]] = deque()
        self._gathering = False
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, item: Item) -> asyncio.Future[Answer]:
        """The answer for this item, to be awaited: it comes once the item is committed, or what its writing raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def then(found: Answer | Exception) -> None:
            if answer.done():
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        self._add((item, then, answer))
        return answer

    def tell(self, item: Item, then: Callable[[Answer | Exception], None]) -> None:
        """The same for callers that do not wait: `then` is called with the answer, or with what the writing raised."""
        self._add((item, then, None))

    def _add(self, entry: _Entry[Item, Answer]) -> None:
        self._waiting.append(entry)
        if not self._gathering and len(self._tasks) < self._writers:
            self._begin()

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self) -> None:
        self._gathering = True
        task = asyncio.create_task(self._write_next(), name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting and not self._gathering and len(self._tasks) < self._writers:
            self._begin()

    async def _write_next(self) -> None:
        # As long as each turn of the loop brings more, the group is still coming together: what was started together
        # is written together.
        seen = 0
        while seen < len(self._waiting) < self._at_most:
            seen = len(self._waiting)
            await asyncio.sleep(0)
        self._gathering = False
        group = [self._waiting.popleft() for _ in range(min(self._at_most, len(self._waiting)))]
        # A caller that has given up meanwhile is not written for.
        group = [entry for entry in group if entry[2] is None or not entry[2].done()]
        if self._waiting and len(self._tasks) < self._writers:
            self._begin()
        if group:
            await self._write_group(group)

    async def _write_group(self, group: list[_Entry[Item, Answer]]) -> None:
        try:
            answers = await self._write([item for item, _, _ in group])
        except Unavailable as error:
            self._tell(group, [error] * len(group))
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            if len(group) == 1:
                self._tell(group, [error])
                return
            log.warning("group_written_one_by_one", group=self._name, items=len(group), error=str(error))
            for each in group:
                await self._write_group([each])
        else:
            self._tell(group, answers)

    def _tell(self, group: Sequence[_Entry[Item, Answer]], answers: Sequence[Answer | Exception]) -> None:
        if len(answers) != len(group):
            # Written they are: nobody may wait for ever, or write again, because of what is missing.
            answers = [RuntimeError(f"{len(group)} items were written, and {len(answers)} answered")] * len(group)
        for (_, then, _), answer in zip(group, answers, strict=True):
            try:
                then(answer)
            except Exception as error:  # noqa: BLE001 - logged and counted: the others of the group wait for their answers
                failed(_ANSWERS, error, group=self._name)
