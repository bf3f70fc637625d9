"""Ready steps are taken: started, their tool calls recorded, their approvals spent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.events import EVENT
from persistence.moves.inputs import Claimer
from persistence.moves.pieces import CLOCK, again, alive, calling, free, moved, started, starting
from persistence.moves.record import record
from persistence.moves.row import MARKS, Advance, ClaimedStep, busy_from, claimed_from, read_rows, returned
from persistence.moves.sql import among, assign, insert
from persistence.moves.table import START
from persistence.states import ApprovalKind, ApprovalStatus

_DUE_RUNS: Final = "ARRAY(SELECT DISTINCT run_id FROM due)"

_CLAIM: Final = f"""
WITH RECURSIVE people (id) AS (
    (SELECT submitted_by FROM steps WHERE due_at IS NOT NULL ORDER BY submitted_by LIMIT 1)
    UNION ALL
    SELECT (
        SELECT submitted_by FROM steps WHERE due_at IS NOT NULL AND submitted_by > p.id ORDER BY submitted_by LIMIT 1)
    FROM people p WHERE p.id IS NOT NULL),
-- In turn between the people whose steps wait: one with thousands of them holds up nobody else.
due AS MATERIALIZED (
    SELECT d.run_id, d.position, d.turn, d.due_at
    FROM people p, LATERAL (
        SELECT s.run_id, s.position, s.due_at, row_number() OVER (ORDER BY s.due_at) AS turn
        FROM steps s WHERE s.submitted_by = p.id AND s.due_at <= statement_timestamp()
        ORDER BY s.due_at LIMIT least($2::int, $4::int)) AS d
    WHERE p.id <> ALL($3::uuid[])
    ORDER BY d.turn, d.due_at LIMIT $2::int),
{free(_DUE_RUNS)}{CLOCK},
picked AS MATERIALIZED (
    SELECT s.run_id, s.position, a.id AS approval_id, a.granted_digest
    FROM due d
    JOIN steps s ON s.run_id = d.run_id AND s.position = d.position
    LEFT JOIN approvals a ON s.gated AND a.run_id = s.run_id AND a.position = s.position
        AND a.kind = '{ApprovalKind.EXECUTE}' AND a.status = '{ApprovalStatus.APPROVED}' AND a.execution = s.execution
    WHERE d.run_id IN (SELECT id FROM free) AND (a.id IS NOT NULL OR NOT s.gated)
        AND {alive("$1::uuid")}),
claimed AS (
    UPDATE steps s SET state = '{START.enters}', due_at = null,
        {assign(starting(at="clock.at", worker="$1"))}
    FROM picked p, clock
    WHERE s.run_id = p.run_id AND s.position = p.position AND {among("s.state", START.leaves)}
    -- What was approved, whatever the step says by now: the caller compares, and nothing else waits for it.
    RETURNING {returned(beside=("name",), digest="coalesce(p.granted_digest, s.digest)")}, p.approval_id),
spent AS (
    UPDATE approvals a SET spent_at = coalesce(a.spent_at, clock.at)
    FROM claimed c, clock WHERE a.id = c.approval_id),
called AS (
    {insert("tool_calls", calling("clock.at", approval_id="approval_id"), "claimed, clock")}),
moved (run_id, leaves, enters) AS ({moved(START, "claimed")}),
{EVENT} AS (
    {started("claimed", approval="approval_id", again=again("attempt"))}),{record()}
{MARKS}
UNION ALL
{claimed_from("claimed")}
{busy_from(_DUE_RUNS)}"""


async def claim(
    connection: Connection, claimer: Claimer, *, but_of: Collection[UUID] = (), each: int | None = None
) -> Advance:
    """Take up to the claimer's slots of due steps and start their next attempt: a transaction by itself.

    In turn between the people who submitted them, and longest due first. Runs that another transaction holds are
    passed over and come back as `busy`, so fewer (or no) steps may come back: looking again soon is worth it then. A
    gated step comes only with its approval, which is spent by this. `but_of` are the people who get none, `each` is the
    most that one person gets.
    """
    return read_rows(
        await connection.fetch(
            _CLAIM, claimer.worker, claimer.slots, list(but_of), claimer.slots if each is None else each
        )
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A call about to be made by the worker. `again`: it may be noted already, by this very attempt."""

    step: ClaimedStep
    worker: UUID
    again: bool = False


_ENTER: Final = """
-- In the order in which a rescue locks them too: the second of them sees what the first has written.
WITH held AS (
    SELECT c.run_id, c.position, c.attempt
    FROM unnest($1::uuid[], $2::int[], $3::int[], $4::uuid[], $5::bool[])
        AS g (run_id, position, attempt, owner, again)
    JOIN steps s ON s.run_id = g.run_id AND s.position = g.position AND s.attempt = g.attempt
        AND s.state = 'RUNNING' AND s.owner = g.owner
    JOIN tool_calls c ON c.run_id = g.run_id AND c.position = g.position AND c.attempt = g.attempt
        AND c.status = 'STARTED' AND (c.entered_at IS NULL OR g.again)
    ORDER BY c.run_id, c.position FOR NO KEY UPDATE OF c)
UPDATE tool_calls c SET entered_at = clock_timestamp()
FROM held h WHERE c.run_id = h.run_id AND c.position = h.position AND c.attempt = h.attempt
RETURNING c.run_id, c.position
"""


async def enter(tx: Connection, entries: Sequence[Entry]) -> set[tuple[UUID, int]]:
    """Note that these calls are about to be made; the (run, position) of those that may be.

    For calls that must not be repeated: a call that was claimed and never entered did not happen.
    """
    rows = await tx.fetch(
        _ENTER,
        [e.step.run for e in entries],
        [e.step.position for e in entries],
        [e.step.attempt for e in entries],
        [e.worker for e in entries],
        [e.again for e in entries],
    )
    return {(row["run_id"], row["position"]) for row in rows}
