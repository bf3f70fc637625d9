"""Dead letters of an elaborate run are sent back: steps and children, their parents, and what was skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from persistence.database import Connection
from persistence.moves.events import EVENT, Rank, event
from persistence.moves.inputs import GatePolicy
from persistence.moves.pieces import CLOCK, asked, moved, opened
from persistence.moves.record import record_quietly
from persistence.moves.redrive import is_dead_letter
from persistence.moves.sql import among, union
from persistence.moves.table import BLOCKED, FAILED, REDRIVE, REDRIVE_GATED, REOPEN, RESTORE
from persistence.states import StepState


class DirectedStep(NamedTuple):
    """One step of an elaborate run as a redrive has to know it, with the positions of those around it.

    `place` is a child's in its list. `was_called`: its arguments were known, and a call was made once.
    """

    position: int
    key: str
    state: StepState
    skip_reason: str | None
    depends_on: list[int]
    dependents: list[int]
    after: list[int]
    remaining: int
    parent: int | None
    place: int | None
    dead_lettered: bool
    expands: bool
    lists: bool
    was_called: bool


_STEPS: Final = """
SELECT s.position, s.key, s.state, s.skip_reason, s.depends_on, s.dependents, coalesce(d.after, '{}'), s.remaining,
    s.parent, s.index, s.dead_lettered, s.expands, d.for_each IS NOT NULL,
    s.attempt > 0
FROM steps s LEFT JOIN step_directives d ON d.run_id = s.run_id AND d.position = s.position
WHERE s.run_id = $1 ORDER BY s.position
"""


async def directed_steps(tx: Connection, run: UUID) -> dict[int, DirectedStep]:
    """All steps of a locked run by position, children included."""
    rows = await tx.fetch(_STEPS, run)
    return {row[0]: DirectedStep(row[0], row[1], StepState(row[2]), *row[3:]) for row in rows}


@dataclass(frozen=True, slots=True)
class Target:
    """A dead letter that goes back; with `args` (JSON text) and their digest where it has others from now on."""

    position: int
    args: str | None = None
    digest: str | None = None


_REDRIVE: Final = f"""
WITH {CLOCK},
wanted AS MATERIALIZED (
    SELECT * FROM unnest($2::int[], $3::text[], $4::text[]) AS w (position, args, digest)),
target AS (
    UPDATE steps s SET
        state = CASE WHEN s.gated THEN '{REDRIVE_GATED.enters}' ELSE '{REDRIVE.enters}' END,
        due_at = CASE WHEN s.gated THEN null ELSE clock.at END,
        ready_at = CASE WHEN s.gated THEN s.ready_at ELSE coalesce(s.ready_at, clock.at) END,
        resolved_at = coalesce(s.resolved_at, clock.at),
        resolved_args = coalesce(w.args::json, s.resolved_args), digest = coalesce(w.digest, s.digest),
        execution = s.execution + 1, calls = 0, losses = 0, dead_lettered = false, finished_at = null,
        error_code = null, error_message = null
    FROM wanted w, clock WHERE s.run_id = $1 AND s.position = w.position AND {is_dead_letter("s")}
    RETURNING s.run_id, s.position, s.name, s.state, s.execution, s.attempt, s.risk, s.gate_reason, s.parent,
        coalesce(s.resolved_args, s.args) AS args, s.digest),
reopened AS (
    UPDATE steps s SET state = '{REOPEN.enters}', dead_lettered = false, finished_at = null, error_code = null,
        error_message = null, execution = s.execution + 1
    WHERE s.run_id = $1 AND s.position = ANY($5::int[]) AND {among("s.state", REOPEN.leaves)}
        AND EXISTS (SELECT FROM target)
    RETURNING s.run_id, s.position, s.name),
open_again AS (
    UPDATE step_directives d SET open_children = d.open_children + t.n
    FROM (SELECT run_id, parent, count(*)::int AS n FROM target WHERE parent IS NOT NULL GROUP BY 1, 2) AS t
    WHERE d.run_id = t.run_id AND d.position = t.parent),
