"""What becomes of a step: derived from its call's reply, or from what kept the call from being made or ended.

A call that must not be repeated and may have happened is in doubt; other failures are retried within the step's budget,
and a step whose budget is used up is a dead letter.
"""

from __future__ import annotations

import random
from enum import Enum, auto
from typing import Final
from uuid import UUID

from engine import retries
from engine.executor.caller import Failed, ReadReply, Returned, Unknown, Useless
from persistence.moves.inputs import Outcome
from persistence.moves.row import ClaimedStep
from persistence.states import Retrying, StepState, ToolCallStatus

_LONGEST_ERROR: Final = 4000


class Stop(Enum):
    """Why a call is asked to stop."""

    CANCELLED = auto()
    """Its run is cancelled."""

    LOST = auto()
    """The step is another process's by now."""

    HANDED_BACK = auto()
    """This process stops."""


class Outcomes:
    """The outcomes that one attempt of a step may have. None where there is nothing to say: others own the step."""

    __slots__ = ("_owner", "_policy", "_step")

    def __init__(self, step: ClaimedStep, owner: UUID, policy: retries.RetryPolicy) -> None:
        self._step = step
        self._owner = owner
        self._policy = policy

    def of(self, reply: ReadReply) -> Outcome:
        """The call has ended with this reply."""
        match reply:
            case Returned():
                return succeeded(self._step, self._owner, reply)
            case Failed():
                return self._failed(reply)
            case Useless(code, message):
                # The call did happen; it is only its result that is of no use.
                return self._dead_letter(code, message) if self._step.idempotent else self._in_doubt(code, message)
            case Unknown(code, message):
                return self._unknown(code, message)

    def late(self, reply: ReadReply) -> Outcome:
        """The same for the tool call's record alone, after the attempt has ended: it moves no step."""
        return _record_only(self.of(reply))

    def timed_out(self) -> Outcome:
        """The call took too long, and may still go on."""
        return self._unknown("TIMEOUT", f"the call took longer than {self._step.timeout_seconds:g} s")

    def cancelled_itself(self) -> Outcome:
        """The tool cancelled its own task."""
        return self._failed(Failed("CANCELLED", "the tool cancelled itself", retryable=True))

    def gave_up(self) -> Outcome:
        """The outcome itself could not be recorded: a fault of ours, which must not repeat the call."""
        message = "the outcome could not be recorded; the server's log says why"
        if self._step.idempotent:
            return self._dead_letter("INTERNAL", message)
        return self._in_doubt("INTERNAL", message)

    def handed_back(self, why: Stop) -> Outcome | None:
        """The call was not made: the step goes back as if it had not been taken."""
        match why:
            case Stop.LOST:
                return None
            case Stop.CANCELLED:
                return self._without_call("CANCELLED", "cancelled before the call")
            case Stop.HANDED_BACK:
                message = "handed back before its call: the process stops"
                return self._back(message, uncounted=True)

    def refused(self) -> Outcome:
        """The step was no longer ours when its call was about to be made: its record must not stay open."""
        message = "the step was no longer this process's when its call was about to be made: nothing was called"
        return _record_only(self._without_call("NOT_CALLED", message))

    def interrupted(self, why: Stop) -> Outcome | None:
        """The call was made, and cut short by us."""
        match why:
            case Stop.LOST:
                return None
            case Stop.CANCELLED if self._step.idempotent:
                # The step is cancelled already: this is for its tool call alone.
                return self._without_call("CANCELLED", "stopped by the run's cancellation")
            case Stop.CANCELLED:
                return self._in_doubt("CANCELLED", "stopped by the run's cancellation: it may have happened")
            case Stop.HANDED_BACK:
                return self._interrupted_by_our_end()

    def _interrupted_by_our_end(self) -> Outcome:
        if not self._step.idempotent:
            return self._in_doubt("HANDED_BACK", "the process stopped in the middle of the call")
        is_exhausted = self._is_exhausted()
        if is_exhausted and self._step.gated:
            # Its calls are used up, and a stop alone makes no dead letter: a person says what to do.
            return self._in_doubt("HANDED_BACK", "the process stopped in the middle of the last call allowed")
        return self._back("the process stopped in the middle of the call", uncounted=is_exhausted)

    def _failed(self, reply: Failed) -> Outcome:
        if not reply.retryable or self._is_exhausted():
            return self._dead_letter(reply.code, reply.message)
        delay = retries.delay_seconds(
            self._policy, calls=self._step.calls, at_least=reply.retry_after, dice=random.uniform
        )
        return self._outcome(
            StepState.READY,
            ToolCallStatus.FAILED,
            Retrying.FAILED,
            code=reply.code,
            message=reply.message + reply.remark,
            delay=delay,
        )

    def _unknown(self, code: str, message: str) -> Outcome:
        """Nobody knows whether the call happened: again under the same key where that is safe, else a person says."""
        if not self._step.idempotent:
            return self._in_doubt(code, message)
        return self._failed(Failed(code, message, retryable=True))

    def _is_exhausted(self) -> bool:
        return retries.is_exhausted(self._step.calls, self._step.max_attempts)

    def _in_doubt(self, code: str, message: str) -> Outcome:
        return self._outcome(StepState.BLOCKED, ToolCallStatus.IN_DOUBT, code=code, message=message)

    def _dead_letter(self, code: str, message: str) -> Outcome:
        return self._outcome(StepState.FAILED, ToolCallStatus.FAILED, code=code, message=message[:_LONGEST_ERROR])

    def _back(self, message: str, *, uncounted: bool) -> Outcome:
        return self._outcome(
            StepState.READY,
            ToolCallStatus.FAILED,
            Retrying.HANDED_BACK,
            code="HANDED_BACK",
            message=message,
            uncounted=uncounted,
        )

    def _without_call(self, code: str, message: str) -> Outcome:
        return self._outcome(StepState.READY, ToolCallStatus.FAILED, code=code, message=message)

    def _outcome(
        self,
        enters: StepState,
        call: ToolCallStatus,
        reason: Retrying | None = None,
        *,
        code: str | None = None,
        message: str | None = None,
        delay: float = 0,
        uncounted: bool = False,
    ) -> Outcome:
        step = self._step
        return Outcome(
            run=step.run,
            position=step.position,
            attempt=step.attempt,
            leaves=StepState.RUNNING,
            enters=enters,
            owner=self._owner,
            reason=reason,
            call=call,
            error_code=code,
            error_message=message,
            delay_seconds=delay,
            uncounted=uncounted,
        )


def succeeded(step: ClaimedStep, owner: UUID, reply: Returned) -> Outcome:
    """The call gave a result. It is what becomes of most attempts, and made without an `Outcomes`."""
    return Outcome(
        step.run,
        step.position,
        step.attempt,
        StepState.RUNNING,
        StepState.SUCCEEDED,
        owner,
        None,
        ToolCallStatus.SUCCEEDED,
        reply.result,
        notices=reply.notices,
    )


def _record_only(outcome: Outcome) -> Outcome:
    """The outcome for its tool call alone: a running step has an owner, so that one without an owner moves no step."""
    return outcome._replace(owner=None, delay_seconds=0)
