"""The steps that dead workers left behind, and the calls that nobody will end any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.database import Connection


@dataclass(frozen=True, slots=True)
class LostStep:
    """A RUNNING step whose worker is dead. `entered`: its call was about to be made, for calls that note it."""

    run: UUID
    position: int
    attempt: int
    owner: UUID
    calls: int
    max_attempts: int | None
    losses: int
    idempotent: bool
    risk: int
    entered: bool


async def runs_of(tx: Connection, workers: Sequence[UUID], *, at_most: int) -> list[UUID]:
    """Runs with steps that these workers own; bounded, so that a great loss is mended piece by piece."""
    rows = await tx.fetch(
        "SELECT DISTINCT run_id FROM (SELECT run_id FROM steps WHERE owner = ANY($1::uuid[]) LIMIT $2) AS owned",
        list(workers),
        at_most,
    )
    return [row["run_id"] for row in rows]


async def lost_steps(tx: Connection, workers: Sequence[UUID], runs: Sequence[UUID]) -> list[LostStep]:
    """The steps of these locked runs that these workers own.

    Their calls are locked too: whether one was entered is true until the rescue is committed, and a process that is
    declared dead and is not can enter none of them any more.
    """
    rows = await tx.fetch(
        """SELECT s.run_id, s.position, s.attempt, s.owner, s.calls, s.max_attempts, s.losses, s.idempotent, s.risk,
            c.entered_at IS NOT NULL
        FROM steps s
        JOIN tool_calls c ON c.run_id = s.run_id AND c.position = s.position AND c.attempt = s.attempt
        WHERE s.owner = ANY($1::uuid[]) AND s.run_id = ANY($2::uuid[])
        ORDER BY c.run_id, c.position FOR NO KEY UPDATE OF c""",
        list(workers),
        list(runs),
    )
    return [LostStep(*row) for row in rows]


async def close_orphaned_calls(tx: Connection) -> int:
    """Close the calls of cancelled steps whose process died before it could say how they ended; how many.

    One that may be repeated is lost, another in doubt; either stands on the call alone, the step stays cancelled.
    A call whose end is recorded is left alone, whether its process lives or not.
    """
    status = await tx.execute(
        """WITH orphan AS (
            -- One that is locked is just being written by its process: the next sweep looks at it again.
            SELECT s.run_id, s.position, s.attempt, s.idempotent
            FROM steps s
            JOIN workers w ON w.id = s.left_by
            JOIN tool_calls c ON c.run_id = s.run_id AND c.position = s.position AND c.attempt = s.attempt
            WHERE s.left_by IS NOT NULL AND (w.ended_at IS NOT NULL OR c.status <> 'STARTED')
            FOR NO KEY UPDATE OF s, c SKIP LOCKED),
        freed AS (
            UPDATE steps s SET left_by = null FROM orphan o WHERE s.run_id = o.run_id AND s.position = o.position)
        UPDATE tool_calls c SET
            status = CASE WHEN o.idempotent OR c.entered_at IS NULL THEN 'FAILED' ELSE 'IN_DOUBT' END,
            error_code = 'WORKER_LOST', error_message = 'the process that made this call died',
            finished_at = clock_timestamp()
        FROM orphan o
        WHERE c.status = 'STARTED' AND c.run_id = o.run_id AND c.position = o.position AND c.attempt = o.attempt"""
    )
    return int(status.split()[-1])
