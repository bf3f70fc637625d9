"""Approvals: decided, resolved, expired. The first decision stands, and the write says whose it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from engine.access import Viewer, may_decide
from engine.audit import line_of
from engine.digest import args_digest, canonical
from engine.errors import AlreadyDecided, ArgsChanged, Fault, Forbidden, InvalidInput, InvalidState, NotFound
from engine.references import check_secrets, secrets_in
from engine.resolving import resolutions
from engine.runs import LocalWorker, check_reason, gate_policy
from engine.settings import EngineSettings
from engine.tools import ArgsUnfit, Registry
from engine.unset import UNSET, Unset
from engine.values import UnfitValue, check_json, text_fault
from persistence.audit import Action, AuditLine, write_lines
from persistence.database import Connection, Database, LostRace
from persistence.ids import approval_id, user_id
from persistence.moves.approve import Asker, Grant, approve, approve_as_proposed
from persistence.moves.decide import (
    ApprovalFacts,
    DecidedStep,
    decide,
    expire,
    find_approval,
    hold_approval,
    overdue_runs,
)
from persistence.moves.inputs import Claimer, Note, Outcome
from persistence.moves.locks import lock_free_runs
from persistence.moves.references import freed_references
from persistence.moves.row import Advance
from persistence.moves.settle import advance
from persistence.notices import notices_of
from persistence.states import (
    ApprovalDecision,
    ApprovalKind,
    ApprovalStatus,
    EventType,
    InDoubtResolution,
    SkipReason,
    StepState,
    ToolCallStatus,
)
from persistence.steering import result_of
from persistence.wakeups import Wakeups

_EXPIRED_AT_ONCE = 500
_SOMEBODY_ELSE = UUID(int=0)
_TURNS_TO_A_CALL = 4
"""Of the loop: until the statement is under way that notes a call about to be made."""


@dataclass(frozen=True, slots=True)
class _Yes:
    """A person approves: with the digest that they have seen, if they said so, and with other arguments, or UNSET."""

    viewer: Viewer
    approval: UUID
    reason: str | None
    seen: str | None
    edited_args: object
    line: AuditLine


class Approvals:
    """The verbs on approvals."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        settings: EngineSettings,
        wakeups: Wakeups,
        worker: LocalWorker | None = None,
    ) -> None:
        self._worker = worker or LocalWorker()
        self._database = database
        self._registry = registry
        self._settings = settings
        self._wakeups = wakeups
        self._gate = gate_policy(settings)

    async def decide(
        self,
        viewer: Viewer,
        approval: UUID,
        decision: ApprovalDecision,
        *,
        reason: str | None,
        args_digest_seen: str | None,
        edited_args: object | Unset,
    ) -> None:
        """Approve or reject; the same decision again by the same person succeeds and changes nothing."""
        check_reason(reason)
        if edited_args is None:  # what clients send for an optional input that they leave out
            edited_args = UNSET
        if decision is ApprovalDecision.REJECT and edited_args is not UNSET:
            raise InvalidInput((Fault(("editedArgs",), "a rejection has no arguments: leave editedArgs out"),))
        approved = decision is ApprovalDecision.APPROVE
        status = ApprovalStatus.APPROVED if approved else ApprovalStatus.REJECTED

        async def write(tx: Connection, facts: ApprovalFacts) -> Advance:
            if facts.kind is not ApprovalKind.EXECUTE:
                raise InvalidState("this asks whether a call happened: answer with resolveInDoubt")
            edited = None if edited_args is UNSET else self._edited(facts, edited_args)
            if facts.status is not ApprovalStatus.REQUIRED:
                same = facts.status is status and facts.decided_by == viewer.id
                same = same and _edited_digest(facts) == (None if edited is None else edited[1])
                if same:
                    _check_seen(facts, args_digest_seen)
                return _decided_before(facts, same=same)
            _check_seen(facts, args_digest_seen)
            decided = await decide(
                tx,
                approval,
                kind=ApprovalKind.EXECUTE,
                status=status,
                by=viewer.id,
                reason=reason,
                edited_args=None if edited is None else edited[0],
                edited_digest=None if edited is None else edited[1],
            )
            if decided is None:
                return _decided_before(facts, same=False)
            kind = EventType.APPROVAL_APPROVED if approved else EventType.APPROVAL_REJECTED
            note = _note(decided, kind, viewer, reason, edited=edited is not None)
            outcome = _leaving_blocked(
                decided,
                StepState.READY if approved else StepState.SKIPPED,
                None if approved else SkipReason.REJECTED,
            )
            return await advance(tx, [outcome], notes=[note], gate=self._gate)

        edits = "" if edited_args is UNSET else ", with other arguments"
        line = line_of(viewer, Action.DECIDE_APPROVAL, approval_id(approval), detail=f"{decision}{edits}")
        with suppress(LostRace):  # nothing happened, and the other way repeats itself
            seen = None if args_digest_seen is None else args_digest_seen.lower()
            if (
                approved
                and (seen is None or text_fault(seen) is None)
                and await self._approved_at_once(_Yes(viewer, approval, reason, seen, edited_args, line))
            ):
                return
        await self._on(viewer, approval, write, line)

    async def _approved_at_once(self, yes: _Yes) -> bool:
        """Approve and begin the step in one commit, if nothing is in the way; what is, is found out under the lock."""
        async with self._database.connection() as connection:
            with self._worker.reserve(most=1) as claimer:
                approved = self._approved if yes.edited_args is UNSET else self._approved_edited
                done = await approved(connection, yes, claimer)
                if done is None:
                    return False
                self._worker.take(claimer, done)
        self._announce(done)
        # The step first: its call does not wait while the answer is put together.
        for _ in range(_TURNS_TO_A_CALL):
            await asyncio.sleep(0)
        return True

    async def _approved(self, connection: Connection, yes: _Yes, claimer: Claimer) -> Advance | None:
        return await approve_as_proposed(
            connection,
            yes.approval,
            self._asker(yes.viewer),
            seen=yes.seen,
            reason=yes.reason,
            words=_words(yes.viewer, EventType.APPROVAL_APPROVED, ""),
            metadata=_facts(yes.viewer, yes.reason, edited=False),
            line=yes.line,
            claimer=claimer,
        )

    async def _approved_edited(self, connection: Connection, yes: _Yes, claimer: Claimer) -> Advance | None:
        facts = await find_approval(connection, yes.viewer.scope, yes.approval)
        if (
            facts is None
            or not self._may_decide(yes.viewer, facts)
            or facts.kind is not ApprovalKind.EXECUTE
            or facts.status is not ApprovalStatus.REQUIRED
            or yes.seen not in (None, facts.digest)
        ):
            return None
        edited = self._edited(facts, yes.edited_args)
        step = DecidedStep(facts.id, facts.run, facts.position, facts.attempt, facts.name)
        note = _note(step, EventType.APPROVAL_APPROVED, yes.viewer, yes.reason, edited=True)
        grant = Grant(yes.viewer.id, yes.reason, *edited)
        return await approve(connection, facts, grant, note=note, line=yes.line, claimer=claimer)

    def _asker(self, viewer: Viewer) -> Asker:
        separation = self._settings.separation_of_duties
        own, others = (may_decide(viewer, by, separation_of_duties=separation) for by in (viewer.id, _SOMEBODY_ELSE))
        return Asker(viewer.scope, own, others)

    async def resolve(
        self,
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
        text = self._result(None if result is UNSET else result) if happened else None
        abandoned = resolution is InDoubtResolution.ABANDON
        status = ApprovalStatus.REJECTED if abandoned else ApprovalStatus.APPROVED

        async def write(tx: Connection, facts: ApprovalFacts) -> Advance:
            if facts.kind is not ApprovalKind.IN_DOUBT:
                raise InvalidState("this asks whether a step may run: answer with decideApproval")
            if facts.status is not ApprovalStatus.REQUIRED:
                same = facts.resolution == resolution and facts.decided_by == viewer.id
                if same and happened:
                    same = _same_json(text, await result_of(tx, facts.run, facts.position))
                return _decided_before(facts, same=same)
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
                return _decided_before(facts, same=False)
            kind = EventType.APPROVAL_REJECTED if abandoned else EventType.APPROVAL_APPROVED
            note = _note(decided, kind, viewer, reason, resolution=resolution)
            outcome = {
                InDoubtResolution.HAPPENED: lambda: _leaving_blocked(
                    decided, StepState.SUCCEEDED, call=ToolCallStatus.SUCCEEDED, result=text
                ),
                InDoubtResolution.DID_NOT_HAPPEN: lambda: _leaving_blocked(
                    decided, StepState.READY, call=ToolCallStatus.FAILED, uncounted=True
                ),
                InDoubtResolution.ABANDON: lambda: _leaving_blocked(decided, StepState.SKIPPED, SkipReason.ABANDONED),
            }[resolution]()
            freed = await freed_references(tx, [outcome]) if happened else []
            found = await resolutions(
                freed,
                {(outcome.run, outcome.position): text},
                self._registry,
                max_bytes=self._settings.max_json_bytes,
                notices_of=partial(notices_of, tx),
            )
            return await advance(tx, [outcome], resolutions=found, notes=[note], gate=self._gate)

        line = line_of(viewer, Action.RESOLVE_IN_DOUBT, approval_id(approval), detail=resolution)
        await self._on(viewer, approval, write, line)

    async def expire_overdue(self) -> int:
        """Skip the steps whose approvals nobody decided in time; how many. Busy runs wait for the next time."""

        async def write(tx: Connection) -> Advance:
            runs = await lock_free_runs(tx, await overdue_runs(tx, at_most=_EXPIRED_AT_ONCE))
            expired = await expire(tx, runs) if runs else []
            if not expired:
                return Advance()
            return await advance(
                tx,
                [_leaving_blocked(each, StepState.SKIPPED, SkipReason.APPROVAL_EXPIRED) for each in expired],
                notes=[
                    Note(
                        each.run,
                        EventType.APPROVAL_EXPIRED,
                        each.position,
                        each.approval,
                        f"Nobody decided {each.name} in time",
                        "{}",
                    )
                    for each in expired
                ],
                gate=self._gate,
            )

        done = await self._database.transaction(write)
        self._wakeups.announce(done.marks)
        return len(done.accepted)

    async def _on(
        self,
        viewer: Viewer,
        approval: UUID,
        write: Callable[[Connection, ApprovalFacts], Awaitable[Advance]],
        line: AuditLine,
    ) -> None:
        async def locked(tx: Connection) -> Advance:
            facts = await hold_approval(tx, viewer.scope, approval)
            if facts is None:
                raise NotFound(("approvalId",))
            if not self._may_decide(viewer, facts):
                raise Forbidden("somebody else than the run's submitter, with the role APPROVER")
            done = await write(tx, facts)
            await write_lines(tx, [line])
            return done

        self._announce(await self._database.transaction(locked))

    def _may_decide(self, viewer: Viewer, facts: ApprovalFacts) -> bool:
        return may_decide(viewer, facts.submitted_by, separation_of_duties=self._settings.separation_of_duties)

    def _announce(self, done: Advance) -> None:
        self._wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))

    def _edited(self, facts: ApprovalFacts, edited: object) -> tuple[str, str]:
        """JSON and digest of edited arguments, which pass the schema like any others."""
        if not isinstance(edited, dict):
            raise InvalidInput((Fault(("editedArgs",), "arguments are an object"),))
        tool = self._registry.get(facts.tool)
        if tool is None:
            raise InvalidState(f"this server has no tool {facts.tool}: it can't check other arguments")
        args: dict[str, Any] = edited  # pyright: ignore[reportUnknownVariableType] - JSON, checked below
        try:
            check_json(args, max_bytes=self._settings.max_json_bytes, what="the arguments")
            check_secrets(args)
            args = tool.fit(args)
            text = check_json(args, max_bytes=self._settings.max_json_bytes, what="the arguments")
        except ArgsUnfit as error:
            raise InvalidInput(
                tuple(Fault(("editedArgs", *fault.path), fault.message) for fault in error.faults)
            ) from error
        except UnfitValue as error:
            raise InvalidInput((Fault(("editedArgs", *error.path), error.message),)) from error
        return text.decode(), args_digest(tool.name, args)

    def _result(self, result: object) -> str:
        try:
            text = check_json(result, max_bytes=self._settings.max_json_bytes, what="the result")
        except UnfitValue as error:
            raise InvalidInput((Fault(("result", *error.path), error.message),)) from error
        for path in secrets_in(result):
            raise InvalidInput((Fault(("result", *path), "a result can't hold a $secret"),))
        return text.decode()


