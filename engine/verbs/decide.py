"""Decide an approval: a person approves or rejects what a step would be called with. The first decision stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from engine.access import Viewer, may_decide
from engine.audit import line_of
from engine.digest import args_digest
from engine.errors import ArgsChanged, Fault, InvalidInput, InvalidState
from engine.references import check_secrets
from engine.rounds import settle
from engine.tools import ArgsUnfit
from engine.unset import UNSET, Unset
from engine.values import UnfitValue, check_json, text_fault
from engine.verbs.answering import answer, decided_before, facts_of, leaving_blocked, may_answer, note, words
from engine.verbs.outside import check_accepted
from engine.verbs.resources import Resources, check_reason
from persistence.audit import Action, AuditLine
from persistence.database import Connection, LostRace
from persistence.ids import approval_id
from persistence.moves import decide as moves
from persistence.moves.approve import Asker, Grant, approve, approve_as_proposed
from persistence.moves.decide import ApprovalFacts, DecidedStep, find_approval
from persistence.moves.inputs import Claimer
from persistence.moves.row import Advance
from persistence.states import ApprovalDecision, ApprovalKind, ApprovalStatus, EventType, SkipReason, StepState

_ANOTHER_USER = UUID(int=0)
_TURNS_TO_A_CALL = 4
"""Of the loop: until the statement is under way that notes a call about to be made."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's decision: with the digest that they have seen, if they said so, and with other arguments, or UNSET."""

    viewer: Viewer
    approval: UUID
    decision: ApprovalDecision
    reason: str | None
    seen: str | None
    edited_args: object | Unset
    accept_outside: Sequence[str] = ()

    @property
    def is_yes(self) -> bool:
        """Whether the step may run."""
        return self.decision is ApprovalDecision.APPROVE

    @property
    def line(self) -> AuditLine:
        """What the audit log says of it."""
        edits = "" if self.edited_args is UNSET else ", with other arguments"
        subject = approval_id(self.approval)
        return line_of(self.viewer, Action.DECIDE_APPROVAL, subject, detail=f"{self.decision}{edits}")


async def decide(
    resources: Resources,
    viewer: Viewer,
    approval: UUID,
    decision: ApprovalDecision,
    *,
    reason: str | None,
    args_digest_seen: str | None,
    edited_args: object | Unset,
    accept_outside: Sequence[str] = (),
) -> None:
    """Approve or reject; the same decision again by the same person succeeds and changes nothing."""
    check_reason(reason)
    if edited_args is None:  # what clients send for an optional input that they leave out
        edited_args = UNSET
    if decision is ApprovalDecision.REJECT and edited_args is not UNSET:
        raise InvalidInput((Fault(("editedArgs",), "a rejection has no arguments: leave editedArgs out"),))
    seen = None if args_digest_seen is None else args_digest_seen.lower()
    given = Answer(viewer, approval, decision, reason, seen, edited_args, accept_outside)
    with suppress(LostRace):  # nothing happened, and the other way repeats itself
        may_be_known = seen is None or text_fault(seen) is None
        must_look = bool(accept_outside) or resources.settings.accept_outside
        if given.is_yes and may_be_known and not must_look and await _approved_at_once(resources, given):
            return

    async def write(tx: Connection, facts: ApprovalFacts) -> Advance:
        return await _decided(resources, tx, facts, given, seen=args_digest_seen)

    await answer(resources, viewer, approval, write, given.line)


async def _decided(
    resources: Resources, tx: Connection, facts: ApprovalFacts, given: Answer, *, seen: str | None
) -> Advance:
    """Write the decision, or say what was decided before. The run is locked."""
    if facts.kind is not ApprovalKind.EXECUTE:
        raise InvalidState("this asks whether a call happened: answer with resolveInDoubt")
    edited = None if given.edited_args is UNSET else _edited(resources, facts, given.edited_args)
    status = ApprovalStatus.APPROVED if given.is_yes else ApprovalStatus.REJECTED
    if facts.status is not ApprovalStatus.REQUIRED:
        same = facts.status is status and facts.decided_by == given.viewer.id
        same = same and _edited_digest(facts) == (None if edited is None else edited[1])
        if same:
            _check_seen(facts, seen)
        return decided_before(facts, same=same)
    _check_seen(facts, seen)
    await _check_outside(resources, tx, facts, given, None if edited is None else edited[0])
    decided = await moves.decide(
        tx,
        given.approval,
        kind=ApprovalKind.EXECUTE,
        status=status,
        by=given.viewer.id,
        reason=given.reason,
        edited_args=None if edited is None else edited[0],
        edited_digest=None if edited is None else edited[1],
    )
    if decided is None:
        return decided_before(facts, same=False)
    if given.is_yes:
        kind, outcome = EventType.APPROVAL_APPROVED, leaving_blocked(decided, StepState.READY)
    else:
        kind = EventType.APPROVAL_REJECTED
        outcome = leaving_blocked(decided, StepState.SKIPPED, SkipReason.REJECTED)
    event = note(decided, kind, given.viewer, given.reason, edited=edited is not None)
    elaborate = {facts.run} if facts.is_elaborate else ()
    return await settle(tx, resources.rules, [outcome], notes=[event], elaborate=elaborate)


