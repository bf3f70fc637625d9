"""Threads for tools that are plain functions.

The standard pool fits badly here: a call that timed out keeps its thread for as long as it likes, so a
bounded pool starves the calls after it, and the interpreter waits for its threads at exit. These threads are
reused when idle, started when none is, and die with the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar, cast

Result = TypeVar("Result")

IDLE_SECONDS: Final = 30.0
"""How long a thread waits for another call before it ends."""


class ToolThreads:
    """Runs each call in a thread of its own; how many run at once is the caller's to bound."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._work: deque[tuple[Future[Any], Callable[[], object]]] = deque()
        self._changed = threading.Condition()
        self._idle = 0

    async def run(self, call: Callable[[], Result]) -> Result:
        """What the call returns; it sees the caller's context variables.

        Being cancelled ends the waiting, not the call: nothing can stop a thread.
        """
        context = contextvars.copy_context()
        done: Future[_Outcome] = Future()
        self._submit(done, lambda: context.run(_outcome_of, call))
        outcome = await asyncio.wrap_future(done)
        if outcome.error is None:
            return cast("Result", outcome.value)
        if isinstance(outcome.error, asyncio.CancelledError):
            # Something of its own was cancelled; raised here it would look as if this call had been.
            raise RuntimeError("the tool raised CancelledError") from outcome.error  # noqa: TRY004
        raise outcome.error

    def _submit(self, done: Future[Any], call: Callable[[], object]) -> None:
        with self._changed:
            self._work.append((done, call))
            if self._idle >= len(self._work):
                self._changed.notify()
                return
            # Started under the lock: if the system has no more threads, nothing stays queued.
            try:
                threading.Thread(target=self._serve, name="tool", daemon=True).start()
            except RuntimeError:
                self._work.pop()
                raise

    def _serve(self) -> None:
        counted = False
        while True:
            with self._changed:
                self._idle += not counted
                self._changed.wait_for(lambda: self._work, timeout=self._idle_seconds)
                self._idle -= 1
                if not self._work:
                    return
                done, call = self._work.popleft()
            counted = done.set_running_or_notify_cancel()
            if counted:
                outcome = call()
                # Idle before the caller hears of it: the next call it makes finds this thread.
                with self._changed:
                    self._idle += 1
                done.set_result(outcome)
                del outcome
            del done, call  # an idle thread keeps no result alive


class _Outcome:
    """A returned value or a raised error, carried as a value.

    Futures can't carry every exception: StopIteration leaves the waiting task hanging for ever.
    """

    __slots__ = ("error", "value")

    def __init__(self, value: object, error: BaseException | None) -> None:
        self.value = value
        self.error = error


def _outcome_of(call: Callable[[], object]) -> _Outcome:
    try:
        return _Outcome(call(), None)
    except BaseException as error:  # noqa: BLE001 -- raised again where the call is awaited
        return _Outcome(None, error)
