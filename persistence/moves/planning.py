"""Runs with an intent are planned: claimed under a worker's lease like other work, then held, failed or released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.events import metadata, words, written
from persistence.moves.pieces import alive
from persistence.moves.table import UNPLANNABLE
from persistence.states import RunOutcome, RunState


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that the caller now plans: nobody else does while its lease lasts."""

    id: UUID
    intent: str
    approve_from: int
    submitted_by: UUID
    attempt: int
    kind: str = "PERSON"
    """Of who submitted it, a word of `UserKind`."""


_CLAIM_PLANNING: Final = f"""
WITH queued AS MATERIALIZED (
    SELECT id FROM runs WHERE state = 'QUEUED' ORDER BY created_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED),
-- Claimed by an earlier statement whose answer never came.
unknown AS MATERIALIZED (
    SELECT id FROM runs WHERE planner = $1 AND state = 'PLANNING' AND id <> ALL($3::uuid[])
    LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE runs SET state = 'PLANNING', planner = $1, planning_attempt = planning_attempt + 1
WHERE id IN (SELECT id FROM queued UNION ALL SELECT id FROM unknown) AND {alive("$1::uuid")}
RETURNING id, intent, approve_from, submitted_by, planning_attempt,
    (SELECT u.kind FROM users u WHERE u.id = submitted_by)
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


_FAIL_PLANNING: Final = f"""
WITH failed AS (
    UPDATE runs SET state = '{RunState.FAILED}', outcome = '{RunOutcome.FAILED}', planner = null, error_code = $4,
        error_message = $5, last_seq = last_seq + 1, moved_at = greatest(clock_timestamp(), moved_at),
        finished_at = greatest(clock_timestamp(), moved_at)
    WHERE id = $1 AND state = '{RunState.PLANNING}' AND planner = $2 AND planning_attempt = $3
    RETURNING id, last_seq, finished_at),
{
    written(
        "failed",
        run_id="id",
        seq="last_seq",
        type=f"'{UNPLANNABLE.type}'",
        position="null",
        approval_id="null",
        message=f"left({words(UNPLANNABLE.message, message='$5')}, 8000)",
        metadata=metadata(UNPLANNABLE, outcome=f"'{RunOutcome.FAILED}'", code="$4::text", message="$5::text"),
        created_at="finished_at",
    )
}
SELECT last_seq FROM failed
"""


async def fail_planning(tx: Connection, run: ClaimedRun, worker: UUID, *, code: str, message: str) -> int | None:
    """End a run that cannot be planned; its last seq, or None when it is no longer the caller's to plan."""
    return await tx.fetchval(_FAIL_PLANNING, run.id, worker, run.attempt, code, message)


async def release_planning(tx: Connection, workers: Sequence[UUID]) -> list[UUID]:
    """Send the runs that these workers were planning back to the queue; locked ones wait for the next time."""
    rows = await tx.fetch(
        f"""UPDATE runs SET state = '{RunState.QUEUED}', planner = null
        WHERE id IN (SELECT id FROM runs WHERE planner = ANY($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING id""",
        list(workers),
    )
    return [row["id"] for row in rows]
