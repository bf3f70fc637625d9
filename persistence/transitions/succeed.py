"""The move that is made most: running steps succeed, and what depends on them alone goes on.

What `advance` does for these outcomes: in a statement of half its size, and for a lone step in a function of the
database. For a single step most of the cost of a statement is that of starting it: each of its nodes is set up, whether
a row comes by or not. A function's statements are small, and only those run that are needed; for many steps, on the
other hand, one large statement costs a third of it. A test holds the three against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from persistence.database import Connection
from persistence.states import StepState, ToolCallStatus
from persistence.transitions.advance import ALIVE, BUSY, FREE, NO_EXPIRY, Advance, Claimer, GatePolicy, Outcome, told
from persistence.transitions.record import MARKS, SETTLED, Rank, record_success, taken

_SUCCEED: Final = f"""
WITH {FREE.format(runs="$1::uuid[]")}
outcome AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::uuid[], $5::text[]) WITH ORDINALITY
        AS o (run_id, position, attempt, owner, result, nth)
    WHERE run_id IN (SELECT id FROM free)),
settled AS (
    UPDATE steps s SET state = 'SUCCEEDED', result = o.result::json, owner = null, error_code = null,
        error_message = null, finished_at = statement_timestamp()
    FROM outcome o
    WHERE s.run_id = o.run_id AND s.position = o.position
        -- Not by the index on owners, which a plan made over small tables would take: all rows have the same one.
        AND s.state = 'RUNNING' AND s.attempt = o.attempt AND s.owner IS NOT DISTINCT FROM o.owner
    RETURNING s.run_id, s.position, s.name, s.attempt, s.dependents, o.nth),
-- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
closed AS (
    UPDATE tool_calls c SET
        status = CASE c.status WHEN 'STARTED' THEN 'SUCCEEDED' ELSE c.status END,
        result = coalesce(c.result, o.result::json),
        finished_at = coalesce(c.finished_at, statement_timestamp())
    FROM outcome o WHERE c.run_id = o.run_id AND c.position = o.position AND c.attempt = o.attempt),
hit AS (SELECT run_id, d AS position, count(*)::int AS n FROM settled, unnest(dependents) d GROUP BY 1, 2),
near AS (
    SELECT s.run_id, s.position, h.n, s.remaining = h.n AS free, s.gated,
        sum((s.remaining = h.n AND NOT s.gated)::int) OVER (
            ORDER BY s.run_id, s.position ROWS UNBOUNDED PRECEDING) AS slot
    FROM hit h JOIN steps s ON s.run_id = h.run_id AND s.position = h.position AND s.state = 'PENDING'),
turn AS (
    SELECT run_id, position, n, CASE WHEN NOT free THEN null WHEN gated THEN 'BLOCKED'
        WHEN slot <= $7::int AND {ALIVE.format(worker="$6::uuid")} THEN 'RUNNING' ELSE 'READY' END AS enters
    FROM near),
turned AS (
    UPDATE steps s SET
        remaining = s.remaining - t.n,
        state = coalesce(t.enters, s.state),
        resolved_at = CASE WHEN t.enters IS NOT NULL THEN statement_timestamp() END,
        ready_at = CASE WHEN t.enters IN ('READY', 'RUNNING') THEN statement_timestamp() END,
        started_at = CASE t.enters WHEN 'RUNNING' THEN statement_timestamp() END,
        due_at = CASE t.enters WHEN 'READY' THEN statement_timestamp() END,
        owner = CASE t.enters WHEN 'RUNNING' THEN $6::uuid END,
        attempt = s.attempt + (t.enters IS NOT DISTINCT FROM 'RUNNING')::int,
        calls = s.calls + (t.enters IS NOT DISTINCT FROM 'RUNNING')::int
    FROM turn t WHERE s.run_id = t.run_id AND s.position = t.position AND s.state = 'PENDING'
    RETURNING s.run_id, s.submitted_by, s.position, s.name, s.tool, s.risk, s.gated, s.gate_reason, s.idempotent,
        s.feeds, s.attempt, s.calls, s.max_attempts, s.losses, s.execution,
        coalesce(s.resolved_args, s.args) AS args, s.digest, s.timeout_seconds, t.enters),
