"""One attempt of one step: from the claimed row to the outcome that will be settled.

It never raises for what a tool does: whatever comes out of a call, an exception of any kind, a time-out, a result that
can't be kept, becomes an outcome. None is given back when there is nothing to say: the step is somebody else's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson
import structlog

from engine import retries
from engine.digest import args_digest
from engine.references import secrets_in
from engine.secrets import Redaction, SecretMissing, revealed
from engine.settings import EngineSettings
from engine.tools import ArgsUnfit, InDoubt, ResultUnfit, Tool, ToolContext, ToolError, plain
from engine.values import UnfitValue, check_json, dotted, storable
from persistence import ids
from persistence.states import Retrying, StepState, ToolCallStatus
from persistence.transitions.advance import ClaimedStep, Outcome
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


class _NotMade(Exception):
    """The call was not made, and will not be in this attempt."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Attempt:
    """A claimed step on its way through this process."""

    def __init__(self, step: ClaimedStep, worker: Worker, tool: Tool | None, settings: EngineSettings) -> None:
        self.step = step
        self.worker = worker
        self._tool = tool
        self._settings = settings
        self._stopped: Stop | None = None
        self._end: Callable[[], None] | None = None
        self._call: asyncio.Task[object] | None = None
        self._done = False
        self.left: asyncio.Task[object] | None = None
        """A call that went on when its attempt was over: its word is still worth keeping."""

    @property
    def step_id(self) -> str:
        """The step's id as the API shows it."""
        return ids.step_id(self.step.run, self.step.position)

    @property
    def _is_thread(self) -> bool:
        return self._tool is not None and not self._tool.is_async

    def _cancel(self, call: asyncio.Task[object]) -> None:
        # Cancelling would only end the waiting for a thread, and nobody would hear what it says in the end.
        if not self._is_thread:
            call.cancel()

    def stop(self, why: Stop) -> None:
        """Ask the call to stop. The first reason counts, but a lost lease outranks any other."""
        if self._done or (self._stopped is not None and why is not Stop.LOST):
            return
        self._stopped = why
        # A thread can't be stopped: for a run's cancellation its word is waited for, as long as its time lasts.
        if self._call is not None and not (self._is_thread and why is Stop.CANCELLED):
            self._cancel(self._call)
            if self._end is not None:
                self._end()

    def gave_up(self) -> Outcome:
        """What is settled when the outcome itself could not be: a fault of ours, which must not repeat the call."""
        message = "the outcome could not be recorded; the server's log says why"
        return (
            self._in_doubt("INTERNAL", message) if not self.step.idempotent else self._dead_letter("INTERNAL", message)
        )

    async def perform(self, calling: Calling, may_enter: Callable[[ClaimedStep], Awaitable[bool]]) -> Outcome | None:
        """Make the call, and say what became of it."""
        try:
            outcome = await self._perform(calling, may_enter)
        finally:
            self._done = True
        return None if self._stopped is Stop.LOST and (outcome is None or outcome.result is None) else outcome

    async def late_word(self, calling: Calling) -> Outcome | None:
        """What a call that was left behind says in the end, for its record alone; it moves nothing."""
        call = self.left
        assert call is not None
        try:
            await asyncio.wait({call})
        finally:
            call.cancel()
        return None if call.cancelled() else _word_only(self._of_ended(call, calling))

    async def _perform(self, calling: Calling, may_enter: Callable[[ClaimedStep], Awaitable[bool]]) -> Outcome | None:
        step = self.step
        try:
            tool, args = self._prepared(calling)
        except _NotMade as error:
            return self._dead_letter(error.code, error.message)
        if self._stopped is not None:
            return self._handed_back()
        if not step.idempotent and not await may_enter(step):
            return self._refused()
        if self._stopped is not None:
            return self._handed_back()
        context = ToolContext(
            execution_key=ids.execution_key(step.run, step.position),
            run_id=ids.run_id(step.run),
            step_id=self.step_id,
            attempt=step.attempt,
            user_id=ids.user_id(step.user),
            # Bound when the tool first writes: most never do.
            log=structlog.get_logger(
                run_id=ids.run_id(step.run), step_id=self.step_id, tool=step.tool, attempt=step.attempt
            ),
            data_dir=calling.settings.data_dir,
        )
        return await self._called(tool, context, args, calling)

    def _prepared(self, calling: Calling) -> tuple[Tool, dict[str, Any]]:
        step, tool = self.step, self._tool
        if tool is None:
            raise _NotMade("TOOL_MISSING", f"this process has no tool {step.tool}")
        args: dict[str, Any] = orjson.loads(step.args)
        if step.digest is not None and args_digest(step.tool, args) != step.digest:
            raise _NotMade("ARGS_CHANGED", "the arguments are not those that were approved: nothing was called")
        if b'"$secret"' in step.args.encode():
            try:
                args = revealed(args, calling.settings.secrets, set())
            except SecretMissing as error:
                raise _NotMade("SECRET_MISSING", str(error)) from error
        return tool, args

    async def _called(self, tool: Tool, context: ToolContext, args: dict[str, Any], calling: Calling) -> Outcome | None:
        self._call = call = asyncio.create_task(_contained(tool, context, args))
        await self._ended_or_over(call)
        if self._stopped is not None and not call.done() and not self._is_thread:
            call.cancel()
            # Whoever does not heed a cancellation is left behind: its word comes too late.
            await asyncio.wait({call}, timeout=_PATIENCE_SECONDS)
        if call.done() and not call.cancelled():
            return self._of_ended(call, calling)
        self._cancel(call)
        if not call.done():
            self.left = call
        if self._stopped is not None:
            return self._interrupted()
        if call.cancelled():
            return self._failed("CANCELLED", "the tool cancelled itself", None, retryable=True)
        return self._unknown("TIMEOUT", f"the call took longer than {self.step.timeout_seconds:g} s")

    async def _ended_or_over(self, call: asyncio.Task[object]) -> None:
        """Wait until the call has ended, its time is over, or it is asked to stop: without its cooperation."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def end(_call: object = None) -> None:
            if not over.done():
                over.set_result(None)

        self._end = end
        call.add_done_callback(end)
        timer = loop.call_later(self.step.timeout_seconds, end)
        try:
            await over
        finally:
            timer.cancel()
            self._end = None

    def _of_ended(self, call: asyncio.Task[object], calling: Calling) -> Outcome:
        error = call.exception()
        match error:
            case None:
                return self._succeeded(call.result(), calling)
            case ArgsUnfit():
                return self._dead_letter("ARGS_UNFIT", calling.redaction.of_text(str(error)))
            case InDoubt():
                return self._unknown("IN_DOUBT", self._told(error.message, calling))
            case _:
                return self._of_error(error, calling)

    # What became of it

    def _succeeded(self, result: object, calling: Calling) -> Outcome:
        if isinstance(result, _Raised):
            return self._of_error(result.error, calling)
        try:
            # Each value takes a byte at least.
            kept = plain(result, at_most=self._settings.max_json_bytes)
            _refuse_secrets(kept)
            kept = calling.redaction.of_value(kept)
            text = check_json(kept, max_bytes=self._settings.max_json_bytes, what="the result").decode()
        except (ResultUnfit, UnfitValue) as error:
            message = (
                str(error) if isinstance(error, ResultUnfit) else f"{dotted(('result', *error.path))}: {error.message}"
            )
            message = self._told(message, calling)
            # The call did happen; it is only its result that is of no use.
            if not self.step.idempotent:
                return self._in_doubt("RESULT_UNFIT", message)
            return self._dead_letter("RESULT_UNFIT", message)
        return self._outcome(StepState.SUCCEEDED, ToolCallStatus.SUCCEEDED, result=text)

    def _of_error(self, error: BaseException, calling: Calling) -> Outcome:
        if isinstance(error, ToolError):
            # An author's own kind of it may have left out what ours sets.
            word = getattr(error, "message", None)
            message = self._told(_text_of(error) if word is None else word, calling)
            after = _seconds(getattr(error, "retry_after", None))
            return self._failed("TOOL_ERROR", message, after, retryable=bool(getattr(error, "retryable", True)))
        return self._failed("TOOL_RAISED", self._told(_text_of(error), calling), None, retryable=True)

    def _told(self, text: object, calling: Calling) -> str:
        """A message of a tool, as it may be kept and shown."""
        told = calling.redaction.of_text(text if isinstance(text, str) else _read(repr, text))
        told = storable(told)
        return told if len(told) <= _LONGEST_MESSAGE else f"{told[:_LONGEST_MESSAGE]}… ({len(told)} characters)"

    def _failed(self, code: str, message: str, retry_after: float | None, *, retryable: bool) -> Outcome:
        if not retryable or retries.is_exhausted(self.step.calls, self.step.max_attempts):
            return self._dead_letter(code, message)
        policy = retries.RetryPolicy(self._settings.retry_base_seconds, self._settings.retry_cap_seconds)
        delay = retries.delay_seconds(policy, calls=self.step.calls, at_least=retry_after, dice=random.uniform)
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
        )


def _refuse_secrets(result: object) -> None:
    for path in secrets_in(result):
        raise ResultUnfit(path, "holds a $secret, which only a plan may")


class _Raised:
    """What a tool raised that would end the event loop if a task let it out: SystemExit and the like."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def _contained(tool: Tool, context: ToolContext, args: dict[str, Any]) -> object:
    try:
        return await tool.call(context, args)
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit, KeyboardInterrupt, GeneratorExit raised by a tool
        return _Raised(error)


def _text_of(error: BaseException) -> str:
    kind, text = type(error).__name__, _read(str, error)
    return f"{kind}: {text}" if text else kind


def _read(how: Callable[[object], str], thing: object) -> str:
    """The text of a stranger's object: whatever reading it raises, an exception is still just a failed attempt."""
    try:
        return how(thing)
    except BaseException:  # noqa: BLE001 - SystemExit and the like too
        return "(its text can't be read)"


def _seconds(after: object) -> float | None:
    """A time that a tool asked for, if it is one, and no longer than a database counts."""
    if not isinstance(after, int | float) or not after > 0:
        return None
    return float(min(after, _LONGEST_DELAY))


def _word_only(outcome: Outcome) -> Outcome:
    """The outcome for its tool call alone: what runs has an owner, so that nobody's word moves no step."""
    return outcome._replace(owner=None, delay_seconds=0)