async def _check_outside(
    resources: Resources, tx: Connection, facts: ApprovalFacts, given: Answer, edited: str | None
) -> None:
    must_name = given.is_yes and resources.settings.accept_outside
    if must_name or given.accept_outside:
        await check_accepted(resources, tx, facts, given.accept_outside, edited=edited, must_name=must_name)


async def _approved_at_once(resources: Resources, given: Answer) -> bool:
    """Approve and begin the step in one commit, if nothing is in the way; what is, is found out under the lock."""
    async with resources.database.connection() as connection:
        with resources.worker.reserve(most=1) as claimer:
            approved = _approved if given.edited_args is UNSET else _approved_edited
            done = await approved(resources, connection, given, claimer)
            if done is None:
                return False
            resources.worker.take(claimer, done)
    resources.announce(done)
    # The step first: its call does not wait while the answer is put together.
    for _ in range(_TURNS_TO_A_CALL):
        await asyncio.sleep(0)
    return True


async def _approved(resources: Resources, connection: Connection, given: Answer, claimer: Claimer) -> Advance | None:
    return await approve_as_proposed(
        connection,
        given.approval,
        _asker(resources, given.viewer),
        seen=given.seen,
        reason=given.reason,
        words=words(given.viewer, EventType.APPROVAL_APPROVED, ""),
        metadata=facts_of(given.viewer, given.reason, edited=False),
        line=given.line,
        claimer=claimer,
    )


async def _approved_edited(
    resources: Resources, connection: Connection, given: Answer, claimer: Claimer
) -> Advance | None:
    facts = await find_approval(connection, given.viewer.scope, given.approval)
    if (
        facts is None
        or not may_answer(resources, given.viewer, facts)
        or facts.kind is not ApprovalKind.EXECUTE
        or facts.status is not ApprovalStatus.REQUIRED
        or facts.is_elaborate
        or given.seen not in (None, facts.digest)
    ):
        return None
    edited = _edited(resources, facts, given.edited_args)
    step = DecidedStep(facts.id, facts.run, facts.position, facts.attempt, facts.name)
    event = note(step, EventType.APPROVAL_APPROVED, given.viewer, given.reason, edited=True)
    grant = Grant(given.viewer.id, given.reason, *edited)
    return await approve(connection, facts, grant, note=event, line=given.line, claimer=claimer)


def _asker(resources: Resources, viewer: Viewer) -> Asker:
    separation = resources.settings.separation_of_duties
    own, others = (may_decide(viewer, by, separation_of_duties=separation) for by in (viewer.id, _ANOTHER_USER))
    return Asker(viewer.scope, own, others)


def _edited(resources: Resources, facts: ApprovalFacts, edited: object) -> tuple[str, str]:
    """JSON and digest of edited arguments, which pass the schema like any others."""
    if not isinstance(edited, dict):
        raise InvalidInput((Fault(("editedArgs",), "arguments are an object"),))
    tool = resources.registry.get(facts.tool)
    if tool is None:
        raise InvalidState(f"this server has no tool {facts.tool}: it can't check other arguments")
    args: dict[str, Any] = edited  # pyright: ignore[reportUnknownVariableType] - JSON, checked below
    most = resources.settings.max_json_bytes
    try:
        check_json(args, max_bytes=most, what="the arguments")
        check_secrets(args)
        args = tool.fit(args)
        text = check_json(args, max_bytes=most, what="the arguments")
    except ArgsUnfit as error:
        raise InvalidInput(
            tuple(Fault(("editedArgs", *fault.path), fault.message) for fault in error.faults)
        ) from error
    except UnfitValue as error:
        raise InvalidInput((Fault(("editedArgs", *error.path), error.message),)) from error
    return text.decode(), args_digest(tool.name, args)


def _check_seen(facts: ApprovalFacts, seen: str | None) -> None:
    """Raises ArgsChanged when a decision, or its repetition, is meant for other arguments than those proposed."""
    if seen is not None and seen.lower() != facts.digest:
        raise ArgsChanged(seen, facts.digest)


def _edited_digest(facts: ApprovalFacts) -> str | None:
    return None if facts.edited_args is None else args_digest(facts.tool, orjson.loads(facts.edited_args))
