"""The move that is made most: running steps succeed, and what depends on them alone goes on.

What `settle.advance` does for these outcomes: in a statement of half its size, and for a lone step in a function of the
database. For a single step most of the cost of a statement is that of starting it: each of its nodes is set up, whether
a row comes by or not. A function's statements are small, and only those run that are needed; for many steps, on the
other hand, one large statement costs a third of it. A test holds the three against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from persistence.database import Connection
from persistence.moves.events import EVENT, Rank, event, event_of_move
from persistence.moves.functions import SUCCEED_ONE
from persistence.moves.inputs import NO_EXPIRY, Claimer, GatePolicy, Outcome
from persistence.moves.pieces import (
    alive,
    asked,
    calling,
    closing,
    entering,
    free,
    holds,
    opened,
    started,
    succeeding,
    unblocking,
)
from persistence.moves.record import record_success
from persistence.moves.row import ACCEPTED, MARKS, Advance, busy_from, claimed_from, read_rows, returned
from persistence.moves.sql import among, assign, insert, union
from persistence.moves.table import BLOCKED, GATE, PENDING, READY, RUNNING, START, SUCCEED, UNBLOCK
from persistence.states import StepState, ToolCallStatus

_NOW: Final = "statement_timestamp()"
_RUNS: Final = "$1::uuid[]"

_SUCCEED: Final = f"""
WITH {free(_RUNS)}
outcome AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::uuid[], $5::text[]) WITH ORDINALITY
        AS o (run_id, position, attempt, owner, result, nth)
    WHERE run_id IN (SELECT id FROM free)),
settled AS (
    UPDATE steps s SET
        {assign(succeeding(result="o.result", at=_NOW))}
    FROM outcome o
    -- Not by the index on owners, which a plan made over small tables would take: all rows have the same one.
    WHERE {holds(run="o.run_id", position="o.position", attempt="o.attempt", owner="o.owner", state=f"'{RUNNING}'")}
    RETURNING s.run_id, s.position, s.name, s.attempt, s.dependents, o.nth),
-- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
closed AS (
    UPDATE tool_calls c SET
        {assign(closing(result="o.result", at=_NOW))}
    FROM outcome o WHERE c.run_id = o.run_id AND c.position = o.position AND c.attempt = o.attempt),
hit AS (SELECT run_id, d AS position, count(*)::int AS n FROM settled, unnest(dependents) d GROUP BY 1, 2),
near AS (
    SELECT s.run_id, s.position, h.n, s.remaining = h.n AS free, s.gated,
        sum((s.remaining = h.n AND NOT s.gated)::int) OVER (
            ORDER BY s.run_id, s.position ROWS UNBOUNDED PRECEDING) AS slot
    FROM hit h JOIN steps s ON s.run_id = h.run_id AND s.position = h.position AND s.state = '{PENDING}'),
turn AS (
    SELECT run_id, position, n, CASE WHEN NOT free THEN null WHEN gated THEN '{GATE.enters}'
        WHEN slot <= $7::int AND {alive("$6::uuid")} THEN '{START.enters}' ELSE '{UNBLOCK.enters}' END AS enters
    FROM near),
turned AS (
    UPDATE steps s SET
        remaining = s.remaining - t.n,
        state = coalesce(t.enters, s.state),
        {assign(unblocking(entering("t.enters"), at=_NOW, worker="$6::uuid"))}
    FROM turn t WHERE s.run_id = t.run_id AND s.position = t.position AND {among("s.state", UNBLOCK.leaves)}
    RETURNING {returned(beside=("name", "risk", "gate_reason", "execution"))}, t.enters),
called AS (
    {insert("tool_calls", calling(_NOW), f"turned WHERE enters = '{RUNNING}'")}),
{opened(f"turned WHERE enters = '{BLOCKED}'", "$8", at=_NOW)},
moved (run_id, leaves, enters, events) AS (
    SELECT run_id, '{RUNNING}', '{SUCCEED.enters}', 1 FROM settled
    UNION ALL
    SELECT run_id, '{PENDING}', enters, CASE enters WHEN '{READY}' THEN 1 ELSE 2 END
    FROM turned WHERE enters IS NOT NULL),
{EVENT} AS (
    {
    union(
        event(SUCCEED.event, Rank.STEP, "settled", major="nth"),
        event_of_move((GATE, UNBLOCK), "turned WHERE enters IS NOT NULL", major="1000000 + position"),
        asked(),
        started(f"turned WHERE enters = '{RUNNING}'"),
    )
}),{record_success()}
{MARKS}
UNION ALL
{ACCEPTED}
UNION ALL
{claimed_from(f"turned WHERE enters = '{RUNNING}'")}
{busy_from(_RUNS)}"""

_ONE: Final = SUCCEED_ONE.call()


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
        return read_rows(
            await connection.fetch(
                _ONE, o.run, o.position, o.attempt, o.owner, o.result, claimer.worker, slots, expires
            )
        )
    return read_rows(
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
