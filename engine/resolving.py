"""What steps with references will be called with, once the results are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import structlog

from engine.aside import Lane, aside
from engine.digest import args_digest
from engine.expressions import Budget
from engine.missing import Missing, missing_entry
from engine.references import Unresolvable, resolve
from engine.tools import ArgsUnfit, Registry
from engine.tools.foreign import text_of
from engine.values import UnfitValue, check_json, dotted, storable
from persistence.moves.inputs import Resolution
from persistence.moves.references import FreedStep

log = structlog.get_logger()

UNRESOLVABLE = "ARGS_UNRESOLVED"
UNFIT = "ARGS_UNFIT"


NoticesOf = Callable[[UUID, str], Awaitable[Sequence[str]]]
"""The notices of a run's step, by its key."""


async def resolutions(
    freed: Sequence[FreedStep],
    results: Mapping[tuple[UUID, int], str | None],
    registry: Registry,
    *,
    max_bytes: int,
    notices_of: NoticesOf,
) -> list[Resolution]:
    """The arguments of each freed step, or why it can't be called; `results` are those not yet in the database.

    Where a result has too few entries for a step to work on, what its own step said of that comes first.

    The runs' locks are held meanwhile: what expressions may cost is bounded for all the steps of a run that are freed
    together, and others are served while they are evaluated.
    """

    def work() -> list[Fitted | Unfitted]:
        budgets: defaultdict[UUID, Budget] = defaultdict(Budget)
        return [
            fitted(
                step.tool,
                orjson.loads(step.args),
                _known(step, results),
                registry,
                budget=budgets[step.run],
                max_bytes=max_bytes,
            )
            for step in freed
        ]

    found = await aside(work, Lane.REFERENCES) if any(EXPRESSION in step.args for step in freed) else work()
    return [await _resolution(step, each, notices_of) for step, each in zip(freed, found, strict=True)]


def _known(step: FreedStep, results: Mapping[tuple[UUID, int], str | None]) -> dict[str, Any]:
    known: dict[str, Any] = orjson.loads(step.known)
    for place, key in step.pending.items():
        result = results.get((step.run, place))
        if result is not None:
            known[key] = orjson.loads(result)
    return known


async def _resolution(step: FreedStep, found: Fitted | Unfitted, notices_of: NoticesOf) -> Resolution:
    if isinstance(found, Fitted):
        return Resolution(step.run, step.position, found.args, found.digest)
    return Resolution(step.run, step.position, None, None, found.code, await explained(step.run, found, notices_of))


EXPRESSION = '"$jmespath"'
"""What arguments with an expression hold in their JSON text."""


def moment(at: datetime) -> str:
    """A time as expressions and the API write it: RFC 3339 with Z."""
    parts = "microseconds" if at.microsecond % 1000 else "milliseconds"
    return at.astimezone(UTC).isoformat(timespec=parts).replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Fitted:
    """The arguments (JSON text) that a step will be called with, and their digest."""

    args: str
    digest: str


@dataclass(frozen=True, slots=True)
class Unfitted:
    """Why a step can't be called: an error code, and the words; `missing` where it has nothing to work on."""

    code: str
    message: str
    missing: Missing | None = None


def fitted(
    name: str,
    planned: Mapping[str, Any],
    known: Mapping[str, Any],
    registry: Registry,
    *,
    budget: Budget,
    max_bytes: int,
    now: str | None = None,
) -> Fitted | Unfitted:
    """The planned arguments of this tool, with what their references stand for.

    `known` are results by key, `now` is when the run was submitted. Raises nothing: the step upstream has succeeded,
    and nothing that is wrong here may undo that.
    """
    try:
        return _fitted(name, planned, known, registry, budget=budget, max_bytes=max_bytes, now=now)
    except BaseException as error:
        log.exception("arguments_not_resolved", tool=name)
        return _unfitted(UNFIT, f"its arguments can't be checked: {text_of(error)}")


def _fitted(
    name: str,
    planned: Mapping[str, Any],
    known: Mapping[str, Any],
    registry: Registry,
    *,
    budget: Budget,
    max_bytes: int,
    now: str | None,
) -> Fitted | Unfitted:
    tool = registry.get(name)
    if tool is None:
        return _unfitted(UNFIT, f"this process has no tool {name}: its arguments can't be checked")
    try:
        args = tool.fit(resolve(planned, known, budget, now=now))
        text = check_json(args, max_bytes=max_bytes, what="the resolved arguments")
    except Unresolvable as error:
        return _unfitted(UNRESOLVABLE, f"{dotted(('args', *error.path))}: {error.message}")
    except ArgsUnfit as error:
        message = "; ".join(f"{dotted(('args', *each.path))} {each.message}" for each in error.faults)
        return _unfitted(UNFIT, message, missing_entry(planned, known, error.faults))
    except UnfitValue as error:
        return _unfitted(UNFIT, f"{dotted(('args', *error.path))} {error.message}")
    return Fitted(text.decode(), args_digest(name, args))


def _unfitted(code: str, message: str, missing: Missing | None = None) -> Unfitted:
    return Unfitted(code, storable(message[:4000]), missing)


def completed(name: str, args: str, registry: Registry, *, max_bytes: int) -> Fitted | None:
    """What is asked about anew, with the defaults that are in force now; None if it has them all.

    Arguments (JSON text) that don't fit any more stay as they are: the call will say so.
    """
    tool = registry.get(name)
    if tool is None:
        return None
    had: dict[str, Any] = orjson.loads(args)
    try:
        now = tool.fit(had)
        if now == had:
            return None
        text = check_json(now, max_bytes=max_bytes, what="the arguments")
    except (ArgsUnfit, UnfitValue):
        return None
    return Fitted(text.decode(), args_digest(name, now))


async def explained(run: UUID, unfit: Unfitted, notices_of: NoticesOf) -> str:
    """Why, in words: where a result has too few entries to work on, what its own step said of that comes first."""
    if unfit.missing is None:
        return unfit.message
    return storable(unfit.missing.after(await notices_of(run, unfit.missing.step))[:4000])