back AS (
    UPDATE steps s SET
        state = '{RESTORE.enters}', skip_reason = null, finished_at = null, remaining = b.remaining
    FROM unnest($6::int[], $7::int[]) AS b (position, remaining)
    WHERE s.run_id = $1 AND s.position = b.position AND {among("s.state", RESTORE.leaves)}
        AND EXISTS (SELECT FROM target)
    RETURNING s.run_id, s.position, s.name),
recounted AS (
    UPDATE steps s SET remaining = b.remaining
    FROM unnest($8::int[], $9::int[]) AS b (position, remaining)
    WHERE s.run_id = $1 AND s.position = b.position AND {among("s.state", (RESTORE.enters,))}
        AND EXISTS (SELECT FROM target)),
emptied AS (
    UPDATE run_answers SET answer = null, error_code = null, error_message = null
    WHERE run_id = $1 AND EXISTS (SELECT FROM target)),
{opened(f"target, clock WHERE state = '{BLOCKED}'", "$10", at="clock.at")},
moved (run_id, leaves, enters) AS (
    SELECT run_id, '{FAILED}', state FROM target
    UNION ALL
    {moved(REOPEN, "reopened")}
    UNION ALL
    {moved(RESTORE, "back")}),
{EVENT} AS (
    {
    union(
        event(
            REDRIVE.event,
            Rank.STEP,
            "target",
            major="position",
            why="coalesce(': ' || $11, '')",
            reason="$11::text",
            by="$12::text",
        ),
        event(REOPEN.event, Rank.STEP, "reopened", major="1000000 + position"),
        event(RESTORE.event, Rank.STEP, "back", major="2000000 + position"),
        asked(),
    )
}),{record_quietly(also="expanded = r.expanded + (SELECT count(*) FROM reopened)::int")}
SELECT count(*) FROM target
"""


async def redrive(
    tx: Connection,
    run: UUID,
    targets: Sequence[Target],
    *,
    reopened: Sequence[int],
    back: Sequence[tuple[int, int]],
    recounted: Sequence[tuple[int, int]],
    reason: str | None,
    by: str,
    gate: GatePolicy,
) -> int:
    """Send these dead letters of a locked run back; how many there were. The caller concludes afterwards.

    `reopened` are the parents that run again, `back` the skipped steps that come with them, and `recounted` the PENDING
    ones that wait for more again; both with the number of steps that they wait for. The run's answer is emptied.
    """
    return await tx.fetchval(
        _REDRIVE,
        run,
        [target.position for target in targets],
        [target.args for target in targets],
        [target.digest for target in targets],
        list(reopened),
        [place for place, _ in back],
        [remaining for _, remaining in back],
        [place for place, _ in recounted],
        [remaining for _, remaining in recounted],
        gate.approval_timeout_seconds,
        reason,
        by,
    )


class Unresolved(NamedTuple):
    """A step's planned arguments and results by key, as JSON texts; of a child, its entry and its place.

    `dynamic`: the arguments hold references. The condition is the step's own, which a child has none of.
    """

    tool: str
    args: str
    known: str
    item: str | None
    place: int | None
    condition: str | None
    dynamic: bool


_UNRESOLVED: Final = f"""
SELECT s.position, s.tool, s.args::text, coalesce(k.known, '{{}}')::text, (p.items -> s.index)::text, s.index,
    d.condition, s.dynamic
FROM steps s
LEFT JOIN step_directives d ON d.run_id = s.run_id AND d.position = s.position
LEFT JOIN step_directives p ON p.run_id = s.run_id AND p.position = s.parent,
    LATERAL (
        SELECT json_object_agg(n.key, n.result) AS known
        FROM steps o, steps n
        WHERE o.run_id = s.run_id AND o.position = coalesce(s.parent, s.position)
            AND n.run_id = s.run_id AND n.position = ANY(o.needs) AND n.state = '{StepState.SUCCEEDED}') k
WHERE s.run_id = $1 AND s.position = ANY($2::int[])
    AND (s.dynamic AND s.resolved_args IS NULL OR d.condition IS NOT NULL)
"""


async def unresolved(tx: Connection, run: UUID, positions: Sequence[int]) -> dict[int, Unresolved]:
    """What dead letters that were never called failed by: those that have a reference left, or a condition."""
    return {place: Unresolved(*row) for place, *row in await tx.fetch(_UNRESOLVED, run, positions)}