called AS (
    INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, started_at)
    SELECT run_id, position, attempt, tool, args, digest, statement_timestamp() FROM turned WHERE enters = 'RUNNING'),
opened AS (
    INSERT INTO approvals
        (id, run_id, position, execution, attempt, kind, risk, reason, proposed_args, digest, created_at, expires_at)
    SELECT gen_random_uuid(), run_id, position, execution, attempt, 'EXECUTE', risk, gate_reason, args, digest,
        statement_timestamp(), statement_timestamp() + $8::float8 * interval '1 second'
    FROM turned WHERE enters = 'BLOCKED'
    RETURNING id, run_id, position, kind, risk, digest, expires_at),
moved (run_id, leaves, enters, told) AS (
    SELECT run_id, 'RUNNING', 'SUCCEEDED', 1 FROM settled
    UNION ALL
    SELECT run_id, 'PENDING', enters, CASE enters WHEN 'READY' THEN 1 ELSE 2 END FROM turned WHERE enters IS NOT NULL),
told (run_id, rank, major, minor, type, position, approval_id, message, metadata) AS (
    SELECT run_id, {Rank.STEP}, nth, 0, 'STEP_SUCCEEDED', position, null::uuid, name || ' succeeded',
        json_build_object('attempt', attempt)
    FROM settled
    UNION ALL
    SELECT run_id, {Rank.STEP}, 1000000 + position, 0,
        CASE enters WHEN 'BLOCKED' THEN 'STEP_BLOCKED' ELSE 'STEP_READY' END, position, null,
        name || CASE enters WHEN 'BLOCKED' THEN ' waits for a person' ELSE ' is ready' END, '{{}}'
    FROM turned WHERE enters IS NOT NULL
    UNION ALL
    SELECT run_id, {Rank.APPROVAL}, position, 0, 'APPROVAL_REQUIRED', position, id,
        'A person must approve exactly these arguments',
        json_build_object('kind', kind, 'riskLevel', 'L' || risk, 'argsDigest', digest, 'expiresAt', expires_at)
    FROM opened
    UNION ALL
    SELECT run_id, {Rank.RUNNING}, position, 0, 'STEP_RUNNING', position, null, name || ' is running',
        json_build_object('attempt', attempt)
    FROM turned WHERE enters = 'RUNNING'),
{record_success()}
{MARKS}
UNION ALL
{SETTLED}
UNION ALL
{taken("turned WHERE enters = 'RUNNING'")}
{BUSY.format(runs="$1::uuid[]")}"""

_ALONE: Final = "SELECT * FROM succeed_alone($1, $2, $3, $4, $5, $6, $7, $8)"
"""See `alembic/versions/0004_alone.py`."""


def is_success(outcome: Outcome) -> bool:
    """Whether it is that of a running step whose call succeeded."""
    return (
        outcome.enters is StepState.SUCCEEDED
        and outcome.leaves is StepState.RUNNING
        and outcome.call is ToolCallStatus.SUCCEEDED
    )


async def succeed(
    connection: Connection, outcomes: Sequence[Outcome], *, claimer: Claimer, gate: GatePolicy = NO_EXPIRY
) -> Advance:
    """Settle these successes and all that follows from them: `advance_free`, for them alone.

    A transaction by itself, one round trip: it locks the runs that nobody holds and leaves out the others, which come
    back as `busy`. None of the steps may feed one with references.
    """
    slots, expires = max(0, claimer.slots), gate.approval_timeout_seconds
    if len(outcomes) == 1:
        [o] = outcomes
        return told(
            await connection.fetch(
                _ALONE, o.run, o.position, o.attempt, o.owner, o.result, claimer.worker, slots, expires
            )
        )
    return told(
        await connection.fetch(
            _SUCCEED,
            [o.run for o in outcomes],
            [o.position for o in outcomes],
            [o.attempt for o in outcomes],
            [o.owner for o in outcomes],
            [o.result for o in outcomes],
            claimer.worker,
            slots,
            expires,
        )
    )
