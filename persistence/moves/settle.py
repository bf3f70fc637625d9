"""Settling: steps leave RUNNING or BLOCKED, and all that follows from it happens, in one statement.

For any number of steps across any number of runs it settles their states and tool calls, counts down those that depend
on them, skips what can no longer be reached, opens approvals, claims what became ready for the caller (up to its free
slots), and records every event and the state of every run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from persistence.database import Connection
from persistence.moves.events import EVENT, Rank, event_of_move, skipped_because
from persistence.moves.inputs import NO_EXPIRY, NOBODY, Claimer, GatePolicy, Note, Outcome, Resolution
from persistence.moves.pieces import (
    CLOCK,
    alive,
    asked,
    calling,
    closing,
    doubting,
    entering,
    free,
    holds_as,
    opened,
    started,
    unblocking,
)
from persistence.moves.record import record
from persistence.moves.row import ACCEPTED, MARKS, Advance, busy_from, claimed_from, read_rows, returned
from persistence.moves.sql import among, assign, insert, union
from persistence.moves.table import (
    BLOCKED,
    CONFIRM,
    DOUBT,
    DROP,
    FAIL,
    FAILED,
    GATE,
    HAND_BACK,
    PENDING,
    READY,
    REFUSE,
    RELEASE,
    RESCUE,
    RETRY,
    RUNNING,
    SKIP,
    SKIPPED,
    START,
    SUCCEED,
    SUCCEEDED,
    UNBLOCK,
    entered,
)
from persistence.states import FINISHED_STEP_STATES, ApprovalKind, SkipReason, ToolCallStatus


class SettleFree(Protocol):
    """A transaction of one statement over the runs that nobody holds; the others come back as `busy`."""

    def __call__(
        self, connection: Connection, outcomes: Sequence[Outcome], /, *, claimer: Claimer, gate: GatePolicy
    ) -> Awaitable[Advance]:
        """Apply these outcomes."""
        ...


SETTLING: Final = (SUCCEED, CONFIRM, FAIL, DROP, DOUBT, RETRY, RESCUE, HAND_BACK, RELEASE)
"""The moves that outcomes may be."""
_FOLLOWING: Final = (GATE, REFUSE, SKIP, UNBLOCK)
"""The moves of the steps that depend on them; an unblocked step may start at once, which is a move of its own."""


_ENDS: Final = tuple(state for state in entered(SETTLING) if state in FINISHED_STEP_STATES)
_ENDS_DEPENDENT: Final = tuple(state for state in entered(_FOLLOWING) if state in FINISHED_STEP_STATES)

OUTCOME_FIELDS: Final = """run_id uuid, position int, attempt int, leaves text, enters text, owner uuid, reason text,
    call text, result text, code text, message text, delay float8, uncounted bool, nth int"""
"""An outcome's columns with their types."""

_OUTCOMES: Final = """outcome AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::float8[], $28::bool[]) WITH ORDINALITY
        AS o (run_id, position, attempt, leaves, enters, owner, reason, call, result, code, message, delay, uncounted,
            nth)
    {of_free}),
resolution AS MATERIALIZED (
    SELECT * FROM unnest($13::uuid[], $14::int[], $15::text[], $16::text[], $17::text[], $18::text[])
        AS r (run_id, position, args, digest, code, message))"""


