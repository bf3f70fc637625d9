"""A run is cancelled: every unfinished step and every open approval of it, in one statement."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.events import EVENT, Rank, event
from persistence.moves.pieces import CLOCK
from persistence.moves.record import record
from persistence.moves.row import MARKS, Advance, read_rows
from persistence.moves.sql import among, union
from persistence.moves.table import CANCEL, RUN_CANCELLED, RUNNING, WITHDRAWN
from persistence.states import FINISHED_RUN_STATES, ApprovalStatus, RunState

_FINISHED: Final = ", ".join(f"'{state}'" for state in RunState if state in FINISHED_RUN_STATES)

_CANCEL: Final = f"""
WITH {CLOCK},
target AS MATERIALIZED (
    SELECT id AS run_id FROM runs WHERE id = $1 AND state NOT IN ({_FINISHED})),
open AS MATERIALIZED (
    SELECT s.run_id, s.position, s.state AS leaves FROM steps s JOIN target USING (run_id)
    WHERE s.run_id = $1 AND {among("s.state", CANCEL.leaves)}),
cancelled AS (
    UPDATE steps s SET state = '{CANCEL.enters}', left_by = s.owner, owner = null, due_at = null, finished_at = clock.at
    FROM open o, clock WHERE s.run_id = o.run_id AND s.position = o.position
    RETURNING s.run_id, s.position, s.name, o.leaves),
withdrawn AS (
    UPDATE approvals SET status = '{ApprovalStatus.CANCELLED}', moved_at = clock_timestamp()
    WHERE run_id = $1 AND status = '{ApprovalStatus.REQUIRED}' AND EXISTS (SELECT FROM target)
    RETURNING id, run_id, position),
moved (run_id, leaves, enters) AS (
    SELECT run_id, leaves, '{CANCEL.enters}' FROM cancelled
    UNION ALL
    SELECT run_id, null, null FROM target),
{EVENT} AS (
    {
    union(
        event(WITHDRAWN, Rank.DECISION, "withdrawn", major="position", approval="id"),
        event(CANCEL.event, Rank.STEP, "cancelled", major="position", was_running=f"leaves = '{RUNNING}'"),
        event(
            RUN_CANCELLED,
            Rank.RUNNING,
            "target",
            position="null",
            why="coalesce(': ' || $2, '')",
            reason="$2::text",
            by="$3::text",
        ),
    )
}),{record(ends_as=RunState.CANCELLED)}
{MARKS}
"""


async def cancel(tx: Connection, run: UUID, *, reason: str | None, by: str) -> Advance:
    """Cancel a run that the caller has locked; no marks come back, and nothing is written, when it is over.

    Running calls go on until their processes hear of it.
    """
    return read_rows(await tx.fetch(_CANCEL, run, reason, by))
