"""A dead letter is sent back by a person, with what was skipped because of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.events import EVENT, Rank, event
from persistence.moves.inputs import GatePolicy
from persistence.moves.pieces import CLOCK, asked, moved, opened
from persistence.moves.record import record
from persistence.moves.row import MARKS, Advance, read_rows
from persistence.moves.sql import among, union
from persistence.moves.table import BLOCKED, FAILED, REDRIVE, REDRIVE_GATED, RESTORE
from persistence.states import RunState


def is_dead_letter(step: str) -> str:
    """Whether a step can be sent back; `step` is its alias."""
    run = f"SELECT FROM runs r WHERE r.id = {step}.run_id AND r.state <> '{RunState.CANCELLED}'"
    return f"{step}.dead_lettered AND EXISTS ({run})"


_REDRIVE: Final = f"""
WITH {CLOCK},
target AS (
    UPDATE steps s SET
        state = CASE WHEN s.gated THEN '{REDRIVE_GATED.enters}' ELSE '{REDRIVE.enters}' END,
        due_at = CASE WHEN s.gated THEN null ELSE clock.at END,
        ready_at = CASE WHEN s.gated THEN s.ready_at ELSE coalesce(s.ready_at, clock.at) END,
        resolved_at = coalesce(s.resolved_at, clock.at),
        resolved_args = coalesce($5::json, s.resolved_args), digest = coalesce($6, s.digest),
        execution = s.execution + 1, calls = 0, losses = 0, dead_lettered = false, finished_at = null,
        error_code = null, error_message = null
    FROM clock WHERE s.run_id = $1 AND s.position = $2 AND {is_dead_letter("s")}
    RETURNING s.run_id, s.position, s.name, s.state, s.execution, s.attempt, s.risk, s.gate_reason,
        coalesce(s.resolved_args, s.args) AS args, s.digest),
back AS (
    UPDATE steps s SET state = '{RESTORE.enters}', skip_reason = null, finished_at = null, remaining = b.remaining
    FROM unnest($3::int[], $4::int[]) AS b (position, remaining)
    WHERE s.run_id = $1 AND s.position = b.position AND {among("s.state", RESTORE.leaves)}
        AND EXISTS (SELECT FROM target)
    RETURNING s.run_id, s.position, s.name),
{opened(f"target, clock WHERE state = '{BLOCKED}'", "$7", at="clock.at")},
moved (run_id, leaves, enters) AS (
    SELECT run_id, '{FAILED}', state FROM target
    UNION ALL
    {moved(RESTORE, "back")}),
{EVENT} AS (
    {
    union(
        event(REDRIVE.event, Rank.STEP, "target", why="coalesce(': ' || $8, '')", reason="$8::text", by="$9::text"),
        event(RESTORE.event, Rank.STEP, "back", major="1", minor="position"),
        asked(),
    )
}),{record()}
{MARKS}
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
    """Send a dead letter of a locked run back with a fresh budget; a gated one needs approval again.

    `back` are the skipped steps that come with it, each with the number of its dependencies that have not succeeded.
    `args` (JSON text) and `digest` replace its resolved arguments where given. No marks come back, and nothing is
    written, when it is no dead letter, or its run is cancelled.
    """
    return read_rows(
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
