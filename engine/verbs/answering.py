"""The parts that all answers to approvals share: permission, the lock, the event; the first answer stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import orjson

from engine.access import Viewer, may_decide
from engine.errors import AlreadyDecided, Forbidden, NotFound
from engine.verbs.resources import Resources
from persistence.audit import AuditLine, write_lines
from persistence.database import Connection
from persistence.ids import user_id
from persistence.moves.decide import ApprovalFacts, DecidedStep, hold_approval
from persistence.moves.inputs import Note, Outcome
from persistence.moves.row import Advance
from persistence.states import ApprovalStatus, EventType, InDoubtResolution, StepState, ToolCallStatus


async def answer(
    resources: Resources,
    viewer: Viewer,
    approval: UUID,
    write: Callable[[Connection, ApprovalFacts], Awaitable[Advance]],
    line: AuditLine,
) -> None:
    """Write an answer to an approval whose run is locked, with its audit line, and let everybody know.

    Raises NotFound, Forbidden, and what `write` raises.
    """

    async def locked(tx: Connection) -> Advance:
        facts = await hold_approval(tx, viewer.scope, approval)
        if facts is None:
            raise NotFound(("approvalId",))
        if viewer.is_agent:
            raise Forbidden("a person or a service: an agent decides nothing, whatever its roles")
        if not may_answer(resources, viewer, facts):
            raise Forbidden("somebody else than the run's submitter, with the role APPROVER")
        done = await write(tx, facts)
        await write_lines(tx, [line])
        return done

    resources.announce(await resources.database.transaction(locked))


def may_answer(resources: Resources, viewer: Viewer, facts: ApprovalFacts) -> bool:
    """Whether this person may answer the approval."""
    return may_decide(viewer, facts.submitted_by, separation_of_duties=resources.settings.separation_of_duties)


def decided_before(facts: ApprovalFacts, *, same: bool) -> Advance:
    """Nothing to do where the same answer was given before. Raises AlreadyDecided where it was another."""
    if same:
        return Advance()
    status = facts.status
    if status is ApprovalStatus.REQUIRED:
        # Time was first; the sweep will write it down.
        status = ApprovalStatus.EXPIRED
    raise AlreadyDecided(status, facts.decided_by_name, facts.decided_at)


def leaving_blocked(
    step: DecidedStep,
    enters: StepState,
    reason: str | None = None,
    *,
    call: ToolCallStatus | None = None,
    result: str | None = None,
    uncounted: bool = False,
) -> Outcome:
    """The outcome of a BLOCKED step whose approval has just been answered."""
    return Outcome(
        run=step.run,
        position=step.position,
        attempt=step.attempt,
        leaves=StepState.BLOCKED,
        enters=enters,
        reason=reason,
        call=call,
        result=result,
        uncounted=uncounted,
    )


def note(
    step: DecidedStep,
    kind: EventType,
    viewer: Viewer,
    reason: str | None,
    *,
    edited: bool = False,
    resolution: InDoubtResolution | None = None,
) -> Note:
    """The event of an answer."""
    message = {
        InDoubtResolution.HAPPENED: f"{viewer.name} says that {step.name} happened",
        InDoubtResolution.DID_NOT_HAPPEN: f"{viewer.name} says that {step.name} did not happen",
        InDoubtResolution.ABANDON: f"{viewer.name} leaves {step.name}",
        None: f"{words(viewer, kind, step.name)}{' with other arguments' if edited else ''}",
    }[resolution]
    if resolution is None:
        metadata = facts_of(viewer, reason, edited=edited)
    else:
        metadata = facts_of(viewer, reason, resolution=resolution.value)
    return Note(step.run, kind, step.position, step.approval, message, metadata)


def words(viewer: Viewer, kind: EventType, name: str) -> str:
    """The message of a decision's event."""
    return f"{viewer.name} {'approved' if kind is EventType.APPROVAL_APPROVED else 'rejected'} {name}"


def facts_of(viewer: Viewer, reason: str | None, **more: object) -> str:
    """The metadata of an answer's event, as JSON text."""
    return orjson.dumps({"decidedBy": user_id(viewer.id), "reason": reason, **more}).decode()
