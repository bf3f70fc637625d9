"""One round: outcomes and verdicts become states, and the steps that they free come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from persistence.database import Connection
from persistence.moves.begin import STEP_FIELDS, STEP_ROW, NewStep
from persistence.moves.events import EVENT, Rank, event, event_of_move, event_select, metadata, skipped_because, words
from persistence.moves.inputs import NO_EXPIRY, GatePolicy, Note, Outcome
from persistence.moves.pieces import CLOCK, LEVEL, doubting, opened
from persistence.moves.record import record_quietly
from persistence.moves.settle import CLOSED, OF_SETTLED, OUTCOME_FIELDS, SETTLING, settled
from persistence.moves.sql import among, insert, union
from persistence.moves.table import (
    ASKED,
    BLOCKED,
    EMPTY,
    EXPAND,
    FAIL,
    FAILED,
    GATE,
    PENDING,
    READY,
    REFUSE,
    RUNNING,
    SKIP,
    SKIPPED,
    SUCCEED,
    SUCCEEDED,
    UNBLOCK,
)
from persistence.states import FINISHED_STEP_STATES, ApprovalKind, SkipReason, StepState

StepPlace = tuple[UUID, int]
"""A step's run, and its position in it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that a step enters which waits for nothing, or a parent whose children have all ended.

    `leaves` is PENDING, or RUNNING for a parent. `args` (JSON text) and `digest` are the arguments where they had to be
    resolved, `result` that of a step without a call, `error_*` why it failed. A READY step begins at once, or when
    `delay_seconds` and the moment `not_before` have passed. `items` (a list's JSON text) comes with RUNNING, and
    `children` is how many entries it has.
    """

    run: UUID
    position: int
    enters: StepState
    leaves: StepState = PENDING
    reason: SkipReason | None = None
    args: str | None = None
    digest: str | None = None
    result: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    delay_seconds: float | None = None
    not_before: datetime | None = None
    items: str | None = None
    children: int | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A new child: its row, its parent's position, its place in the list, and the state that it begins in.

    PENDING for one that can't be called: the next round refuses it. When it may begin is said as in a verdict.
    """

    step: NewStep
    parent: int
    index: int
    state: StepState
    tolerated: bool
    delay_seconds: float | None = None
    not_before: datetime | None = None


@dataclass(slots=True)
class Turned:
    """What a round did: the outcomes that counted, and what it left to look at.

    `freed` are steps that wait for nothing any more, `closed` parents without an open child.
    """

    accepted: set[int] = field(default_factory=set[int])
    freed: list[StepPlace] = field(default_factory=list[StepPlace])
    closed: list[StepPlace] = field(default_factory=list[StepPlace])


_VERDICTS: Final = (GATE, REFUSE, SKIP, EXPAND, EMPTY, SUCCEED, FAIL, UNBLOCK)
"""The moves that verdicts may be."""

_BORN_AS: Final = (GATE, UNBLOCK)
"""The moves that a child begins with."""

_CALLABLE: Final = (READY, BLOCKED)
"""The states of a step whose arguments are those of its call; a parent's are its children's matter."""

_ENDS: Final = tuple(state for state in StepState if state in FINISHED_STEP_STATES)

_VERDICT: Final = """ruling AS MATERIALIZED (
    SELECT * FROM json_to_recordset($2::json) AS v (run uuid, position int, leaves text, enters text, reason text,
        args text, digest text, result text, code text, message text, delay float8, not_before timestamptz, items text,
        children int))"""

_CHILD: Final = f"""child AS MATERIALIZED (
    SELECT c.*, c.run AS run_id, 0 AS remaining
    FROM json_to_recordset($3::json) AS c ({STEP_FIELDS}, parent int, "index" int, tolerated bool, state text,
        delay float8, not_before timestamptz))"""

_DELAYED: Final = """CASE WHEN s.attempt = 0 AND s.execution = 1 THEN (
        SELECT greatest(clock.at + d.delay_seconds * interval '1 second', d.not_before)
        FROM step_directives d WHERE d.run_id = s.run_id AND d.position = coalesce(s.parent, s.position)) END"""
"""When a step that was just approved may begin, if its plan says to wait: its first attempt alone."""

_DUE: Final = "greatest(clock.at, clock.at + {0}delay * interval '1 second', {0}not_before)"
"""When a step that is ready for the first time may begin."""

_JUDGED: Final = f"""judged AS (
    UPDATE steps s SET
        state = v.enters,
        skip_reason = v.reason,
        result = v.result::json,
        resolved_args = coalesce(v.args::json, s.resolved_args),
        digest = coalesce(v.digest, s.digest),
        error_code = v.code, error_message = v.message,
        resolved_at = CASE WHEN v.leaves = '{PENDING}' AND {among("v.enters", _CALLABLE)} THEN clock.at
            ELSE s.resolved_at END,
        ready_at = CASE WHEN v.enters = '{READY}' THEN clock.at ELSE s.ready_at END,
        due_at = CASE WHEN v.enters = '{READY}' THEN {_DUE.format("v.")} END,
        started_at = CASE WHEN v.enters = '{RUNNING}' THEN clock.at ELSE s.started_at END,
        expands = s.expands OR v.enters = '{RUNNING}',
        dead_lettered = v.enters = '{FAILED}' AND NOT s.tolerated,
        finished_at = CASE WHEN {among("v.enters", _ENDS)} THEN clock.at END
    FROM ruling v, clock
    WHERE s.run_id = v.run AND s.position = v.position AND s.state = v.leaves
    RETURNING s.run_id, s.position, s.name, s.risk, s.gate_reason, s.execution, s.attempt,
        coalesce(s.resolved_args, s.args) AS args, s.digest, s.dependents, s.parent, s.tolerated, v.leaves, v.enters,
        v.reason, v.code, v.message, v.children),
expanded AS (
    UPDATE step_directives d SET items = v.items::json, open_children = v.children
    FROM ruling v WHERE v.items IS NOT NULL AND d.run_id = v.run AND d.position = v.position)"""

_BORN_ROW: Final = {
    **STEP_ROW,
    "parent": "parent",
    "index": '"index"',
    "tolerated": "tolerated",
    "remaining": "remaining",
    "state": "state",
    "created_at": "at",
    "resolved_at": f"CASE WHEN state <> '{PENDING}' THEN at END",
    "ready_at": f"CASE WHEN state = '{READY}' THEN at END",
    "due_at": f"CASE WHEN state = '{READY}' THEN {_DUE.format('child.')} END",
}

_BORN: Final = f"""born AS (
    {
    insert(
        "steps",
        {(f'"{name}"' if name == "index" else name): value for name, value in _BORN_ROW.items()},
        "child, clock",
    )
}
    RETURNING run_id, position, name, risk, gate_reason, execution, attempt, coalesce(resolved_args, args) AS args,
        digest, state AS enters)"""

_FOLLOWING: Final = f"""ended AS (
    SELECT run_id, position, dependents, parent, enters FROM settled WHERE {among("enters", _ENDS)}
    UNION ALL
    SELECT run_id, position, dependents, parent, enters FROM judged WHERE {among("enters", _ENDS)}),
-- What can no longer be reached, and why.
lost (run_id, position, reason) AS (
    SELECT e.run_id, d, CASE e.enters WHEN '{FAILED}' THEN '{SkipReason.DEPENDENCY_FAILED}' ELSE \
'{SkipReason.DEPENDENCY_SKIPPED}' END
    FROM ended e, unnest(e.dependents) d WHERE e.enters IN ('{FAILED}', '{SKIPPED}')
    UNION
    SELECT l.run_id, d, l.reason
    FROM lost l JOIN steps s ON s.run_id = l.run_id AND s.position = l.position AND s.state = '{PENDING}',
        unnest(s.dependents) d),
skipped AS (SELECT run_id, position, min(reason) AS reason FROM lost GROUP BY 1, 2),
over AS (
    SELECT run_id, position FROM ended
    UNION ALL
    SELECT l.run_id, l.position
    FROM skipped l JOIN steps s ON s.run_id = l.run_id AND s.position = l.position AND s.state = '{PENDING}'),
hit AS (
    SELECT run_id, position, count(*)::int AS n
    FROM (
        SELECT e.run_id, d AS position FROM ended e, unnest(e.dependents) d WHERE e.enters = '{SUCCEEDED}'
        UNION ALL
        SELECT o.run_id, f
        FROM over o JOIN step_directives d ON d.run_id = o.run_id AND d.position = o.position, unnest(d.followers) f
    ) AS each
    GROUP BY 1, 2),
turn AS (
    SELECT run_id, position, coalesce(h.n, 0) AS n, l.reason
    FROM hit h FULL JOIN skipped l USING (run_id, position)),
followed AS (
    UPDATE steps s SET
        remaining = s.remaining - t.n,
        state = CASE WHEN t.reason IS NULL THEN s.state ELSE '{SKIP.enters}' END,
        skip_reason = t.reason,
        finished_at = CASE WHEN t.reason IS NOT NULL THEN clock.at END
    FROM turn t, clock
    WHERE s.run_id = t.run_id AND s.position = t.position AND s.state = '{PENDING}'
    RETURNING s.run_id, s.position, s.name, s.state, s.remaining, s.skip_reason AS reason),
closing AS (
    UPDATE step_directives d SET open_children = d.open_children - c.n
    FROM (SELECT run_id, parent, count(*)::int AS n FROM ended WHERE parent IS NOT NULL GROUP BY 1, 2) AS c
    WHERE d.run_id = c.run_id AND d.position = c.parent
    RETURNING d.run_id, d.position, d.open_children)"""

_OPENED: Final = opened(
    f"asked, clock WHERE enters = '{BLOCKED}'",
    "$4",
    at="clock.at",
    also=f"""
    UNION ALL
    SELECT {", ".join(doubting(at="clock.at").values())} FROM settled, clock WHERE enters = '{BLOCKED}'""",
)

_ASKED: Final = """asked AS (
    SELECT run_id, position, execution, attempt, risk, gate_reason, args, digest, enters FROM judged
    UNION ALL
    SELECT run_id, position, execution, attempt, risk, gate_reason, args, digest, enters FROM born)"""

_MOVED: Final = f"""moved (run_id, leaves, enters) AS (
    SELECT run_id, leaves, enters FROM settled
    UNION ALL
    SELECT run_id, leaves, enters FROM judged
    UNION ALL
    SELECT run_id, null, enters FROM born
    UNION ALL
    SELECT run_id, '{PENDING}', state FROM followed WHERE state = '{SKIPPED}')"""

_OF_JUDGED: Final = {"error": "coalesce(message, code)", "why": skipped_because("reason")}

_FIRST, _SECOND = (ASKED[kind] for kind in (ApprovalKind.EXECUTE, ApprovalKind.IN_DOUBT))
_ASKING: Final = event_select(
    _FIRST.type,
    f"CASE kind WHEN '{ApprovalKind.EXECUTE}' THEN {words(_FIRST.message)} ELSE {words(_SECOND.message)} END",
    metadata(_FIRST, level=LEVEL),
    Rank.STEP,
    "opened",
    major="1000000 + position",
    minor="2",
    approval="id",
)

_NOTES: Final = f"""SELECT run_id, {Rank.DECISION}, nth, 0, type, position, approval_id, message, metadata::json
    FROM json_to_recordset($5::json) AS note (run_id uuid, type text, position int, approval_id uuid, message text,
        metadata text, nth int)
    WHERE EXISTS (SELECT FROM settled s WHERE s.run_id = note.run_id AND s.position = note.position)"""

_EVENTS: Final = union(
    _NOTES,
    event_of_move(SETTLING, "settled", major="nth", values=OF_SETTLED, follows_if="NOT tolerated"),
    event_of_move(_VERDICTS, "judged", major="1000000 + position", values=_OF_JUDGED, follows_if="NOT tolerated"),
    event_of_move(_BORN_AS, f"born WHERE enters <> '{PENDING}'", major="1000000 + position"),
    event(
        SKIP.event,
        Rank.STEP,
        f"followed WHERE state = '{SKIPPED}'",
        major="1000000 + position",
        why=skipped_because("reason"),
    ),
    _ASKING,
)

_CTES: Final = ",\n".join(
    (
        CLOCK,
        f"""outcome AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS o ({OUTCOME_FIELDS}))""",
        _VERDICT,
        _CHILD,
        settled(tolerates=True, due=f"greatest(clock.at + o.delay * interval '1 second', {_DELAYED})"),
        CLOSED,
        _JUDGED,
        _BORN,
        _FOLLOWING,
        _ASKED,
        _OPENED,
        _MOVED,
        f"{EVENT} AS (\n    {_EVENTS})",
    )
)

_PARENTS: Final = f"""expanded = r.expanded + coalesce((
            SELECT sum((enters = '{RUNNING}')::int - (leaves = '{RUNNING}')::int)
            FROM judged j WHERE j.run_id = r.id), 0)"""

_ACCEPTED, _FREED, _CLOSED_PARENT = range(3)

_TURN: Final = f"""
WITH RECURSIVE {_CTES},{record_quietly(also=_PARENTS)}
SELECT {_ACCEPTED} AS kind, run_id, nth::int AS number FROM settled
UNION ALL
SELECT {_FREED}, run_id, position FROM followed WHERE state = '{PENDING}' AND remaining = 0
UNION ALL
SELECT {_FREED}, run_id, position FROM born WHERE enters = '{PENDING}'
UNION ALL
SELECT {_CLOSED_PARENT}, c.run_id, c.position
FROM closing c JOIN steps s ON s.run_id = c.run_id AND s.position = c.position
WHERE c.open_children = 0 AND s.state = '{RUNNING}'
ORDER BY 1, 2, 3
"""


async def turn(
    tx: Connection,
    *,
    outcomes: Sequence[Outcome] = (),
    verdicts: Sequence[Verdict] = (),
    children: Sequence[Child] = (),
    notes: Sequence[Note] = (),
    gate: GatePolicy = NO_EXPIRY,
) -> Turned:
    """Make one round. The caller holds the runs' locks, makes others until nothing is freed, and then concludes.

    Outcomes that no longer count change no state, as in `settle.advance`, and their notes are dropped. Nothing is
    claimed: what becomes ready is there for any process once the transaction is committed.
    """
    rows = await tx.fetch(
        _TURN,
        orjson.dumps([_outcome_row(nth, each) for nth, each in enumerate(outcomes)], default=str).decode(),
        orjson.dumps([_verdict_row(each) for each in verdicts], default=str).decode(),
        orjson.dumps([_child_row(each) for each in children], default=str).decode(),
        gate.approval_timeout_seconds,
        orjson.dumps([_note_row(nth, each) for nth, each in enumerate(notes)], default=str).decode(),
    )
    done = Turned()
    for kind, run, number in rows:
        if kind == _ACCEPTED:
            done.accepted.add(number)
        elif kind == _FREED:
            done.freed.append((run, number))
        else:
            done.closed.append((run, number))
    return done


def _outcome_row(nth: int, outcome: Outcome) -> dict[str, object]:
    return {
        "run_id": outcome.run,
        "position": outcome.position,
        "attempt": outcome.attempt,
        "leaves": outcome.leaves,
        "enters": outcome.enters,
        "owner": outcome.owner,
        "reason": outcome.reason,
        "call": outcome.call,
        "result": outcome.result,
        "code": outcome.error_code,
        "message": outcome.error_message,
        "delay": float(outcome.delay_seconds),
        "uncounted": outcome.uncounted,
        "nth": nth,
    }


def _verdict_row(verdict: Verdict) -> dict[str, object]:
    return {
        "run": verdict.run,
        "position": verdict.position,
        "leaves": verdict.leaves,
        "enters": verdict.enters,
        "reason": verdict.reason,
        "args": verdict.args,
        "digest": verdict.digest,
        "result": verdict.result,
        "code": verdict.error_code,
        "message": verdict.error_message,
        "delay": verdict.delay_seconds,
        "not_before": verdict.not_before,
        "items": verdict.items,
        "children": verdict.children,
    }


def _child_row(child: Child) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(child.step, name) for name in NewStep.__slots__}
    return row | {
        "parent": child.parent,
        "index": child.index,
        "tolerated": child.tolerated,
        "state": child.state,
        "delay": child.delay_seconds,
        "not_before": child.not_before,
    }


def _note_row(nth: int, note: Note) -> dict[str, object]:
    return {
        "run_id": note.run,
        "type": note.type,
        "position": note.position,
        "approval_id": note.approval,
        "message": note.message,
        "metadata": note.metadata,
        "nth": nth,
    }
