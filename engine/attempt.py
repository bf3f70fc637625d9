"""One attempt of one step: from the claimed row to the outcome that will be settled.

It never raises for what a tool does: whatever comes out of a call, an exception of any kind, a time-out, a result that
can't be kept, becomes an outcome. None is given back when there is nothing to say: the step is somebody else's.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

import orjson
import structlog

from engine import retries
from engine.digest import args_digest
from engine.lag import TOOL_TASK
from engine.references import secrets_in
from engine.secrets import Redaction, SecretMissing, revealed
from engine.settings import EngineSettings
from engine.tools import LONGEST_NOTICE, ArgsUnfit, InDoubt, ResultUnfit, Tool, ToolContext, ToolError, plain
from engine.tools.foreign import attempted, attribute, read, text_of
from engine.values import UnfitValue, check_json, check_size, dotted, encode, storable
from persistence import ids
from persistence.moves.inputs import Outcome
from persistence.moves.row import ClaimedStep
from persistence.states import Retrying, StepState, ToolCallStatus
from persistence.workers import Worker

log = structlog.get_logger()

_LONGEST_MESSAGE = 2000
_LONGEST_DELAY = 366 * 86_400.0
_PATIENCE_SECONDS = 1.0
"""How long a call may take to heed a cancellation."""


class Stop(Enum):
    """Why a running call is asked to stop."""

    CANCELLED = auto()
    LOST = auto()
    HANDED_BACK = auto()


@dataclass(frozen=True, slots=True)
class Calling:
    """What every call of this process needs."""

    settings: EngineSettings
    redaction: Redaction


OnEnd = Callable[["Attempt", Outcome | None], None]
"""Told what became of an attempt; None when there is nothing to say: the step is somebody else's."""


