"""Calls made in this process: the tool's function with the step's arguments, and its reply as it may be kept."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final, cast

import orjson

from engine.digest import args_digest
from engine.executor.caller import Broken, Failed, NotMade, Reply, Returned, Unknown, Useless
from engine.references import secrets_in
from engine.secrets import Redaction, SecretMissing, revealed
from engine.settings import EngineSettings
from engine.tools import LONGEST_NOTICE, ArgsUnfit, InDoubt, Registry, ResultUnfit, Tool, ToolContext, ToolError, plain
from engine.tools.foreign import attempted, attribute, read, text_of
from engine.values import UnfitValue, check_json, check_size, dotted, encode, storable
from persistence import ids
from persistence.moves.row import ClaimedStep

_LONGEST_MESSAGE: Final = 2000
_LONGEST_DELAY: Final = 366 * 86_400.0


class LocalCaller:
    """Calls the tools of a registry. What is kept of a call holds none of the settings' secrets."""

    def __init__(self, registry: Registry, settings: EngineSettings, redaction: Redaction) -> None:
        self._registry = registry
        self._settings = settings
        self._redaction = redaction

    def prepare(self, step: ClaimedStep) -> LocalCall:
        """The call of this step's tool. Raises NotMade."""
        tool = self._registry.get(step.tool)
        if tool is None:
            raise NotMade("TOOL_MISSING", f"this process has no tool {step.tool}")
        args: dict[str, Any] = orjson.loads(step.args)
        if step.digest is not None and args_digest(step.tool, args) != step.digest:
            raise NotMade("ARGS_CHANGED", "the arguments are not those that were approved: nothing was called")
        if step.gated:
            _check_nothing_is_added(step, tool, args)
        if '"$secret"' in step.args:
            try:
                args = revealed(args, self._settings.secrets, set())
            except SecretMissing as error:
                raise NotMade("SECRET_MISSING", str(error)) from error
        return LocalCall(step, tool, args, self._settings, self._redaction)


def _check_nothing_is_added(step: ClaimedStep, tool: Tool, args: dict[str, Any]) -> None:
    """The approver saw every default. This process's tool may have others than the one that was asked about."""
    try:
        now = tool.fit(args)
    except ArgsUnfit as error:
        raise NotMade("ARGS_UNFIT", str(error)) from error
    if args_digest(step.tool, now) != step.digest:
        message = "the tool has defaults now that were not among the arguments approved: nothing was called"
        raise NotMade("ARGS_CHANGED", message)


class LocalCall:
    """One call of a tool's function."""

    __slots__ = ("_args", "_redaction", "_settings", "_step", "_tool")

    def __init__(
        self, step: ClaimedStep, tool: Tool, args: dict[str, Any], settings: EngineSettings, redaction: Redaction
    ) -> None:
        self._step = step
        self._tool = tool
        self._args = args
        self._settings = settings
        self._redaction = redaction

    @property
    def can_be_stopped(self) -> bool:
        """Whether the tool is a coroutine; others run in a thread, which nothing can stop."""
        return self._tool.is_async

    async def make(self) -> Reply:
        """Call the function; whatever it gives or raises becomes a reply."""
        context = self._context() if self._tool.wants_context else None
        try:
            result = await self._tool.call(context, self._args)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and the like too: they would end the event loop
            return self._guarded(error)
        try:
            return self._of_result(result, context)
        except BaseException as error:  # noqa: BLE001 - logged and settled as a fault of ours
            return Broken(error)

    def _context(self) -> ToolContext:
        step = self._step
        return ToolContext(
            execution_key=ids.execution_key(step.run, step.position),
            run_id=ids.run_id(step.run),
            step_id=ids.step_id(step.run, step.position),
            attempt=step.attempt,
            user_id=ids.user_id(step.user),
            tool=step.tool,
            data_dir=self._settings.data_dir,
            time_zone=self._settings.time_zone,
        )

    def _of_result(self, result: object, context: ToolContext | None) -> Reply:
        try:
            text = self._kept(result)
        except ResultUnfit as error:
            return Useless("RESULT_UNFIT", self._shown(str(error)))
        except UnfitValue as error:
            return Useless("RESULT_UNFIT", self._shown(f"{dotted(('result', *error.path))}: {error.message}"))
        return Returned(text) if context is None else Returned(text, self._notices(context))

    def _kept(self, result: object) -> str:
        """The result's JSON text. Raises ResultUnfit and UnfitValue."""
        most = self._settings.max_json_bytes
        # Each value takes a byte at least.
        text = encode(kept := plain(result, at_most=most))
        if b'"$secret"' in text:
            _refuse_secrets(kept)
        redacted = self._redaction.of_value(kept)
        if redacted is not kept:
            return check_json(redacted, max_bytes=most, what="the result").decode()
        check_size(text, max_bytes=most, what="the result")
        return text.decode()

    def _notices(self, context: ToolContext) -> tuple[str, ...]:
        """What the tool said beside its result, as it may be kept and shown."""
        said = context.notices
        if not said.texts:
            return ()
        kept = [self._shown(text, LONGEST_NOTICE) for text in said.texts]
        if said.left_out:
            kept.append(f"… and {said.left_out} more notice{'' if said.left_out == 1 else 's'}")
        return tuple(kept)

    def _guarded(self, error: BaseException) -> Reply:
        try:
            return self._of_error(error)
        except BaseException as fault:  # noqa: BLE001 - whatever a stranger's exception raises when it is read
            return Broken(fault)

    def _of_error(self, error: BaseException) -> Reply:
        match error:
            case ArgsUnfit():
                return Failed("ARGS_UNFIT", self._redaction.of_text(str(error)))
            case InDoubt():
                return Unknown("IN_DOUBT", self._words_of(error))
            case ToolError():
                retryable = attempted(lambda: bool(error.retryable), otherwise=True)
                seconds, remark = _seconds(attribute(error, "retry_after", None))
                return Failed("TOOL_ERROR", self._words_of(error), retryable, seconds, self._shown(remark))
            case _:
                return Failed("TOOL_RAISED", self._shown(text_of(error)), retryable=True)

    def _words_of(self, error: ToolError | InDoubt) -> str:
        # An author's own kind of it may have left out what ours sets.
        message = attribute(error, "message", None)
        return self._shown(text_of(error) if message is None else message)

    def _shown(self, text: object, longest: int = _LONGEST_MESSAGE) -> str:
        """A message of a tool, as it may be kept and shown."""
        shown = self._redaction.of_text(text if type(text) is str else read(_plainly, text))
        shown = storable(shown)
        return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(shown)} characters)"


def _refuse_secrets(result: object) -> None:
    for path in secrets_in(result):
        raise ResultUnfit(path, "holds a $secret, which only a plan may")


def _plainly(text: object) -> str:
    return str.__str__(text) if isinstance(text, str) else repr(text)


def _seconds(after: object) -> tuple[float | None, str]:
    """The time that a tool asked for, in seconds, and words about it where it is not heeded as it stands."""
    if after is None:
        return None, ""
    is_number = isinstance(after, int | float) and not isinstance(after, bool)
    number = (
        attempted(lambda: float(min(cast("float", after), _LONGEST_DELAY + 1)), math.nan) if is_number else math.nan
    )
    shown = f"{read(repr, after):.60}"
    if not number >= 0 or after != after:  # noqa: PLR0124 - of NaN and a number, min may give either
        return None, f" (its retry_after of {shown} is no time to wait, and was not heeded)"
    if number > _LONGEST_DELAY:
        return _LONGEST_DELAY, f" (its retry_after of {shown} was cut to {_LONGEST_DELAY:.0f} seconds)"
    return number, ""