def settled(*, tolerates: bool = False, due: str = "clock.at + o.delay * interval '1 second'") -> str:
    """The CTE that gives each outcome's step its state. `due` is when one that is READY may begin.

    With `tolerates`, a step whose failure is tolerated is no dead letter.
    """
    return f"""settled AS (
    UPDATE steps s SET
        state = o.enters,
        skip_reason = CASE WHEN o.enters = '{SKIPPED}' THEN o.reason END,
        result = CASE WHEN o.enters = '{SUCCEEDED}' THEN o.result::json END,
        error_code = o.code, error_message = o.message,
        owner = null,
        due_at = CASE WHEN o.enters = '{READY}' THEN {due} END,
        ready_at = CASE WHEN o.enters = '{READY}' THEN coalesce(s.ready_at, clock.at) ELSE s.ready_at END,
        calls = s.calls - (o.uncounted AND s.calls > 0)::int,
        losses = s.losses + (o.reason IS NOT DISTINCT FROM '{RESCUE.reason}')::int,
        dead_lettered = o.enters = '{FAILED}'{" AND NOT s.tolerated" if tolerates else ""},
        finished_at = CASE WHEN {among("o.enters", _ENDS)} THEN clock.at END
    FROM outcome o, clock
    WHERE {holds_as("o")}
    RETURNING s.run_id, s.position, s.name, s.tool, s.risk, s.attempt, s.execution, s.resolved_args, s.args, s.digest,
        s.dependents, s.due_at, o.nth, o.leaves, o.enters, o.reason, o.code, o.message, o.delay{
        ", s.parent, s.tolerated" if tolerates else ""
    })"""


_CONFIRMED: Final = f"o.leaves = '{BLOCKED}' AND o.call = '{ToolCallStatus.SUCCEEDED}'"
_CALL_END: Final = closing(
    status=f"CASE WHEN c.status = '{ToolCallStatus.STARTED}' OR o.leaves = '{BLOCKED}' THEN o.call ELSE c.status END",
    result="o.result",
    at="clock.at",
    error_code=f"CASE WHEN {_CONFIRMED} THEN null ELSE coalesce(c.error_code, o.code) END",
    error_message=f"""CASE WHEN {_CONFIRMED} THEN null
            WHEN c.error_message IS NULL THEN o.message
            WHEN o.message IS NULL OR strpos(c.error_message, o.message) > 0 THEN c.error_message
            ELSE left(c.error_message || ' Later: ' || o.message, 8000) END""",
)

CLOSED: Final = f"""
-- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
-- What a person said of a doubt counts only as the decision that it is.
closed AS (
    UPDATE tool_calls c SET
        {assign(_CALL_END)}
    FROM outcome o, clock
    WHERE o.call IS NOT NULL AND c.run_id = o.run_id AND c.position = o.position AND c.attempt = o.attempt
        AND (o.leaves <> '{BLOCKED}' OR EXISTS (
            SELECT FROM settled s WHERE s.run_id = o.run_id AND s.position = o.position)))"""

_DEPENDENTS: Final = f"""hit AS (
    SELECT s.run_id, d AS position, count(*)::int AS n
    FROM settled s, unnest(s.dependents) d WHERE s.enters = '{SUCCEEDED}' GROUP BY 1, 2),
near AS MATERIALIZED (
    SELECT s.run_id, s.position, h.n, s.remaining = h.n AS free, s.gated, r.code IS NOT NULL AS unfit, s.dependents,
        r.args, r.digest, r.code, r.message
    FROM hit h
    JOIN steps s ON s.run_id = h.run_id AND s.position = h.position AND s.state = '{PENDING}'
    LEFT JOIN resolution r ON r.run_id = h.run_id AND r.position = h.position),
-- What can no longer be reached, and why.
lost (run_id, position, reason) AS (
    SELECT * FROM (
        SELECT s.run_id, d, CASE s.enters WHEN '{FAILED}' THEN '{SkipReason.DEPENDENCY_FAILED}' ELSE \
'{SkipReason.DEPENDENCY_SKIPPED}' END
        FROM settled s, unnest(s.dependents) d WHERE s.enters IN ('{FAILED}', '{SKIPPED}')
        UNION ALL
        SELECT n.run_id, d, '{SkipReason.DEPENDENCY_FAILED}'
        FROM near n, unnest(n.dependents) d WHERE n.free AND n.unfit) AS start
    UNION
    SELECT w.run_id, d, w.reason
    FROM lost w JOIN steps s ON s.run_id = w.run_id AND s.position = w.position AND s.state = '{PENDING}',
        unnest(s.dependents) d),
skipped AS (SELECT run_id, position, min(reason) AS reason FROM lost GROUP BY 1, 2)"""