class _NotMade(Exception):
    """The call was not made, and will not be in this attempt."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Attempt:
    """A claimed step on its way through this process.

    `prepare`, then `call`: both return at once, and sooner or later `on_end(attempt, outcome)` is called, once, with
    what became of it. Nothing here waits in a task of its own: thousands of calls are under way at a time, and most of
    them end before a timer for them would have been set.
    """

    __slots__ = (
        "_args",
        "_call",
        "_calling",
        "_context",
        "_done",
        "_on_end",
        "_settings",
        "_stopped",
        "_timer",
        "_tool",
        "left",
        "step",
        "worker",
    )

    def __init__(self, step: ClaimedStep, worker: Worker, tool: Tool | None, calling: Calling, on_end: OnEnd) -> None:
        self.step = step
        self.worker = worker
        self._tool = tool
        self._calling = calling
        self._settings = calling.settings
        self._on_end = on_end
        self._args: dict[str, Any] = {}
        self._stopped: Stop | None = None
        self._context: ToolContext | None = None
        self._call: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done = False
        self.left: asyncio.Task[object] | None = None
        """A call that went on when its attempt was over: its word is still worth keeping."""

    @property
    def step_id(self) -> str:
        """The step's id as the API shows it."""
        return ids.step_id(self.step.run, self.step.position)

    # What the process does with it

    def prepare(self) -> bool:
        """Get ready for the call; False when there will be none, and the attempt has ended."""
        try:
            self._args = self._prepared()
        except _NotMade as error:
            self._end(self._dead_letter(error.code, error.message))
        except Exception as error:  # noqa: BLE001 - a fault of ours, told and settled as one
            self._fault(error)
        else:
            if self._stopped is None:
                return True
            self._end(self._handed_back())
        return False

    def call(self) -> None:
        """Make the call."""
        if self._stopped is not None:
            self._end(self._handed_back())
            return
        try:
            self._call = asyncio.create_task(self._made(), name=TOOL_TASK + self.step.tool)
        except Exception as error:  # noqa: BLE001 - a fault of ours, told and settled as one
            self._fault(error)
        else:
            self._call.add_done_callback(self._ended)

    def refuse(self) -> None:
        """The step was no longer ours when its call was about to be made."""
        self._end(self._refused())

    def watch(self) -> None:
        """End the attempt when its time is over, should its call be still going on."""
        if self._call is not None and not self._call.done() and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.step.timeout_seconds, self._leave)

    def stop(self, why: Stop) -> None:
        """Ask the call to stop. The first reason counts, but a lost lease outranks any other."""
        if self._done or (self._stopped is not None and why is not Stop.LOST):
            return
        is_first, self._stopped = self._stopped is None, why
        if self._call is None:
            return  # it is looked at before the call is made
        if self._is_thread:
            # A thread can't be stopped: for a run's cancellation its word is waited for, as long as its time lasts.
            if why is not Stop.CANCELLED:
                self._leave()
            return
        self._call.cancel()
        if is_first:
            # Whoever does not heed a cancellation is left behind: its word comes too late.
            self._forget_timer()
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._leave)

    def drop(self) -> None:
        """Forget the attempt: the process ends, and what it owns is taken from it."""
        self._done = True
        self._forget_timer()

    def gave_up(self) -> Outcome:
        """What is settled when the outcome itself could not be: a fault of ours, which must not repeat the call."""
        message = "the outcome could not be recorded; the server's log says why"
        return (
            self._in_doubt("INTERNAL", message) if not self.step.idempotent else self._dead_letter("INTERNAL", message)
        )

    async def late_word(self) -> Outcome | None:
        """What a call that was left behind says in the end, for its record alone; it moves nothing."""
        call = self.left
        assert call is not None
        try:
            await asyncio.wait({call})
        finally:
            call.cancel()
        return None if call.cancelled() else _word_only(self._of_ended(call))

    # The call

    def _prepared(self) -> dict[str, Any]:
        step = self.step
        if self._tool is None:
            raise _NotMade("TOOL_MISSING", f"this process has no tool {step.tool}")
        args: dict[str, Any] = orjson.loads(step.args)
        if step.digest is not None and args_digest(step.tool, args) != step.digest:
            raise _NotMade("ARGS_CHANGED", "the arguments are not those that were approved: nothing was called")
        if step.gated:
            self._check_nothing_is_added(self._tool, args)
        if '"$secret"' in step.args:
            try:
                args = revealed(args, self._settings.secrets, set())
            except SecretMissing as error:
                raise _NotMade("SECRET_MISSING", str(error)) from error
        return args

    def _check_nothing_is_added(self, tool: Tool, args: dict[str, Any]) -> None:
        """Whoever approved saw every default. This process's tool may have others than the one that was asked about."""
        try:
            now = tool.fit(args)
        except ArgsUnfit as error:
            raise _NotMade("ARGS_UNFIT", str(error)) from error
        if args_digest(self.step.tool, now) != self.step.digest:
            message = "the tool has defaults now that were not among the arguments approved: nothing was called"
            raise _NotMade("ARGS_CHANGED", message)

    async def _made(self) -> object:
        tool = self._tool
        assert tool is not None
        if tool.wants_context:
            self._context = self._made_context()
        try:
            return await tool.call(self._context, self._args)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit, KeyboardInterrupt, GeneratorExit raised by a tool
            return _Raised(error)

    def _made_context(self) -> ToolContext:
        step = self.step
        return ToolContext(
            execution_key=ids.execution_key(step.run, step.position),
            run_id=ids.run_id(step.run),
            step_id=self.step_id,
            attempt=step.attempt,
            user_id=ids.user_id(step.user),
            tool=step.tool,
            data_dir=self._settings.data_dir,
            time_zone=self._settings.time_zone,
        )

    @property
    def _is_thread(self) -> bool:
        return self._tool is not None and not self._tool.is_async

    # Its end

    def _ended(self, call: asyncio.Task[object]) -> None:
        if self._done:
            return
        try:
            outcome = self._of_cancelled() if call.cancelled() else self._of_ended(call)
        except BaseException as error:  # noqa: BLE001 - a fault of ours, or whatever a stranger's object raised when read
            self._fault(error)
        else:
            self._end(outcome)

    def _of_cancelled(self) -> Outcome | None:
        if self._stopped is not None:
            return self._interrupted()
        return self._failed("CANCELLED", "the tool cancelled itself", None, retryable=True)

    def _leave(self) -> None:
        """Its time is over, or our patience: go on without its cooperation."""
        call = self._call
        if self._done or call is None or call.done():
            return
        if not self._is_thread:
            # Cancelling would only end the waiting for a thread, and nobody would hear what it says in the end.
            call.cancel()
        self.left = call
        if self._stopped is not None:
            self._end(self._interrupted())
        else:
            self._end(self._unknown("TIMEOUT", f"the call took longer than {self.step.timeout_seconds:g} s"))

    def _fault(self, error: BaseException) -> None:
        log.error("attempt_failed", run_id=ids.run_id(self.step.run), step_id=self.step_id, exc_info=error)
        self._end(self.gave_up())

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

    def _of_ended(self, call: asyncio.Task[object]) -> Outcome:
        error = call.exception()
        match error:
            case None:
                return self._succeeded(call.result())
            case ArgsUnfit():
                return self._dead_letter("ARGS_UNFIT", self._calling.redaction.of_text(str(error)))
            case InDoubt():
                return self._unknown("IN_DOUBT", self._word(error))
            case _:
                return self._of_error(error)

    # What became of it

    def _succeeded(self, result: object) -> Outcome:
        if isinstance(result, _Raised):
            return self._of_error(result.error)
        try:
            text = self._kept(result)
        except (ResultUnfit, UnfitValue) as error:
            message = (
                str(error) if isinstance(error, ResultUnfit) else f"{dotted(('result', *error.path))}: {error.message}"
            )
            message = self._told(message)
            # The call did happen; it is only its result that is of no use.
            if not self.step.idempotent:
                return self._in_doubt("RESULT_UNFIT", message)
            return self._dead_letter("RESULT_UNFIT", message)
        return self._outcome(StepState.SUCCEEDED, ToolCallStatus.SUCCEEDED, result=text, notices=self._noticed())

    def _kept(self, result: object) -> str:
        """The result's JSON text. Raises ResultUnfit and UnfitValue."""
        most = self._settings.max_json_bytes
        # Each value takes a byte at least.
        text = encode(kept := plain(result, at_most=most))
        if b'"$secret"' in text:
            _refuse_secrets(kept)
        redacted = self._calling.redaction.of_value(kept)
        if redacted is not kept:
            return check_json(redacted, max_bytes=most, what="the result").decode()
        check_size(text, max_bytes=most, what="the result")
        return text.decode()

    def _noticed(self) -> tuple[str, ...]:
        """What the tool said beside its result, as it may be kept and shown."""
        said = None if self._context is None else self._context.notices
        if said is None or not said.texts:
            return ()
        kept = [self._told(text, LONGEST_NOTICE) for text in said.texts]
        if said.left_out:
            kept.append(f"… and {said.left_out} more notice{'' if said.left_out == 1 else 's'}")
        return tuple(kept)

    def _of_error(self, error: BaseException) -> Outcome:
        if isinstance(error, ToolError):
            retryable = attempted(lambda: bool(error.retryable), otherwise=True)
            return self._failed(
                "TOOL_ERROR", self._word(error), attribute(error, "retry_after", None), retryable=retryable
            )
        return self._failed("TOOL_RAISED", self._told(text_of(error)), None, retryable=True)

    def _word(self, error: ToolError | InDoubt) -> str:
        # An author's own kind of it may have left out what ours sets.
        word = attribute(error, "message", None)
        return self._told(text_of(error) if word is None else word)

    def _told(self, text: object, longest: int = _LONGEST_MESSAGE) -> str:
        """A message of a tool, as it may be kept and shown."""
        told = self._calling.redaction.of_text(text if type(text) is str else read(_plainly, text))
        told = storable(told)
        return told if len(told) <= longest else f"{told[:longest]}… ({len(told)} characters)"

    def _failed(self, code: str, message: str, retry_after: object, *, retryable: bool) -> Outcome:
        if not retryable or retries.is_exhausted(self.step.calls, self.step.max_attempts):
            return self._dead_letter(code, message)
        policy = retries.RetryPolicy(self._settings.retry_base_seconds, self._settings.retry_cap_seconds)
        at_least, remark = _seconds(retry_after)
        message += self._told(remark)
        delay = retries.delay_seconds(policy, calls=self.step.calls, at_least=at_least, dice=random.uniform)
        return self._outcome(
            StepState.READY, ToolCallStatus.FAILED, Retrying.FAILED, code=code, message=message, delay=delay
        )

    def _unknown(self, code: str, message: str) -> Outcome:
        """Nobody knows whether the call happened: again under the same key where that is safe, else a person says."""
        if not self.step.idempotent:
            return self._in_doubt(code, message)
        return self._failed(code, message, None, retryable=True)

    def _in_doubt(self, code: str, message: str) -> Outcome:
        return self._outcome(StepState.BLOCKED, ToolCallStatus.IN_DOUBT, code=code, message=message)

    def _dead_letter(self, code: str, message: str) -> Outcome:
        return self._outcome(StepState.FAILED, ToolCallStatus.FAILED, code=code, message=message[:4000])

    def _handed_back(self) -> Outcome | None:
        """The call was not made: the step goes back as if it had not been taken."""
        if self._stopped is Stop.LOST:
            return None
        if self._stopped is Stop.CANCELLED:
            return self._outcome(
                StepState.READY, ToolCallStatus.FAILED, code="CANCELLED", message="cancelled before the call"
            )
        return self._outcome(
            StepState.READY,
            ToolCallStatus.FAILED,
            Retrying.HANDED_BACK,
            code="HANDED_BACK",
            message="handed back before its call: the process stops",
            uncounted=True,
        )

    def _refused(self) -> Outcome | None:
        """The step was no longer ours when its call was about to be made: its record must not stay open."""
        if self._stopped is not None:
            return self._handed_back()
        message = "the step was no longer this process's when its call was about to be made: nothing was called"
        return _word_only(self._outcome(StepState.READY, ToolCallStatus.FAILED, code="NOT_CALLED", message=message))

    def _interrupted(self) -> Outcome | None:
        """The call was made, and cut short by us."""
        if self._stopped is Stop.LOST:
            return None
        if self._stopped is Stop.CANCELLED:
            # The step is cancelled already: this is for its tool call alone.
            if self.step.idempotent:
                return self._outcome(
                    StepState.READY,
                    ToolCallStatus.FAILED,
                    code="CANCELLED",
                    message="stopped by the run's cancellation",
                )
            return self._in_doubt("CANCELLED", "stopped by the run's cancellation: it may have happened")
        if not self.step.idempotent:
            return self._in_doubt("HANDED_BACK", "the process stopped in the middle of the call")
        exhausted = retries.is_exhausted(self.step.calls, self.step.max_attempts)
        if exhausted and self.step.gated:
            # Its calls are used up, and a stop alone makes no dead letter: a person says what to do.
            return self._in_doubt("HANDED_BACK", "the process stopped in the middle of the last call allowed")
        return self._outcome(
            StepState.READY,
            ToolCallStatus.FAILED,
            Retrying.HANDED_BACK,
            code="HANDED_BACK",
            message="the process stopped in the middle of the call",
            uncounted=exhausted,
        )

    def _outcome(
        self,
        enters: StepState,
        call: ToolCallStatus,
        reason: Retrying | None = None,
        *,
        result: str | None = None,
        code: str | None = None,
        message: str | None = None,
        delay: float = 0,
        uncounted: bool = False,
        notices: tuple[str, ...] = (),
    ) -> Outcome:
        return Outcome(
            run=self.step.run,
            position=self.step.position,
            attempt=self.step.attempt,
            leaves=StepState.RUNNING,
            enters=enters,
            owner=self.worker.id,
            reason=reason,
            call=call,
            result=result,
            error_code=code,
            error_message=message,
            delay_seconds=delay,
            uncounted=uncounted,
            notices=notices,
        )