def _check_seen(facts: ApprovalFacts, seen: str | None) -> None:
    """Raises ArgsChanged when a decision, or its repetition, is meant for other arguments than those proposed."""
    if seen is not None and seen.lower() != facts.digest:
        raise ArgsChanged(seen, facts.digest)


def _edited_digest(facts: ApprovalFacts) -> str | None:
    return None if facts.edited_args is None else args_digest(facts.tool, orjson.loads(facts.edited_args))


def _same_json(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts say the same, in whatever order and notation."""
    one, other = one or "null", other or "null"
    return one == other or canonical(orjson.loads(one)) == canonical(orjson.loads(other))


def _decided_before(facts: ApprovalFacts, *, same: bool) -> Advance:
    if same:
        return Advance()
    status = facts.status
    if status is ApprovalStatus.REQUIRED:
        # Time was first; the sweep will write it down.
        status = ApprovalStatus.EXPIRED
    raise AlreadyDecided(status, facts.decided_by_name, facts.decided_at)


def _leaving_blocked(
    step: DecidedStep,
    enters: StepState,
    reason: str | None = None,
    *,
    call: ToolCallStatus | None = None,
    result: str | None = None,
    uncounted: bool = False,
) -> Outcome:
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


def _note(
    step: DecidedStep,
    kind: EventType,
    viewer: Viewer,
    reason: str | None,
    *,
    edited: bool = False,
    resolution: InDoubtResolution | None = None,
) -> Note:
    words = {
        InDoubtResolution.HAPPENED: f"{viewer.name} says that {step.name} happened",
        InDoubtResolution.DID_NOT_HAPPEN: f"{viewer.name} says that {step.name} did not happen",
        InDoubtResolution.ABANDON: f"{viewer.name} leaves {step.name}",
        None: f"{_words(viewer, kind, step.name)}{' with other arguments' if edited else ''}",
    }[resolution]
    if resolution is None:
        facts = _facts(viewer, reason, edited=edited)
    else:
        facts = _facts(viewer, reason, resolution=resolution.value)
    return Note(step.run, kind, step.position, step.approval, words, facts)


def _words(viewer: Viewer, kind: EventType, name: str) -> str:
    return f"{viewer.name} {'approved' if kind is EventType.APPROVAL_APPROVED else 'rejected'} {name}"


def _facts(viewer: Viewer, reason: str | None, **more: object) -> str:
    return orjson.dumps({"decidedBy": user_id(viewer.id), "reason": reason, **more}).decode()
