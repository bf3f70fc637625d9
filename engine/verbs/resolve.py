"""Resolve a doubt: a person says whether a call happened that nobody knows the end of."""

from __future__ import annotations

from uuid import UUID

import orjson

from engine.access import Viewer
from engine.audit import line_of
from engine.digest import canonical
from engine.errors import Fault, InvalidInput, InvalidState
from engine.references import secrets_in
from engine.rounds import settle
from engine.unset import UNSET, Unset
from engine.values import UnfitValue, check_json
from engine.verbs.answering import answer, decided_before, leaving_blocked, note
from engine.verbs.resources import Resources, check_reason
from persistence.audit import Action
from persistence.database import Connection
from persistence.ids import approval_id
from persistence.moves.decide import ApprovalFacts, DecidedStep, decide
from persistence.moves.inputs import Outcome
from persistence.moves.row import Advance
from persistence.states import (
    ApprovalKind,
    ApprovalStatus,
    EventType,
    InDoubtResolution,
    SkipReason,
    StepState,
    ToolCallStatus,
)
from persistence.steering import result_of


async def resolve(
    resources: Resources,
    viewer: Viewer,
    approval: UUID,
    resolution: InDoubtResolution,
    *,
    result: object | Unset,
    reason: str | None,
) -> None:
    """Say of a call in doubt whether it happened; repeats are answered like repeated decisions."""
    check_reason(reason)
    happened = resolution is InDoubtResolution.HAPPENED
    if result is not UNSET and result is not None and not happened:
        raise InvalidInput((Fault(("result",), "only what HAPPENED has a result"),))
    text = _kept(None if result is UNSET else result, resources.settings.max_json_bytes) if happened else None
    abandoned = resolution is InDoubtResolution.ABANDON
    status = ApprovalStatus.REJECTED if abandoned else ApprovalStatus.APPROVED

    async def write(tx: Connection, facts: ApprovalFacts) -> Advance:
        if facts.kind is not ApprovalKind.IN_DOUBT:
            raise InvalidState("this asks whether a step may run: answer with decideApproval")
        if facts.status is not ApprovalStatus.REQUIRED:
            same = facts.resolution == resolution and facts.decided_by == viewer.id
            if same and happened:
                same = _same_json(text, await result_of(tx, facts.run, facts.position))
            return decided_before(facts, same=same)
        decided = await decide(
            tx,
            approval,
            kind=ApprovalKind.IN_DOUBT,
            status=status,
            by=viewer.id,
            reason=reason,
            resolution=resolution,
        )
        if decided is None:
            return decided_before(facts, same=False)
        kind = EventType.APPROVAL_REJECTED if abandoned else EventType.APPROVAL_APPROVED
        event = note(decided, kind, viewer, reason, resolution=resolution)
        outcome = _outcome(decided, resolution, text)
        elaborate = {facts.run} if facts.is_elaborate else ()
        return await settle(tx, resources.rules, [outcome], notes=[event], elaborate=elaborate)

    line = line_of(viewer, Action.RESOLVE_IN_DOUBT, approval_id(approval), detail=resolution)
    await answer(resources, viewer, approval, write, line)


def _outcome(step: DecidedStep, resolution: InDoubtResolution, result: str | None) -> Outcome:
    match resolution:
        case InDoubtResolution.HAPPENED:
            return leaving_blocked(step, StepState.SUCCEEDED, call=ToolCallStatus.SUCCEEDED, result=result)
        case InDoubtResolution.DID_NOT_HAPPEN:
            return leaving_blocked(step, StepState.READY, call=ToolCallStatus.FAILED, uncounted=True)
        case InDoubtResolution.ABANDON:
            return leaving_blocked(step, StepState.SKIPPED, SkipReason.ABANDONED)


def _kept(result: object, max_bytes: int) -> str:
    try:
        text = check_json(result, max_bytes=max_bytes, what="the result")
    except UnfitValue as error:
        raise InvalidInput((Fault(("result", *error.path), error.message),)) from error
    for path in secrets_in(result):
        raise InvalidInput((Fault(("result", *path), "a result can't hold a $secret"),))
    return text.decode()


def _same_json(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts say the same, in whatever order and notation."""
    one, other = one or "null", other or "null"
    return one == other or canonical(orjson.loads(one)) == canonical(orjson.loads(other))
