"""The life of one attempt: from the claimed step to the outcome that will be settled.

It never raises for what a tool does: whatever comes out of a call, an exception of any kind, a time-out, a result that
can't be kept, becomes an outcome. There is none when there is nothing to say: the step is another process's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from engine.executor.caller import Broken, Call, Caller, NotMade, ReadReply, Reply, Returned
from engine.executor.outcomes import Outcomes, Stop, succeeded
from engine.lag import TOOL_TASK
from engine.retries import RetryPolicy
from persistence import ids
from persistence.moves.inputs import Outcome
from persistence.moves.row import ClaimedStep
from persistence.workers import Worker

log = structlog.get_logger()

_PATIENCE_SECONDS: Final = 1.0
"""How long a call may take to heed a cancellation."""


OnEnd = Callable[["Attempt", Outcome | None], None]
"""Called with what became of an attempt; None when there is nothing to say: the step is another process's."""


class Attempt:
    """A claimed step on its way through this process.

    `prepare`, then `call`: both return at once, and sooner or later `on_end(attempt, outcome)` is called, once, with
    what became of it. Nothing here waits in a task of its own: thousands of calls are under way at a time, and most of
    them end before a timer for them would have been set.
    """

    __slots__ = (
        "_call",
        "_caller",
        "_done",
        "_on_end",
        "_policy",
        "_stopped",
        "_task",
        "_timer",
        "left",
        "step",
        "worker",
    )

    def __init__(self, step: ClaimedStep, worker: Worker, caller: Caller, policy: RetryPolicy, on_end: OnEnd) -> None:
        self.step = step
        self.worker = worker
        self._caller = caller
        self._policy = policy
        self._on_end = on_end
        self._stopped: Stop | None = None
        self._call: Call | None = None
        self._task: asyncio.Task[Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done = False
        self.left: asyncio.Task[Reply] | None = None
        """A call that went on when its attempt was over: its reply is still worth keeping."""

    @property
    def step_id(self) -> str:
        """The step's id as the API shows it."""
        return ids.step_id(self.step.run, self.step.position)

    @property
    def _outcomes(self) -> Outcomes:
        return Outcomes(self.step, self.worker.id, self._policy)

    # What the executor does with it

    def prepare(self) -> bool:
        """Get ready for the call; False when there will be none, and the attempt has ended."""
        try:
            self._call = self._caller.prepare(self.step)
        except NotMade as error:
            self._end(self._outcomes.of(error.reply))
        except Exception as error:  # noqa: BLE001 - a fault of ours, logged and settled as one
            self._fault(error)
        else:
            if self._stopped is None:
                return True
            self._end(self._outcomes.handed_back(self._stopped))
        return False

    def call(self) -> None:
        """Make the call."""
        if self._stopped is not None:
            self._end(self._outcomes.handed_back(self._stopped))
            return
        call = self._call
        assert call is not None
        try:
            self._task = asyncio.create_task(call.make(), name=TOOL_TASK + self.step.tool)
        except Exception as error:  # noqa: BLE001 - a fault of ours, logged and settled as one
            self._fault(error)
        else:
            self._task.add_done_callback(self._ended)

    def refuse(self) -> None:
        """The step was no longer ours when its call was about to be made."""
        if self._stopped is not None:
            self._end(self._outcomes.handed_back(self._stopped))
        else:
            self._end(self._outcomes.refused())

    def watch(self) -> None:
        """End the attempt when its time is over, should its call be still going on."""
        if self._task is not None and not self._task.done() and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.step.timeout_seconds, self._leave)

    def stop(self, why: Stop) -> None:
        """Ask the call to stop. The first reason counts, but a lost lease outranks any other."""
        if self._done or (self._stopped is not None and why is not Stop.LOST):
            return
        is_first, self._stopped = self._stopped is None, why
        if self._task is None or self._call is None:
            return  # it is looked at before the call is made
        if not self._call.can_be_stopped:
            # For a run's cancellation its reply is waited for, as long as its time lasts.
            if why is not Stop.CANCELLED:
                self._leave()
            return
        self._task.cancel()
        if is_first:
            # A call that does not heed a cancellation is left behind: its reply comes too late.
            self._forget_timer()
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._leave)

    def drop(self) -> None:
        """Forget the attempt: the process ends, and what it owns is taken from it."""
        self._done = True
        self._forget_timer()

    def gave_up(self) -> Outcome:
        """What is settled when the outcome itself could not be: a fault of ours, which must not repeat the call."""
        return self._outcomes.gave_up()

    async def late_reply(self) -> Outcome | None:
        """What a call that was left behind came to in the end, for its record alone; it moves nothing."""
        task = self.left
        assert task is not None
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        if task.cancelled():
            return None
        return self._outcomes.late(_read(task.result()))

    # Its end

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        if self._done:
            return
        try:
            outcome = self._of_cancelled() if task.cancelled() else self._of_reply(_read(task.result()))
        except BaseException as error:  # noqa: BLE001 - a fault of ours, or of a caller that raises
            self._fault(error)
        else:
            self._end(outcome)

    def _of_reply(self, reply: ReadReply) -> Outcome:
        if isinstance(reply, Returned):
            return succeeded(self.step, self.worker.id, reply)
        return self._outcomes.of(reply)

    def _of_cancelled(self) -> Outcome | None:
        if self._stopped is not None:
            return self._outcomes.interrupted(self._stopped)
        return self._outcomes.cancelled_itself()

    def _leave(self) -> None:
        """Its time is over, or our patience: go on without its cooperation."""
        task, call = self._task, self._call
        if self._done or task is None or call is None or task.done():
            return
        if call.can_be_stopped:
            # Cancelling would only end the waiting for a thread, and nobody would hear its reply in the end.
            task.cancel()
        self.left = task
        if self._stopped is not None:
            self._end(self._outcomes.interrupted(self._stopped))
        else:
            self._end(self._outcomes.timed_out())

    def _fault(self, error: BaseException) -> None:
        log.error("attempt_failed", run_id=ids.run_id(self.step.run), step_id=self.step_id, exc_info=error)
        self._end(self._outcomes.gave_up())

    def _end(self, outcome: Outcome | None) -> None:
        self._done = True
        self._forget_timer()
        if self._stopped is Stop.LOST and (outcome is None or outcome.result is None):
            outcome = None
        self._on_end(self, outcome)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _read(reply: Reply) -> ReadReply:
    """The reply. Raises the fault of ours that kept it from being read."""
    if isinstance(reply, Broken):
        raise reply.error
    return reply
