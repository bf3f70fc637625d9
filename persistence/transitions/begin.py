"""A run begins: it is stored, and its steps are, at once or when a planner has found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import orjson

from persistence.audit import AuditLine, write_lines
from persistence.database import Connection
from persistence.ids import run_id
from persistence.states import RunState
from persistence.transitions.advance import ALIVE, NO_EXPIRY, NOBODY, Advance, Claimer, GatePolicy, told
from persistence.transitions.record import CLOCK, MARKS, Rank, record, taken


@dataclass(frozen=True, slots=True)
class NewRun:
    """One submission. `input_digest` is the SHA-256 of its canonical input, needed with an idempotency key.

    `line` is what the audit log says of it, written with it.
    """

    id: UUID
    submitted_by: UUID
    intent: str | None
    risk: int
    approve_from: int
    idempotency_key: str | None = None
    input_digest: bytes | None = None
    line: AuditLine | None = None


@dataclass(slots=True)  # not frozen, which would take six times as long to make, for each step that there ever is
class NewStep:
    """One step, ready to be stored. All places are positions in the plan; `args` and `resolved_args` are JSON text.

    `dynamic`: its arguments hold references, to the results of the steps at `needs`. `feeds`: a step with references
    depends on it. `digest` is there for what a person may be asked about. The statement reads them as JSON under these
    names.
    """

    run: UUID
    submitted_by: UUID
    position: int
    key: str
    name: str
    tool: str
    risk: int
    gated: bool
    gate_reason: str | None
    idempotent: bool
    dynamic: bool
    feeds: bool
    args: str
    resolved_args: str | None
    digest: str | None
    depends_on: tuple[int, ...]
    dependents: tuple[int, ...]
    needs: tuple[int, ...]
    max_attempts: int | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class StoredRun:
    """Where a submission went: its own run, or the one that its idempotency key already named."""

    id: UUID
    input_digest: bytes | None


_STORE = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::smallint[], $6::text[], $7::bytea[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
        AS g (id, submitted_by, intent, risk, approve_from, idempotency_key, input_digest, action, outcome, name,
            address, token, request)),
stored AS (
    INSERT INTO runs (id, submitted_by, intent, state, risk, approve_from, idempotency_key, input_digest, last_seq,
        created_at, moved_at)
    -- In the order of their keys, so that two groups with keys in common wait for each other in one order.
    SELECT id, submitted_by, intent, 'QUEUED', risk, approve_from, idempotency_key, input_digest, 1, at, at
    FROM given, (SELECT clock_timestamp() AS at) AS clock ORDER BY submitted_by, idempotency_key, id
    ON CONFLICT (submitted_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, created_at, intent),
started AS (
    INSERT INTO timeline_events (run_id, seq, type, message, metadata, created_at)
    SELECT id, 1, 'WORKFLOW_STARTED', 'The workflow is recorded', json_build_object('intent', intent), created_at
    FROM stored),
audited AS (
    INSERT INTO audit_lines (action, outcome, user_id, user_name, subject, address, token, request)
    SELECT g.action, g.outcome, g.submitted_by, g.name, 'run_' || replace(id::text, '-', ''), g.address, g.token,
        g.request
    FROM stored JOIN given g USING (id) WHERE g.action IS NOT NULL)
SELECT id FROM stored
"""

_NAMED = """
SELECT g.id AS given, r.id, r.input_digest
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS g (id, submitted_by, idempotency_key)
JOIN runs r ON r.submitted_by = g.submitted_by AND r.idempotency_key = g.idempotency_key
"""


async def store_runs(tx: Connection, runs: Sequence[NewRun]) -> dict[UUID, StoredRun]:
    """Store these runs as QUEUED, each with its first event; by its own id, what became of each.

    A run whose idempotency key its user has used before is not stored: the earlier one is named instead.
    """
    lines = [r.line for r in runs]
    rows = await tx.fetch(
        _STORE,
        [r.id for r in runs],
        [r.submitted_by for r in runs],
        [r.intent for r in runs],
        [r.risk for r in runs],
        [r.approve_from for r in runs],
        [r.idempotency_key for r in runs],
        [r.input_digest for r in runs],
        [line and line.action for line in lines],
        [line and line.outcome for line in lines],
        [line and line.name for line in lines],
        [line and line.address for line in lines],
        [line and line.token for line in lines],
        [line and line.request for line in lines],
    )
    new = {row["id"] for row in rows}
    stored = {run.id: StoredRun(run.id, run.input_digest) for run in runs if run.id in new}
    repeated = [run for run in runs if run.id not in new]
    if repeated:
        stored |= await earlier_runs(tx, repeated)
    return stored


async def earlier_runs(tx: Connection, repeated: Sequence[NewRun]) -> dict[UUID, StoredRun]:
    """The runs that already have these runs' idempotency keys, by the new ones' ids; written down in the audit log."""
    named = await tx.fetch(
        _NAMED,
        [r.id for r in repeated],
        [r.submitted_by for r in repeated],
        [r.idempotency_key for r in repeated],
    )
    earlier = {row["given"]: StoredRun(row["id"], row["input_digest"]) for row in named}
    await _write_repeated(tx, repeated, earlier)
    return earlier


