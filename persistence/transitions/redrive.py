"""A dead letter is sent back by a person, with what was skipped because of it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from persistence.database import Connection
from persistence.transitions.advance import Advance, GatePolicy, told
from persistence.transitions.record import CLOCK, Rank, record

_REDRIVE = f"""
WITH {CLOCK},
target AS (
    UPDATE steps s SET
        state = CASE WHEN s.gated THEN 'BLOCKED' ELSE 'READY' END,
        due_at = CASE WHEN s.gated THEN null ELSE clock.at END,
        ready_at = CASE WHEN s.gated THEN s.ready_at ELSE coalesce(s.ready_at, clock.at) END,
        resolved_at = coalesce(s.resolved_at, clock.at),
        resolved_args = coalesce($5::json, s.resolved_args), digest = coalesce($6, s.digest),
        execution = s.execution + 1, calls = 0, losses = 0, dead_lettered = false, finished_at = null,
        error_code = null, error_message = null
    FROM clock WHERE s.run_id = $1 AND s.position = $2 AND s.dead_lettered
    RETURNING s.run_id, s.position, s.name, s.state, s.execution, s.attempt, s.risk, s.gate_reason,
        coalesce(s.resolved_args, s.args) AS args, s.digest),
back AS (
    UPDATE steps s SET state = 'PENDING', skip_reason = null, finished_at = null, remaining = b.remaining
    FROM unnest($3::int[], $4::int[]) AS b (position, remaining)
    WHERE s.run_id = $1 AND s.position = b.position AND s.state = 'SKIPPED'
        AND EXISTS (SELECT FROM target)
    RETURNING s.run_id, s.position, s.name),
opened AS (
    INSERT INTO approvals
        (id, run_id, position, execution, attempt, kind, risk, reason, proposed_args, digest, created_at, expires_at)
    SELECT gen_random_uuid(), run_id, position, execution, attempt, 'EXECUTE', risk, gate_reason, args, digest,
        clock.at, clock.at + $7::float8 * interval '1 second'
    FROM target, clock WHERE state = 'BLOCKED'
    RETURNING id, run_id, position, risk, digest, expires_at),
moved (run_id, leaves, enters) AS (
    SELECT run_id, 'FAILED', state FROM target
    UNION ALL
    SELECT run_id, 'SKIPPED', 'PENDING' FROM back),
told (run_id, rank, major, minor, type, position, approval_id, message, metadata) AS (
    SELECT run_id, {Rank.STEP}, 0, 0, 'STEP_REDRIVEN', position, null::uuid,
        name || ' was sent back' || coalesce(': ' || $8, ''),
        json_build_object('reason', $8::text, 'redrivenBy', $9::text, 'execution', execution)
    FROM target
    UNION ALL
    SELECT run_id, {Rank.STEP}, 1, position, 'STEP_REDRIVEN', position, null, name || ' came back with it', '{{}}'
    FROM back
    UNION ALL
    SELECT run_id, {Rank.APPROVAL}, position, 0, 'APPROVAL_REQUIRED', position, id,
        'A person must approve exactly these arguments',
        json_build_object('kind', 'EXECUTE', 'riskLevel', 'L' || risk, 'argsDigest', digest, 'expiresAt', expires_at)
    FROM opened),
{record()}
SELECT 0 AS kind, id AS run_id, last_seq AS position, ready AS attempt, state AS tool, judged::int AS calls
FROM recorded
"""


async def redrive(
    tx: Connection,
    run: UUID,
    position: int,
    *,
    back: Sequence[tuple[int, int]],
    args: str | None,
    digest: str | None,
    reason: str | None,
    by: str,
    gate: GatePolicy,
) -> Advance:
    """Send a dead letter of a locked run back with a fresh budget; a gated one asks a person anew.

    `back` are the skipped steps that come with it, each with the number of its dependencies that have not succeeded.
    `args` (JSON text) and `digest` replace its resolved arguments where given. No marks come back when it is no dead
    letter any more.
    """
    return told(
        await tx.fetch(
            _REDRIVE,
            run,
            position,
            [place for place, _ in back],
            [remaining for _, remaining in back],
            args,
            digest,
            gate.approval_timeout_seconds,
            reason,
            by,
        )
    )
