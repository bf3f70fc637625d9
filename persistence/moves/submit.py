"""A run begins with its plan: run, steps, approvals, first tool calls, events and audit line in one statement.

It does in one statement the work that `store_runs` and `store_steps` do one after the other when the plan comes later.
The run is stored in the state that it begins in, so that its row and index entries are written only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from persistence.database import Connection
from persistence.moves.begin import BEGINNINGS, GIVEN, NewRun, NewStep, as_json, planned, stored_from
from persistence.moves.events import EVENT, Rank, event, written
from persistence.moves.inputs import NO_EXPIRY, NOBODY, Claimer, GatePolicy
from persistence.moves.pieces import CLOCK
from persistence.moves.record import counter, total
from persistence.moves.row import MARKS, Advance, claimed_from, read_rows
from persistence.moves.sql import union
from persistence.moves.table import MOVING, OPEN, RECORDED, RUNNING, WAITING
from persistence.states import RunState

_OPEN: Final = ", ".join(counter(state) for state in OPEN)
_COUNTED: Final = ",\n        ".join(
    f"count(*) FILTER (WHERE state = '{state}')::int AS {counter(state)}" for state in OPEN
)
_OF_RUN: Final = {"run": "id", "position": "null"}

_SUBMIT: Final = f"""
WITH {CLOCK},
submission AS MATERIALIZED (
    SELECT * FROM json_to_recordset($5::json) AS s (id uuid, submitted_by uuid, intent text, risk smallint,
        approve_from smallint, idempotency_key text, input_digest text, action text, outcome text, name text,
        address text, token text, request text, began_by text)),
{GIVEN},
tally AS (
    SELECT run_id, count(*)::int AS steps,
        {_COUNTED}
    FROM turn GROUP BY run_id),
verdict AS (SELECT *, {total(MOVING)} = 0 AS waits FROM tally),
recorded AS (
    INSERT INTO runs (id, submitted_by, intent, state, asked, risk, approve_from, idempotency_key, input_digest,
        began_by, last_seq, {_OPEN}, created_at, moved_at, started_at)
    -- In the order of their keys, so that two groups with keys in common wait for each other in one order.
    SELECT id, submitted_by, intent, CASE WHEN waits THEN '{RunState.WAITING_APPROVAL}' ELSE '{
    RunState.EXECUTING
}' END, blocked > 0, risk,
        approve_from, idempotency_key, decode(input_digest, 'hex'), began_by,
        -- Recorded and planned; each step that is no longer pending, and what follows if it is blocked or running.
        2 + ready + 2 * blocked + 2 * running + waits::int,
        {_OPEN}, at, at, CASE WHEN running > 0 THEN at END
    FROM submission JOIN verdict ON run_id = id, clock ORDER BY submitted_by, idempotency_key, id
    ON CONFLICT (submitted_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, intent, state, last_seq, ready, asked AS judged),
{stored_from("turn WHERE run_id IN (SELECT id FROM recorded)")},
{EVENT} AS (
    {
    union(
        planned("recorded JOIN verdict ON run_id = id"),
        event(RECORDED, Rank.SUBMISSION, "recorded", **_OF_RUN),
        event(WAITING, Rank.RUN, f"recorded WHERE state = '{RunState.WAITING_APPROVAL}'", **_OF_RUN),
        BEGINNINGS,
    )
}),
{written("event, clock", seq="row_number() OVER (PARTITION BY run_id ORDER BY rank, major, minor)", created_at="at")},
audited AS (
    INSERT INTO audit_lines (action, outcome, user_id, user_name, subject, address, token, request)
    SELECT action, outcome, submitted_by, name, 'run_' || replace(id::text, '-', ''), address, token, request
    FROM recorded JOIN submission USING (id) WHERE action IS NOT NULL)
{MARKS}
UNION ALL
{claimed_from(f"stored WHERE state = '{RUNNING}'")}
"""


async def submit(
    connection: Connection,
    runs: Sequence[NewRun],
    steps: Sequence[NewStep],
    *,
    claimer: Claimer = NOBODY,
    gate: GatePolicy = NO_EXPIRY,
) -> Advance:
    """Store these runs with their steps, of which each has one at least; a transaction by itself.

    A run whose idempotency key its user has used before is not stored, and has no mark among those that come back.
    """
    rows = await connection.fetch(
        _SUBMIT,
        as_json(steps),
        claimer.worker,
        max(0, claimer.slots),
        gate.approval_timeout_seconds,
        orjson.dumps([_row(run) for run in runs], default=str).decode(),
    )
    return read_rows(rows)


def _row(run: NewRun) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": run.id,
        "submitted_by": run.submitted_by,
        "intent": run.intent,
        "risk": run.risk,
        "approve_from": run.approve_from,
        "idempotency_key": run.idempotency_key,
        "input_digest": run.input_digest and run.input_digest.hex(),
        "began_by": run.began_by,
    }
    line = run.line
    if line is not None:
        row |= {
            "action": line.action,
            "outcome": line.outcome,
            "name": line.name,
            "address": line.address,
            "token": line.token,
            "request": line.request,
        }
    return row