async def _write_repeated(tx: Connection, runs: Sequence[NewRun], stored: Mapping[UUID, StoredRun]) -> None:
    """What the audit log says of submissions that were answered with an earlier run; conflicts are refused later."""
    same = [(run.line, stored[run.id]) for run in runs if run.input_digest == stored[run.id].input_digest]
    lines = [
        replace(line, subject=run_id(earlier.id), detail="answered with an earlier run")
        for line, earlier in same
        if line is not None
    ]
    if lines:
        await write_lines(tx, lines)


GIVEN = f"""given AS (
    SELECT *, row_number() OVER (PARTITION BY remaining = 0 AND NOT gated ORDER BY run_id, position) AS nth
    FROM (
        SELECT run AS run_id, cardinality(depends_on) AS remaining, s.*
        FROM json_to_recordset($1::json) AS s (run uuid, submitted_by uuid, position int, key text, name text,
            tool text, risk smallint, gated bool, gate_reason text, idempotent bool, dynamic bool, feeds bool,
            args text, resolved_args text, digest text, depends_on int[], dependents int[], needs int[],
            max_attempts int, timeout_seconds float8)) AS g),
turn AS (
    SELECT *, CASE WHEN remaining > 0 THEN 'PENDING' WHEN gated THEN 'BLOCKED'
        WHEN nth <= (CASE WHEN {ALIVE.format(worker="$2::uuid")} THEN $3::int ELSE 0 END) THEN 'RUNNING'
        ELSE 'READY' END AS state
    FROM given)"""
"""Steps to be stored ($1, as JSON), each with the state that it begins in for this claimer ($2, with $3 slots)."""


def stored_from(source: str) -> str:
    """The CTEs that store these rows of `turn` as steps, with their tool calls and approvals (which expire in $4)."""
    return f"""stored AS (
    INSERT INTO steps (run_id, submitted_by, position, key, name, tool, risk, gated, gate_reason, idempotent, dynamic,
        feeds, args, resolved_args, digest, depends_on, dependents, needs, max_attempts, timeout_seconds,
            remaining, state,
        attempt, calls, owner, due_at, created_at, resolved_at, ready_at, started_at)
    SELECT run_id, submitted_by, position, key, name, tool, risk, gated, gate_reason, idempotent, dynamic, feeds,
        args::json, resolved_args::json, digest, depends_on, dependents, needs, max_attempts, timeout_seconds,
            remaining, state,
        (state = 'RUNNING')::int, (state = 'RUNNING')::int,
        CASE WHEN state = 'RUNNING' THEN $2::uuid END, CASE WHEN state = 'READY' THEN at END,
        at, CASE WHEN state <> 'PENDING' THEN at END, CASE WHEN state IN ('READY', 'RUNNING') THEN at END,
        CASE WHEN state = 'RUNNING' THEN at END
    FROM clock, {source}
    RETURNING run_id, submitted_by, position, name, tool, state, risk, gate_reason,
        coalesce(resolved_args, args) AS args, digest, attempt, calls, max_attempts, losses, gated, idempotent,
            feeds, timeout_seconds),
called AS (
    INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, started_at)
    SELECT run_id, position, attempt, tool, args, digest, at FROM stored, clock WHERE state = 'RUNNING'),
opened AS (
    INSERT INTO approvals
        (id, run_id, position, execution, attempt, kind, risk, reason, proposed_args, digest, created_at, expires_at)
    SELECT gen_random_uuid(), run_id, position, 1, 0, 'EXECUTE', risk, gate_reason, args, digest, at,
        at + $4::float8 * interval '1 second'
    FROM stored, clock WHERE state = 'BLOCKED'
    RETURNING id, run_id, position, risk, digest, expires_at)"""


def planned(source: str) -> str:
    """The event that says how many steps a run has, for each run and number of these rows."""
    return f"""SELECT run_id, {Rank.DECISION}, 0, 0, 'WORKFLOW_PLANNED', null::int, null::uuid,
        'Planned ' || steps || CASE steps WHEN 1 THEN ' step' ELSE ' steps' END, json_build_object('steps', steps)
    FROM {source}"""


BEGINNINGS = f"""SELECT run_id, {Rank.STEP}, position, 0,
        CASE state WHEN 'BLOCKED' THEN 'STEP_BLOCKED' ELSE 'STEP_READY' END, position, null,
        name || CASE state WHEN 'BLOCKED' THEN ' waits for a person' ELSE ' is ready' END, '{{}}'
    FROM stored WHERE state <> 'PENDING'
    UNION ALL
    SELECT run_id, {Rank.APPROVAL}, position, 0, 'APPROVAL_REQUIRED', position, id,
        'A person must approve exactly these arguments',
        json_build_object('kind', 'EXECUTE', 'riskLevel', 'L' || risk, 'argsDigest', digest, 'expiresAt', expires_at)
    FROM opened
    UNION ALL
    SELECT run_id, {Rank.RUNNING}, position, 0, 'STEP_RUNNING', position, null, name || ' is running',
        json_build_object('attempt', attempt)
    FROM stored WHERE state = 'RUNNING'"""
