"""Background loops that are restarted after every error, with a log line and a count: one kind for all of them.

A background task that dies in silence is dangerous, because the program goes on as if it still ran. Here every error
that ends a loop is logged and counted, and the loop is restarted after a pause.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

log = structlog.get_logger()

FAILURES: Final[Counter[str]] = Counter()
"""How often each background task of this process has failed and gone on, by its name: 0 for those that never did."""

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 5.0
_WELL_SECONDS: Final = 10.0
"""A loop that ran for so long is well again: its next pause is the shortest."""


def known(name: str) -> str:
    """The name, from now on among those that are counted."""
    FAILURES[name] += 0
    return name


def failed(name: str, error: BaseException, **facts: object) -> None:
    """Log and count a failure in the background; the caller goes on."""
    FAILURES[name] += 1
    log.error("background_failed", task=name, failures=FAILURES[name], **facts, exc_info=error)


class Background:
    """A loop in a task of its own. Open it, and close it in the end.

    `work` is restarted whenever it raises, after a pause that doubles up to five seconds, and `again` is called before
    that: wake-ups that the loop received earlier may have been lost with the error. It returns when there is nothing
    left to do; then the task ends.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[None]], *, again: Callable[[], None] = lambda: None
    ) -> None:
        self.name = known(name)
        self._work = work
        self._again = again
        self._task: asyncio.Task[None] | None = None
        self._pausing = False

    @property
    def is_well(self) -> bool:
        """Whether it runs at this moment, and is not waiting to be restarted."""
        return self._task is not None and not self._task.done() and not self._pausing

    def open(self) -> None:
        """Begin, unless it runs already."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.run(), name=self.name)

    async def finished(self) -> None:
        """Wait until there is nothing left to do."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """End it, and wait until it has."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def run(self) -> None:
        """The loop itself, for callers that have a task or a thread for it already."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            begun = loop.time()
            try:
                await self._work()
            except GeneratorExit:
                raise
            except BaseException as error:
                if _is_our_end(error):
                    raise
                failed(self.name, error)
            else:
                return
            if loop.time() - begun >= _WELL_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._pausing = True
            try:
                await asyncio.sleep(pause)
            finally:
                self._pausing = False
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._again()


def _is_our_end(error: BaseException) -> bool:
    """Whether somebody cancels this task, and not only something in it."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)
