"""One approval is given, and its step starts if there is a slot for it: `decide`, `advance` and `claim` at once."""

from __future__ import annotations

from typing import Final

from persistence.moves.events import event_value
from persistence.moves.functions.function import Function, count, give, keep, no_slots_for_the_dead, write_events
from persistence.moves.pieces import again, calling, starting
from persistence.moves.record import counter
from persistence.moves.row import claimed_values, mark
from persistence.moves.sql import among, assign, insert
from persistence.moves.table import BLOCKED, READY, RELEASE, RESUMED, RUNNING, START, touched
from persistence.states import ApprovalKind, ApprovalStatus, EventType, RunState

_STARTS: Final = "slots > 0"
_ARGS: Final = "coalesce(step.resolved_args, step.args)"

_OF_STEP: Final = {
    "position": "its_place",
    "name": "step.name",
    "attempt": "step.attempt",
}

_CALL: Final = calling(
    "at",
    run_id="its_run",
    position="its_place",
    attempt="step.attempt",
    tool="step.tool",
    args=_ARGS,
    digest="granted",
    approval_id="its_id",
)

_AUDIT: Final = {
    "action": "action",
    "outcome": "outcome",
    "user_id": "person",
    "user_name": "user_name",
    "subject": "subject",
    "detail": "detail",
    "address": "address",
    "token": "token",
    "request": "request",
}

_COUNTERS: Final = tuple(counter(state) for state in touched((RELEASE, START)))

_BODY: Final = f"""    SELECT * INTO run FROM runs WHERE id = its_run FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    {no_slots_for_the_dead()}
    at := clock_timestamp();
    UPDATE approvals a SET status = '{ApprovalStatus.APPROVED}', decided_by = person, decided_at = at, moved_at = at,
        decision_reason = why, edited_args = edited::json, granted_digest = coalesce(edited_digest, a.digest),
        spent_at = CASE WHEN {_STARTS} THEN at END
    WHERE a.id = its_id AND a.status = '{ApprovalStatus.REQUIRED}' AND a.kind = '{ApprovalKind.EXECUTE}'
        AND a.digest = its_digest AND (a.expires_at IS NULL OR a.expires_at > at)
    RETURNING a.granted_digest INTO granted;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    at := greatest(at, run.moved_at);
    UPDATE steps s SET state = CASE WHEN {_STARTS} THEN '{START.enters}' ELSE '{RELEASE.enters}' END,
        resolved_args = coalesce(edited::json, s.resolved_args), digest = coalesce(edited_digest, s.digest),
        error_code = null, error_message = null,
        ready_at = coalesce(s.ready_at, at),
        -- By the clock, which may have been set back since the run last moved.
        due_at = CASE WHEN slots <= 0 THEN clock_timestamp() END,
        {assign(starting(at="at", worker="worker", when=_STARTS))}
    WHERE s.run_id = its_run AND s.position = its_place AND {among("s.state", RELEASE.leaves)}
        AND s.attempt = its_attempt
    RETURNING s.* INTO STRICT step;
    events := ARRAY[
        ('{EventType.APPROVAL_APPROVED}', its_place, its_id, message, metadata::json)::event_row,
        {event_value(RELEASE.event, **_OF_STEP)}];
    IF run.state = '{RunState.WAITING_APPROVAL}' THEN
        events := events || {event_value(RESUMED)};
    END IF;
    {count(BLOCKED, -1)}
    IF {_STARTS} THEN
        {count(RUNNING, +1)}
        run.started_at := coalesce(run.started_at, at);
        {insert("tool_calls", _CALL)};
        events := events || {event_value(START.event, approval="its_id", again=again("step.attempt"), **_OF_STEP)};
        {give(claimed_values("step.", run_id="its_run", position="its_place", digest="granted"))}
    ELSE
        {count(READY, +1)}
    END IF;
    {write_events()}
    UPDATE runs r SET state = '{RunState.EXECUTING}', {keep("last_seq", "started_at", *_COUNTERS)}, moved_at = at
    WHERE r.id = its_run;
    {insert("audit_lines", _AUDIT)};
    {give(mark(run="its_run", seq="run.last_seq", ready="run.ready", state=f"'{RunState.EXECUTING}'", judged="1"))}"""

APPROVE_ONE: Final = Function(
    "approve_one",
    parameters={
        "its_id": "uuid",
        "its_run": "uuid",
        "its_place": "int",
        "its_attempt": "int",
        "its_digest": "text",
        "person": "uuid",
        "why": "text",
        "edited": "text",
        "edited_digest": "text",
        "message": "text",
        "metadata": "text",
        "worker": "uuid",
        "slots": "int",
        "action": "text",
        "outcome": "text",
        "user_name": "text",
        "subject": "text",
        "detail": "text",
        "address": "text",
        "token": "text",
        "request": "text",
    },
    variables={
        "run": "runs",
        "step": "steps",
        "granted": "text",
        "at": "timestamptz",
        "events": "event_row[]",
    },
    body=_BODY,
)