"""The events of the steps that were stored."""

_PLAN = f"""
WITH {CLOCK},
{GIVEN},
{stored_from("turn")},
moved (run_id, leaves, enters) AS (SELECT run_id, null, state FROM stored),
told (run_id, rank, major, minor, type, position, approval_id, message, metadata) AS (
    {planned("(SELECT run_id, count(*) AS steps FROM given GROUP BY run_id) AS each")}
    UNION ALL
    {BEGINNINGS}),
{record()}
{MARKS}
UNION ALL
{taken("stored WHERE state = 'RUNNING'")}
"""


def as_json(steps: Sequence[NewStep]) -> str:
    """The steps as `given` reads them.

    The driver looks through arrays value by value, and there would be one for each of the columns.
    """
    return orjson.dumps(steps, default=str).decode()  # the driver has UUIDs of its own class


async def store_steps(
    tx: Connection,
    steps: Sequence[NewStep],
    *,
    claimer: Claimer = NOBODY,
    gate: GatePolicy = NO_EXPIRY,
) -> Advance:
    """Give runs their steps: what waits for nothing is READY (or the claimer's), or BLOCKED with its approval.

    The caller holds the runs' locks, or has stored the runs in this transaction.
    """
    rows = await tx.fetch(
        _PLAN,
        as_json(steps),
        claimer.worker,
        max(0, claimer.slots),
        gate.approval_timeout_seconds,
    )
    return told(rows)


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that the caller now plans: nobody else does while its lease lasts."""

    id: UUID
    intent: str
    approve_from: int
    submitted_by: UUID
    attempt: int


_CLAIM_PLANNING = f"""
WITH queued AS MATERIALIZED (
    SELECT id FROM runs WHERE state = 'QUEUED' ORDER BY created_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED),
-- Claimed by an earlier statement whose answer never came.
unknown AS MATERIALIZED (
    SELECT id FROM runs WHERE planner = $1 AND state = 'PLANNING' AND id <> ALL($3::uuid[])
    LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE runs SET state = 'PLANNING', planner = $1, planning_attempt = planning_attempt + 1
WHERE id IN (SELECT id FROM queued UNION ALL SELECT id FROM unknown) AND {ALIVE.format(worker="$1::uuid")}
RETURNING id, intent, approve_from, submitted_by, planning_attempt
"""


async def claim_planning(
    tx: Connection, worker: UUID, *, at_most: int, known: Sequence[UUID] | None = None
) -> list[ClaimedRun]:
    """Take up to `at_most` QUEUED runs to plan, oldest first, under the worker's lease.

    With `known`, the runs that the worker knows to be its own, come those that are and that it does not know of.
    """
    rows = await tx.fetch(_CLAIM_PLANNING, worker, at_most, known)
    return [ClaimedRun(*row) for row in rows]


async def hold_planning(tx: Connection, run: ClaimedRun, worker: UUID, *, risk: int) -> bool:
    """Lock a run that the caller has planned and set its risk; False when it is no longer the caller's to plan."""
    status = await tx.execute(
        "UPDATE runs SET risk = $4 WHERE id = $1 AND state = 'PLANNING' AND planner = $2 AND planning_attempt = $3",
        run.id,
        worker,
        run.attempt,
        risk,
    )
    return status == "UPDATE 1"


_FAIL_PLANNING = """
WITH failed AS (
    UPDATE runs SET state = 'FAILED', outcome = 'FAILED', planner = null, error_code = $4, error_message = $5,
        last_seq = last_seq + 1, moved_at = greatest(clock_timestamp(), moved_at),
        finished_at = greatest(clock_timestamp(), moved_at)
    WHERE id = $1 AND state = 'PLANNING' AND planner = $2 AND planning_attempt = $3
    RETURNING id, last_seq, finished_at)
INSERT INTO timeline_events (run_id, seq, type, message, metadata, created_at)
SELECT id, last_seq, 'WORKFLOW_FAILED', left('The workflow failed: ' || $5, 8000),
    json_build_object('outcome', 'FAILED', 'code', $4::text, 'error', $5::text), finished_at
FROM failed RETURNING seq
"""


async def fail_planning(tx: Connection, run: ClaimedRun, worker: UUID, *, code: str, message: str) -> int | None:
    """End a run that cannot be planned; its last seq, or None when it is no longer the caller's to plan."""
    return await tx.fetchval(_FAIL_PLANNING, run.id, worker, run.attempt, code, message)


async def release_planning(tx: Connection, workers: Sequence[UUID]) -> list[UUID]:
    """Send the runs that these workers were planning back to the queue; the busy ones wait for the next time."""
    rows = await tx.fetch(
        f"""UPDATE runs SET state = '{RunState.QUEUED}', planner = null
        WHERE id IN (SELECT id FROM runs WHERE planner = ANY($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING id""",
        list(workers),
    )
    return [row["id"] for row in rows]
