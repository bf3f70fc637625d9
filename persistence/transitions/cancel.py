"""A run is cancelled: every unfinished step and every open approval of it, in one statement."""

from __future__ import annotations

from uuid import UUID

from persistence.database import Connection
from persistence.states import RunState
from persistence.transitions.advance import Advance, told
from persistence.transitions.record import CLOCK, Rank, record

_CANCEL = f"""
WITH {CLOCK},
open AS MATERIALIZED (
    SELECT run_id, position, state AS leaves FROM steps
    WHERE run_id = $1 AND state IN ('PENDING', 'READY', 'RUNNING', 'BLOCKED')),
cancelled AS (
    UPDATE steps s SET state = 'CANCELLED', left_by = s.owner, owner = null, due_at = null, finished_at = clock.at
    FROM open o, clock WHERE s.run_id = o.run_id AND s.position = o.position
    RETURNING s.run_id, s.position, s.name, o.leaves),
withdrawn AS (
    UPDATE approvals SET status = 'CANCELLED', moved_at = clock_timestamp()
    WHERE run_id = $1 AND status = 'REQUIRED'
    RETURNING id, run_id, position),
moved (run_id, leaves, enters) AS (
    SELECT run_id, leaves, 'CANCELLED' FROM cancelled
    UNION ALL
    SELECT $1::uuid, null, null),
told (run_id, rank, major, minor, type, position, approval_id, message, metadata) AS (
    SELECT run_id, {Rank.DECISION}, position, 0, 'APPROVAL_CANCELLED', position, id,
        'The approval is no longer needed', '{{}}'::json
    FROM withdrawn
    UNION ALL
    SELECT run_id, {Rank.STEP}, position, 0, 'STEP_CANCELLED', position, null, name || ' was cancelled',
        json_build_object('wasRunning', leaves = 'RUNNING')
    FROM cancelled
    UNION ALL
    SELECT $1::uuid, {Rank.RUNNING}, 0, 0, 'WORKFLOW_CANCELLED', null, null,
        'The workflow was cancelled' || coalesce(': ' || $2, ''),
        json_build_object('reason', $2::text, 'cancelledBy', $3::text)),
{record(ends_as=RunState.CANCELLED)}
SELECT 0 AS kind, id AS run_id, last_seq AS position, ready AS attempt, state AS tool, judged::int AS calls
FROM recorded
"""


async def cancel(tx: Connection, run: UUID, *, reason: str | None, by: str) -> Advance:
    """Cancel an unfinished run that the caller has locked. Running calls go on until they are told."""
    return told(await tx.fetch(_CANCEL, run, reason, by))
