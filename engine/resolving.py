"""What steps with references will be called with, once the results are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
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
from persistence.ids import run_id
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

    def work() -> list[Resolution | _Lacking]:
        budgets: defaultdict[UUID, Budget] = defaultdict(Budget)
        return [_guarded(step, results, registry, max_bytes, budgets[step.run]) for step in freed]

    found = await aside(work, Lane.REFERENCES) if any(_EXPRESSION in step.args for step in freed) else work()
    return [each if isinstance(each, Resolution) else await _explained(each, notices_of) for each in found]


@dataclass(frozen=True, slots=True)
class _Lacking:
    """A step that has nothing to work on."""

    step: FreedStep
    missing: Missing


async def _explained(lacking: _Lacking, notices_of: NoticesOf) -> Resolution:
    step, missing = lacking.step, lacking.missing
    return _unfit(step, UNFIT, missing.after(await notices_of(step.run, missing.step)))


_EXPRESSION = '"$jmespath"'


def _guarded(
    step: FreedStep,
    results: Mapping[tuple[UUID, int], str | None],
    registry: Registry,
    max_bytes: int,
    budget: Budget,
) -> Resolution | _Lacking:
    """The same, whatever happens: the step upstream has succeeded, and nothing that is wrong here may undo that."""
    try:
        return _resolution(step, results, registry, max_bytes, budget)
    except BaseException as error:
        log.exception("arguments_not_resolved", run_id=run_id(step.run), position=step.position)
        return _unfit(step, UNFIT, f"its arguments can't be checked: {text_of(error)}")


def _resolution(
    step: FreedStep,
    results: Mapping[tuple[UUID, int], str | None],
    registry: Registry,
    max_bytes: int,
    budget: Budget,
) -> Resolution | _Lacking:
    known: dict[str, Any] = orjson.loads(step.known)
    for place, key in step.pending.items():
        result = results.get((step.run, place))
        if result is not None:
            known[key] = orjson.loads(result)
    tool = registry.get(step.tool)
    if tool is None:
        return Resolution(
            step.run,
            step.position,
            None,
            None,
            UNFIT,
            f"this process has no tool {step.tool}: its arguments can't be checked",
        )
    planned = orjson.loads(step.args)
    try:
        args = tool.fit(resolve(planned, known, budget))
        text = check_json(args, max_bytes=max_bytes, what="the resolved arguments")
    except Unresolvable as error:
        return _unfit(step, UNRESOLVABLE, f"{dotted(('args', *error.path))}: {error.message}")
    except ArgsUnfit as error:
        missing = missing_entry(planned, known, error.faults)
        if missing is not None:
            return _Lacking(step, missing)
        return _unfit(step, UNFIT, "; ".join(f"{dotted(('args', *each.path))} {each.message}" for each in error.faults))
    except UnfitValue as error:
        return _unfit(step, UNFIT, f"{dotted(('args', *error.path))} {error.message}")
    return Resolution(step.run, step.position, text.decode(), args_digest(step.tool, args))


def _unfit(step: FreedStep, code: str, message: str) -> Resolution:
    return Resolution(step.run, step.position, None, None, code, storable(message[:4000]))