def _refuse_secrets(result: object) -> None:
    for path in secrets_in(result):
        raise ResultUnfit(path, "holds a $secret, which only a plan may")


def _plainly(text: object) -> str:
    return str.__str__(text) if isinstance(text, str) else repr(text)


class _Raised:
    """What a tool raised that would end the event loop if a task let it out: SystemExit and the like."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _seconds(after: object) -> tuple[float | None, str]:
    """The time that a tool asked for, in seconds, and words about it where it is not heeded as it stands."""
    if after is None:
        return None, ""
    is_number = isinstance(after, int | float) and not isinstance(after, bool)
    number = (
        attempted(lambda: float(min(cast("float", after), _LONGEST_DELAY + 1)), math.nan) if is_number else math.nan
    )
    told = f"{read(repr, after):.60}"
    if not number >= 0 or after != after:  # noqa: PLR0124 - of NaN and a number, min may give either
        return None, f" (its retry_after of {told} is no time to wait, and was not heeded)"
    if number > _LONGEST_DELAY:
        return _LONGEST_DELAY, f" (its retry_after of {told} was cut to {_LONGEST_DELAY:.0f} seconds)"
    return number, ""


def _word_only(outcome: Outcome) -> Outcome:
    """The outcome for its tool call alone: what runs has an owner, so that nobody's word moves no step."""
    return outcome._replace(owner=None, delay_seconds=0)