_TURN: Final = f"""turn AS (
    SELECT n.run_id, n.position, n.n, n.args, n.digest, n.code, n.message, null AS reason,
        CASE WHEN NOT n.free THEN null WHEN n.unfit THEN '{REFUSE.enters}' WHEN n.gated THEN '{GATE.enters}'
            WHEN row_number() OVER (PARTITION BY n.free AND NOT n.unfit AND NOT n.gated ORDER BY n.run_id, n.position)
                <= (CASE WHEN {alive("$19::uuid")} THEN $20::int ELSE 0 END) THEN '{START.enters}'
            ELSE '{UNBLOCK.enters}' END AS enters
    FROM near n WHERE NOT EXISTS (SELECT FROM skipped d WHERE d.run_id = n.run_id AND d.position = n.position)
    UNION ALL
    SELECT run_id, position, 0, null, null, null, null, reason, '{SKIP.enters}' FROM skipped)"""

_BESIDE: Final = ("name", "risk", "gate_reason", "execution", "skip_reason", "error_code", "error_message")

_TURNED: Final = f"""turned AS (
    UPDATE steps s SET
        remaining = s.remaining - t.n,
        state = coalesce(t.enters, s.state),
        skip_reason = t.reason,
        resolved_args = coalesce(t.args::json, s.resolved_args),
        digest = coalesce(t.digest, s.digest),
        error_code = t.code, error_message = t.message,
        {assign(unblocking(entering("t.enters"), at="clock.at", worker="$19::uuid"))},
        dead_lettered = t.enters IS NOT DISTINCT FROM '{FAILED}',
        finished_at = CASE WHEN {among("t.enters", _ENDS_DEPENDENT)} THEN clock.at END
    FROM turn t, clock
    WHERE s.run_id = t.run_id AND s.position = t.position AND {among("s.state", SKIP.leaves)}
    RETURNING {returned(beside=_BESIDE)}, t.enters)"""

_CALLED: Final = f"""called AS (
    {insert("tool_calls", calling("clock.at"), f"turned, clock WHERE enters = '{RUNNING}'")})"""

_OPENED: Final = opened(
    f"turned, clock WHERE enters = '{BLOCKED}'",
    "$21",
    at="clock.at",
    also=f"""
    UNION ALL
    SELECT {", ".join(doubting(at="clock.at").values())} FROM settled, clock WHERE enters = '{BLOCKED}'""",
)

_MOVED: Final = f"""moved (run_id, leaves, enters) AS (
    SELECT run_id, leaves, enters FROM settled
    UNION ALL
    SELECT run_id, '{PENDING}', enters FROM turned WHERE enters IS NOT NULL)"""

_NOTES: Final = f"""SELECT run_id, {Rank.DECISION}, nth, 0, type, position, approval_id, message, metadata::json
    FROM unnest($22::uuid[], $23::text[], $24::int[], $25::uuid[], $26::text[], $27::text[]) WITH ORDINALITY
        AS note (run_id, type, position, approval_id, message, metadata, nth)
    WHERE EXISTS (SELECT FROM settled s WHERE s.run_id = note.run_id AND s.position = note.position)"""

OF_SETTLED: Final = {"error": "coalesce(message, code)", "why": skipped_because("reason")}
_OF_TURNED: Final = {
    "error": "error_message",
    "code": "error_code",
    "message": "error_message",
    "reason": "skip_reason",
    "why": skipped_because("skip_reason"),
}

