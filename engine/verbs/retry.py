"""Retry a step: a dead letter goes back with a fresh budget, and with it the steps skipped because of it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson

from engine.access import Viewer, may_steer
from engine.audit import line_of
from engine.digest import args_digest
from engine.errors import Forbidden, InvalidState, NotFound
from engine.references import Unresolvable, resolve
from engine.resolving import completed
from engine.rounds.redriving import coming_back as steps_coming_back
from engine.rounds.redriving import redrive_elaborate
from engine.tools import ArgsUnfit
from engine.values import UnfitValue, check_json
from engine.verbs.resources import Resources, check_reason
from persistence.audit import Action, write_lines
from persistence.database import Connection
from persistence.ids import step_id, user_id
from persistence.moves.locks import lock_runs
from persistence.moves.redrive import redrive
from persistence.moves.rounds.facts import elaborate_runs
from persistence.moves.rounds.redrive import directed_steps
from persistence.moves.row import Advance
from persistence.reads.where import submitter_of
from persistence.states import RunState, StepState
from persistence.steering import LinkedStep, Unresolved, asked_about, has_step, linked_steps, state_of, unresolved


async def retry(resources: Resources, viewer: Viewer, run: UUID, position: int, *, reason: str | None) -> None:
    """Send a dead letter back with a fresh budget, and what was skipped because of it alone."""
    check_reason(reason)

    async def write(tx: Connection) -> Advance:
        submitted_by = await submitter_of(tx, viewer.scope, run)
        if submitted_by is None:
            raise NotFound(("stepId",))
        is_elaborate = bool(await lock_runs(tx, [run]))
        if not await has_step(tx, run, position):
            raise NotFound(("stepId",))
        if not may_steer(viewer, submitted_by):
            raise Forbidden("to be the run's submitter, or an administrator")
        sent = _SentBack(run, position, reason, user_id(viewer.id))
        if is_elaborate:
            done = await _send_back_elaborate(resources, tx, sent)
        else:
            done = await _send_back(resources, tx, sent)
        await write_lines(tx, [line_of(viewer, Action.RETRY_STEP, step_id(run, position))])
        return done

    done = await resources.database.transaction(write)
    resources.wakeups.announce(done.marks, work=True)


@dataclass(frozen=True, slots=True)
class _SentBack:
    """The step that goes back, why, and the id of the person who sends it."""

    run: UUID
    position: int
    reason: str | None
    by: str


async def _send_back(resources: Resources, tx: Connection, sent: _SentBack) -> Advance:
    steps = await linked_steps(tx, sent.run)
    args, digest = await _args_anew(resources, tx, sent.run, sent.position)
    done = await redrive(
        tx,
        sent.run,
        sent.position,
        back=coming_back(sent.position, steps),
        args=args,
        digest=digest,
        reason=sent.reason,
        by=sent.by,
        gate=resources.gate,
    )
    if not done.marks:
        raise await _refusal(tx, sent.run, steps[sent.position])
    return done


async def _send_back_elaborate(resources: Resources, tx: Connection, sent: _SentBack) -> Advance:
    facts = (await elaborate_runs(tx, [sent.run]))[sent.run]
    if facts.state is RunState.CANCELLED:
        raise _cancelled()
    steps = await directed_steps(tx, sent.run)
    return await redrive_elaborate(tx, resources.rules, facts, steps, sent.position, reason=sent.reason, by=sent.by)


def _cancelled() -> InvalidState:
    return InvalidState("the run is CANCELLED, and cancelled runs stay so", RunState.CANCELLED)


async def _refusal(tx: Connection, run: UUID, step: LinkedStep) -> InvalidState:
    if await state_of(tx, run) is RunState.CANCELLED:
        return _cancelled()
    return InvalidState(f"the step is {step.state}: only a dead letter is retried", step.state)


async def _args_anew(resources: Resources, tx: Connection, run: UUID, position: int) -> tuple[str | None, str | None]:
    """Arguments for a dead letter that failed before it had any, or whose tool has new defaults; else nothing."""
    step = await unresolved(tx, run, position)
    if step is not None:
        return _resolved(resources, step)
    asked = (await asked_about(tx, run, [position])).get(position)
    if asked is None:
        return None, None
    fit = completed(asked.tool, asked.args, resources.registry, max_bytes=resources.settings.max_json_bytes)
    return (None, None) if fit is None else (fit.args, fit.digest)


def _resolved(resources: Resources, step: Unresolved) -> tuple[str, str]:
    known = {key: orjson.loads(result) for key, result in step.results.items()}
    tool = resources.registry.get(step.tool)
    if tool is None:
        raise InvalidState(f"this server has no tool {step.tool}", StepState.FAILED)
    try:
        args = tool.fit(resolve(orjson.loads(step.args), known))
        text = check_json(args, max_bytes=resources.settings.max_json_bytes, what="the resolved arguments")
    except (Unresolvable, ArgsUnfit, UnfitValue) as error:
        raise InvalidState(
            f"its arguments still can't be resolved, and will not be: {error}; submit a corrected plan",
            StepState.FAILED,
        ) from error
    return text.decode(), args_digest(tool.name, args)


def coming_back(position: int, steps: Mapping[int, LinkedStep]) -> list[tuple[int, int]]:
    """The skipped steps that a redrive of `position` brings back, each with the number of steps it still waits for."""
    return [
        (each, sum(steps[before].state is not StepState.SUCCEEDED for before in steps[each].depends_on))
        for each in sorted(steps_coming_back({position}, steps))
    ]