_EVENTS: Final = union(
    _NOTES,
    event_of_move(SETTLING, "settled", major="nth", values=OF_SETTLED),
    event_of_move(_FOLLOWING, "turned WHERE enters IS NOT NULL", major="1000000 + position", values=_OF_TURNED),
    asked((ApprovalKind.EXECUTE, ApprovalKind.IN_DOUBT)),
    started(f"turned WHERE enters = '{RUNNING}'"),
)


def _statement(*, free_only: bool) -> str:
    """The statement over runs that the caller has locked; or over those that are free, which it locks by itself."""
    runs = "$1::uuid[]"
    of_free = "WHERE run_id IN (SELECT id FROM free)" if free_only else ""
    ctes = ",\n".join(
        (
            f"{free(runs) if free_only else ''}{CLOCK}",
            _OUTCOMES.format(of_free=of_free),
            settled(),
            CLOSED,
            _DEPENDENTS,
            _TURN,
            _TURNED,
            _CALLED,
            _OPENED,
            _MOVED,
            f"{EVENT} AS (\n    {_EVENTS})",
        )
    )
    claimed = claimed_from(f"turned WHERE enters = '{RUNNING}'")
    return f"""
WITH RECURSIVE {ctes},{record()}
{MARKS}
UNION ALL
{ACCEPTED}
UNION ALL
{claimed}
{busy_from(runs) if free_only else ""}"""


_ADVANCE: Final = _statement(free_only=False)
_ADVANCE_FREE: Final = _statement(free_only=True)


async def advance(
    tx: Connection,
    outcomes: Sequence[Outcome],
    *,
    resolutions: Sequence[Resolution] = (),
    notes: Sequence[Note] = (),
    claimer: Claimer = NOBODY,
    gate: GatePolicy = NO_EXPIRY,
) -> Advance:
    """Apply the outcomes that still count, and all that follows from them.

    The caller holds the runs' locks and gives a resolution for each step that `freed_references` named. An outcome
    whose step has moved on, or runs under another attempt or owner, changes no state: its outcome is kept on its tool
    call, and its index is missing in `accepted`. `notes` of such outcomes are dropped too.
    """
    return read_rows(await tx.fetch(_ADVANCE, *_values(outcomes, resolutions, notes, claimer, gate)))


async def advance_free(
    connection: Connection,
    outcomes: Sequence[Outcome],
    *,
    claimer: Claimer = NOBODY,
    gate: GatePolicy = NO_EXPIRY,
) -> Advance:
    """The same as a transaction by itself, one round trip, over the runs that nobody holds.

    It locks those, and leaves out the others, which come back as `busy`. No resolutions can be given, so no outcome
    may free a step with references.
    """
    return read_rows(await connection.fetch(_ADVANCE_FREE, *_values(outcomes, (), (), claimer, gate)))


def _values(
    outcomes: Sequence[Outcome],
    resolutions: Sequence[Resolution],
    notes: Sequence[Note],
    claimer: Claimer,
    gate: GatePolicy,
) -> list[object]:
    return [
        [o.run for o in outcomes],
        [o.position for o in outcomes],
        [o.attempt for o in outcomes],
        [o.leaves for o in outcomes],
        [o.enters for o in outcomes],
        [o.owner for o in outcomes],
        [o.reason for o in outcomes],
        [o.call for o in outcomes],
        [o.result for o in outcomes],
        [o.error_code for o in outcomes],
        [o.error_message for o in outcomes],
        [float(o.delay_seconds) for o in outcomes],
        [r.run for r in resolutions],
        [r.position for r in resolutions],
        [r.args for r in resolutions],
        [r.digest for r in resolutions],
        [r.error_code for r in resolutions],
        [r.error_message for r in resolutions],
        claimer.worker,
        max(0, claimer.slots),
        gate.approval_timeout_seconds,
        [n.run for n in notes],
        [n.type for n in notes],
        [n.position for n in notes],
        [n.approval for n in notes],
        [n.message for n in notes],
        [n.metadata for n in notes],
        [o.uncounted for o in outcomes],
    ]
