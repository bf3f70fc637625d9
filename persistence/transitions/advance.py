"""The heart of the engine: steps leave RUNNING or BLOCKED, and all that follows from it happens, in one statement.

For any number of steps across any number of runs it settles their states and tool calls, counts down those that depend
on them, skips what can no longer be reached, opens approvals, claims what became ready for the caller (up to its free
slots), and records every event and the state of every run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from persistence.database import Connection
from persistence.states import FINISHED_RUN_STATES, RUN_STATES, EventType, RunState, StepState, ToolCallStatus
from persistence.transitions.record import CLOCK, MARKS, SETTLED, Rank, record, taken


class Outcome(NamedTuple):
    """What becomes of one step that is RUNNING (fenced by attempt and owner) or BLOCKED (its owner is None).

    `enters` is a state that the table of moves allows; `reason` is a `Retrying` or `SkipReason`.
    `call` is how the tool call of that attempt ended, None to leave it. `result` is JSON text; `error_*` say what went
    wrong; `delay_seconds` postpones the next attempt; `uncounted`: the call was not made, and
    uses up no attempt. `notices` are kept by `keep_notices`, in the same transaction.
    """

    run: UUID
    position: int
    attempt: int
    leaves: StepState
    enters: StepState
    owner: UUID | None = None
    reason: str | None = None
    call: ToolCallStatus | None = None
    result: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    delay_seconds: float = 0
    uncounted: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The arguments (JSON text) that a step with references will be called with, or why there are none."""

    run: UUID
    position: int
    args: str | None = None
    digest: str | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """An event that stands before the step's own: the decision that moved it. `metadata` is JSON text."""

    run: UUID
    type: EventType
    position: int | None
    approval: UUID | None
    message: str
    metadata: str


class ClaimedStep(NamedTuple):
    """A step that the caller now owns, its tool call recorded: what a call needs. `args` is JSON text.

    In the order of the columns of every statement that claims.
    """

    run: UUID
    position: int
    attempt: int
    tool: str
    calls: int
    max_attempts: int | None
    losses: int
    args: str
    digest: str | None
    gated: bool
    idempotent: bool
    feeds: bool
    timeout_seconds: float
    user: UUID


class RunMark(NamedTuple):
    """How far a run's timeline reaches after a transition, and whether it left steps that anybody may claim.

    `judged`: an approval was asked for, or decided.
    """

    run: UUID
    seq: int
    state: RunState
    ready: int
    judged: bool

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state in FINISHED_RUN_STATES


@dataclass(slots=True)
class Advance:
    """What a transition did: `accepted` are the indexes of the outcomes that counted, `busy` runs left out."""

    claimed: list[ClaimedStep] = field(default_factory=list[ClaimedStep])
    marks: list[RunMark] = field(default_factory=list[RunMark])
    accepted: set[int] = field(default_factory=set[int])
    busy: set[UUID] = field(default_factory=set[UUID])


@dataclass(frozen=True, slots=True)
class Claimer:
    """Who takes what becomes ready, and how many at most. Nobody: everything stays READY."""

    worker: UUID | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How long a new approval may stay undecided; None: for ever."""

    approval_timeout_seconds: float | None = None


NOBODY: Final = Claimer()
NO_EXPIRY: Final = GatePolicy()


class SettleFree(Protocol):
    """A transaction of one statement over the runs that nobody holds; the others come back as `busy`."""

    def __call__(
        self, connection: Connection, outcomes: Sequence[Outcome], /, *, claimer: Claimer, gate: GatePolicy
    ) -> Awaitable[Advance]:
        """Apply these outcomes."""
        ...


FREE = """free AS MATERIALIZED (
    -- Locked without waiting. A transition that committed since this statement's snapshot has changed last_seq, and
    -- then what the statement reads of the run would be stale: such a run counts as busy too.
    SELECT l.id
    FROM (
        SELECT id, last_seq FROM runs WHERE id = ANY({runs}) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS l
    JOIN runs r ON r.id = l.id AND r.last_seq = l.last_seq),
"""
"""The lock of a statement that is a transaction by itself: the rows that it could have for the asking."""

BUSY = """UNION ALL
SELECT 3, b.id, null, null, null, null, null, null, null, null, null, null, null, null, null
FROM unnest({runs}) AS b (id) WHERE NOT EXISTS (SELECT FROM free WHERE free.id = b.id)
"""

_SKIP_TEXT = """CASE {reason}
            WHEN 'REJECTED' THEN 'a person said no' WHEN 'APPROVAL_EXPIRED' THEN 'nobody decided in time'
            WHEN 'ABANDONED' THEN 'a person left it' WHEN 'DEPENDENCY_FAILED' THEN 'a step before it failed'
            WHEN 'DEPENDENCY_SKIPPED' THEN 'a step before it was skipped' ELSE {reason} END"""

ALIVE = """EXISTS (SELECT FROM workers
        WHERE id = {worker} AND ended_at IS NULL AND lease_until > clock_timestamp())"""
"""A process whose lease is over takes nothing more: its claims would be rescued from it at once."""


def _advance(*, free_only: bool) -> str:
    """The statement over runs that the caller has locked; or over those that are free, which it locks by itself."""
    lock, busy = (FREE.format(runs="$1::uuid[]"), BUSY.format(runs="$1::uuid[]")) if free_only else ("", "")
    among = "WHERE run_id IN (SELECT id FROM free)" if free_only else ""
    return f"""
WITH RECURSIVE {lock}{CLOCK},
outcome AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::float8[], $28::bool[]) WITH ORDINALITY
        AS o (run_id, position, attempt, leaves, enters, owner, reason, call, result, code, message, delay, uncounted,
            nth)
    {among}),
resolution AS MATERIALIZED (
    SELECT * FROM unnest($13::uuid[], $14::int[], $15::text[], $16::text[], $17::text[], $18::text[])
        AS r (run_id, position, args, digest, code, message)),
settled AS (
    UPDATE steps s SET
        state = o.enters,
        skip_reason = CASE WHEN o.enters = 'SKIPPED' THEN o.reason END,
        result = CASE WHEN o.enters = 'SUCCEEDED' THEN o.result::json END,
        error_code = o.code, error_message = o.message,
        owner = null,
        due_at = CASE WHEN o.enters = 'READY' THEN clock.at + o.delay * interval '1 second' END,
        ready_at = CASE WHEN o.enters = 'READY' THEN coalesce(s.ready_at, clock.at) ELSE s.ready_at END,
        calls = s.calls - (o.uncounted AND s.calls > 0)::int,
        losses = s.losses + (o.reason IS NOT DISTINCT FROM 'LOST')::int,
        dead_lettered = o.enters = 'FAILED',
        finished_at = CASE WHEN o.enters IN ('SUCCEEDED', 'FAILED', 'SKIPPED') THEN clock.at END
    FROM outcome o, clock
    WHERE s.run_id = o.run_id AND s.position = o.position
        AND s.state = o.leaves AND s.attempt = o.attempt AND s.owner IS NOT DISTINCT FROM o.owner
    RETURNING s.run_id, s.position, s.name, s.tool, s.risk, s.attempt, s.execution, s.resolved_args, s.args, s.digest,
        s.dependents, s.due_at, o.nth, o.leaves, o.enters, o.reason, o.code, o.message, o.delay),
-- Also of an attempt that was taken over: a late word moves nothing, but it is kept where it can be read.
-- What a person said of a doubt counts only as the decision that it is.
closed AS (
    UPDATE tool_calls c SET
        status = CASE WHEN c.status = 'STARTED' OR o.leaves = 'BLOCKED' THEN o.call ELSE c.status END,
        result = coalesce(c.result, o.result::json),
        error_code = CASE WHEN o.leaves = 'BLOCKED' AND o.call = 'SUCCEEDED' THEN null
            ELSE coalesce(c.error_code, o.code) END,
        error_message = CASE WHEN o.leaves = 'BLOCKED' AND o.call = 'SUCCEEDED' THEN null
            WHEN c.error_message IS NULL THEN o.message
            WHEN o.message IS NULL OR strpos(c.error_message, o.message) > 0 THEN c.error_message
            ELSE left(c.error_message || ' Later: ' || o.message, 8000) END,
        finished_at = coalesce(c.finished_at, clock.at)
    FROM outcome o, clock
    WHERE o.call IS NOT NULL AND c.run_id = o.run_id AND c.position = o.position AND c.attempt = o.attempt
        AND (o.leaves <> 'BLOCKED' OR EXISTS (
            SELECT FROM settled s WHERE s.run_id = o.run_id AND s.position = o.position))),
hit AS (
    SELECT s.run_id, d AS position, count(*)::int AS n
    FROM settled s, unnest(s.dependents) d WHERE s.enters = 'SUCCEEDED' GROUP BY 1, 2),
near AS MATERIALIZED (
    SELECT s.run_id, s.position, h.n, s.remaining = h.n AS free, s.gated, r.code IS NOT NULL AS unfit, s.dependents,
        r.args, r.digest, r.code, r.message
    FROM hit h
    JOIN steps s ON s.run_id = h.run_id AND s.position = h.position AND s.state = 'PENDING'
    LEFT JOIN resolution r ON r.run_id = h.run_id AND r.position = h.position),
doom (run_id, position, reason) AS (
    SELECT * FROM (
        SELECT s.run_id, d, CASE s.enters WHEN 'FAILED' THEN 'DEPENDENCY_FAILED' ELSE 'DEPENDENCY_SKIPPED' END
        FROM settled s, unnest(s.dependents) d WHERE s.enters IN ('FAILED', 'SKIPPED')
        UNION ALL
        SELECT n.run_id, d, 'DEPENDENCY_FAILED' FROM near n, unnest(n.dependents) d WHERE n.free AND n.unfit) AS start
    UNION
    SELECT w.run_id, d, w.reason
    FROM doom w JOIN steps s ON s.run_id = w.run_id AND s.position = w.position AND s.state = 'PENDING',
        unnest(s.dependents) d),
doomed AS (SELECT run_id, position, min(reason) AS reason FROM doom GROUP BY 1, 2),
turn AS (
    SELECT n.run_id, n.position, n.n, n.args, n.digest, n.code, n.message, null AS reason,
        CASE WHEN NOT n.free THEN null WHEN n.unfit THEN 'FAILED' WHEN n.gated THEN 'BLOCKED'
            WHEN row_number() OVER (PARTITION BY n.free AND NOT n.unfit AND NOT n.gated ORDER BY n.run_id, n.position)
                <= (CASE WHEN {ALIVE.format(worker="$19::uuid")} THEN $20::int ELSE 0 END) THEN 'RUNNING'
            ELSE 'READY' END AS enters
    FROM near n WHERE NOT EXISTS (SELECT FROM doomed d WHERE d.run_id = n.run_id AND d.position = n.position)
    UNION ALL
    SELECT run_id, position, 0, null, null, null, null, reason, 'SKIPPED' FROM doomed),
turned AS (
    UPDATE steps s SET
        remaining = s.remaining - t.n,
        state = coalesce(t.enters, s.state),
        skip_reason = t.reason,
        resolved_args = coalesce(t.args::json, s.resolved_args),
        digest = coalesce(t.digest, s.digest),
        error_code = t.code, error_message = t.message,
        resolved_at = CASE WHEN t.enters IN ('READY', 'RUNNING', 'BLOCKED') THEN clock.at END,
        ready_at = CASE WHEN t.enters IN ('READY', 'RUNNING') THEN clock.at END,
        started_at = CASE WHEN t.enters = 'RUNNING' THEN clock.at END,
        due_at = CASE WHEN t.enters = 'READY' THEN clock.at END,
        owner = CASE WHEN t.enters = 'RUNNING' THEN $19::uuid END,
        attempt = s.attempt + (t.enters IS NOT DISTINCT FROM 'RUNNING')::int,
        calls = s.calls + (t.enters IS NOT DISTINCT FROM 'RUNNING')::int,
        dead_lettered = t.enters IS NOT DISTINCT FROM 'FAILED',
        finished_at = CASE WHEN t.enters IN ('FAILED', 'SKIPPED') THEN clock.at END
    FROM turn t, clock
    WHERE s.run_id = t.run_id AND s.position = t.position AND s.state = 'PENDING'
    RETURNING s.run_id, s.submitted_by, s.position, s.name, s.tool, s.risk, s.gated, s.gate_reason, s.idempotent,
        s.feeds, s.state, s.attempt, s.calls, s.max_attempts, s.losses, s.execution, s.skip_reason,
            s.error_code, s.error_message,
        coalesce(s.resolved_args, s.args) AS args, s.digest, s.timeout_seconds, t.enters),
called AS (
    INSERT INTO tool_calls (run_id, position, attempt, tool, args, digest, started_at)
    SELECT run_id, position, attempt, tool, args, digest, clock.at FROM turned, clock WHERE enters = 'RUNNING'),
opened AS (
    INSERT INTO approvals
        (id, run_id, position, execution, attempt, kind, risk, reason, proposed_args, digest, created_at, expires_at)
    SELECT gen_random_uuid(), run_id, position, execution, attempt, 'EXECUTE', risk, gate_reason, args, digest,
        clock.at, clock.at + $21::float8 * interval '1 second'
    FROM turned, clock WHERE enters = 'BLOCKED'
    UNION ALL
    SELECT gen_random_uuid(), run_id, position, execution, attempt, 'IN_DOUBT', risk,
        left('Nobody knows whether this call of ' || tool || ' happened: ' || message, 8000),
        coalesce(resolved_args, args), digest, clock.at, null
    FROM settled, clock WHERE enters = 'BLOCKED'
    RETURNING id, run_id, position, kind, risk, digest, expires_at),
moved (run_id, leaves, enters) AS (
    SELECT run_id, leaves, enters FROM settled
    UNION ALL
    SELECT run_id, 'PENDING', enters FROM turned WHERE enters IS NOT NULL),
told (run_id, rank, major, minor, type, position, approval_id, message, metadata) AS (
    SELECT run_id, {Rank.DECISION}, nth, 0, type, position, approval_id, message, metadata::json
    FROM unnest($22::uuid[], $23::text[], $24::int[], $25::uuid[], $26::text[], $27::text[]) WITH ORDINALITY
        AS note (run_id, type, position, approval_id, message, metadata, nth)
    WHERE EXISTS (SELECT FROM settled s WHERE s.run_id = note.run_id AND s.position = note.position)
    UNION ALL
    SELECT run_id, {Rank.STEP}, nth, 0,
        CASE enters WHEN 'SUCCEEDED' THEN 'STEP_SUCCEEDED' WHEN 'FAILED' THEN 'STEP_FAILED'
            WHEN 'SKIPPED' THEN 'STEP_SKIPPED' WHEN 'BLOCKED' THEN 'STEP_IN_DOUBT'
            ELSE CASE leaves WHEN 'RUNNING' THEN 'STEP_RETRYING' ELSE 'STEP_READY' END END,
        position, null,
        name || CASE enters WHEN 'SUCCEEDED' THEN ' succeeded' WHEN 'FAILED' THEN ' failed: ' || coalesce(message, code)
            WHEN 'SKIPPED' THEN ' was skipped: ' || {_SKIP_TEXT.format(reason="reason")}
            WHEN 'BLOCKED' THEN ': nobody knows whether it happened'
            ELSE CASE WHEN leaves = 'BLOCKED' THEN ' is ready' WHEN reason = 'LOST' THEN ' was lost with its process'
                WHEN reason = 'HANDED_BACK' THEN ' was handed back'
                ELSE ' will be tried again: ' || coalesce(message, code) END END,
        CASE enters WHEN 'SUCCEEDED' THEN json_build_object('attempt', attempt)
            WHEN 'FAILED' THEN json_build_object('attempt', attempt, 'code', code, 'error', message)
            WHEN 'SKIPPED' THEN json_build_object('reason', reason)
            WHEN 'BLOCKED' THEN json_build_object('attempt', attempt, 'code', code, 'error', message)
            ELSE CASE leaves WHEN 'RUNNING' THEN json_build_object('reason', reason, 'attempt', attempt, 'code', code,
                'error', message, 'delaySeconds', delay, 'nextAttemptAt', due_at) ELSE '{{}}' END END
    FROM settled
    UNION ALL
    SELECT run_id, {Rank.STEP}, nth, 1, 'STEP_DEAD_LETTERED', position, null,
        name || ' is a dead letter and waits for a person', json_build_object('attempts', attempt)
    FROM settled WHERE enters = 'FAILED'
    UNION ALL
    SELECT run_id, {Rank.STEP}, 1000000 + position, 0,
        CASE enters WHEN 'BLOCKED' THEN 'STEP_BLOCKED' WHEN 'FAILED' THEN 'STEP_FAILED'
            WHEN 'SKIPPED' THEN 'STEP_SKIPPED' ELSE 'STEP_READY' END,
        position, null,
        name || CASE enters WHEN 'BLOCKED' THEN ' waits for a person' WHEN 'FAILED' THEN ' failed: ' || error_message
            WHEN 'SKIPPED' THEN ' was skipped: ' || {_SKIP_TEXT.format(reason="skip_reason")} ELSE ' is ready' END,
        CASE enters WHEN 'FAILED' THEN json_build_object('code', error_code, 'error', error_message)
            WHEN 'SKIPPED' THEN json_build_object('reason', skip_reason) ELSE '{{}}' END
    FROM turned WHERE enters IS NOT NULL
    UNION ALL
    SELECT run_id, {Rank.STEP}, 1000000 + position, 1, 'STEP_DEAD_LETTERED', position, null,
        name || ' is a dead letter and waits for a person', json_build_object('attempts', attempt)
    FROM turned WHERE enters = 'FAILED'
    UNION ALL
    SELECT run_id, {Rank.APPROVAL}, position, 0, 'APPROVAL_REQUIRED', position, id,
        CASE kind WHEN 'EXECUTE' THEN 'A person must approve exactly these arguments'
            ELSE 'A person must say whether the call happened' END,
        json_build_object('kind', kind, 'riskLevel', 'L' || risk, 'argsDigest', digest, 'expiresAt', expires_at)
    FROM opened
    UNION ALL
    SELECT run_id, {Rank.RUNNING}, position, 0, 'STEP_RUNNING', position, null, name || ' is running',
        json_build_object('attempt', attempt)
    FROM turned WHERE enters = 'RUNNING'),
{record()}
{MARKS}
UNION ALL
{SETTLED}
UNION ALL
{taken("turned WHERE enters = 'RUNNING'")}
{busy}"""


_ADVANCE: Final = _advance(free_only=False)
_ADVANCE_FREE: Final = _advance(free_only=True)


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
    whose step has moved on, or runs under another attempt or owner, changes no state: its word is kept on its tool
    call, and its index is missing in `accepted`. `notes` of such outcomes are dropped too.
    """
    return told(await tx.fetch(_ADVANCE, *_values(outcomes, resolutions, notes, claimer, gate)))


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
    return told(await connection.fetch(_ADVANCE_FREE, *_values(outcomes, (), (), claimer, gate)))


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


def told(rows: Iterable[asyncpg.Record]) -> Advance:
    """Sort the rows of a transition's final SELECT into what they are."""
    done = Advance()
    for row in rows:
        kind = row[0]
        if kind == 2:
            done.claimed.append(ClaimedStep._make(row[1:]))
        elif kind == 0:
            done.marks.append(RunMark(row[1], row[2], RUN_STATES[row[4]], row[3], bool(row[5])))
        elif kind == 1:
            # Many of them as a text, one as a number, and none as neither.
            numbers = row[8].split(",") if row[8] is not None else [row[2]] if row[2] is not None else ()
            done.accepted.update([int(each) - 1 for each in numbers])
        else:
            done.busy.add(row[1])
    return done


@dataclass(frozen=True, slots=True)
class FreedStep:
    """A step with references that the given outcomes free: `known` maps the keys that it needs to results (JSON text).

    `pending` maps positions among those it needs to keys: their results are in the outcomes at hand.
    """

    run: UUID
    position: int
    tool: str
    args: str
    gated: bool
    known: str
    pending: dict[int, str]


_FREED = """
WITH done AS (
    -- An outcome that is told twice settles once.
    SELECT DISTINCT s.run_id, s.position, s.dependents
    FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::uuid[])
        AS o (run_id, position, attempt, leaves, owner)
    JOIN steps s ON s.run_id = o.run_id AND s.position = o.position AND s.state = o.leaves
        AND s.attempt = o.attempt AND s.owner IS NOT DISTINCT FROM o.owner),
hit AS (SELECT run_id, d AS position, count(*)::int AS n FROM done, unnest(dependents) d GROUP BY 1, 2)
SELECT s.run_id, s.position, s.tool, s.args::text, s.gated, coalesce(k.known, '{}')::text AS known, k.places, k.keys
FROM hit h JOIN steps s ON s.run_id = h.run_id AND s.position = h.position,
    LATERAL (
        SELECT json_object_agg(n.key, n.result) FILTER (WHERE n.state = 'SUCCEEDED') AS known,
            array_agg(n.position) FILTER (WHERE n.state <> 'SUCCEEDED') AS places,
            array_agg(n.key) FILTER (WHERE n.state <> 'SUCCEEDED') AS keys
        FROM steps n WHERE n.run_id = s.run_id AND n.position = ANY(s.needs)) k
WHERE s.state = 'PENDING' AND s.dynamic AND s.remaining = h.n
"""


async def freed_references(tx: Connection, outcomes: Sequence[Outcome]) -> list[FreedStep]:
    """The steps with references that `advance` with these outcomes will unblock, and what they refer to.

    Reads under the runs' locks, so that `advance` in the same transaction finds the same ones.
    """
    good = [o for o in outcomes if o.enters == StepState.SUCCEEDED]
    rows = await tx.fetch(
        _FREED,
        [o.run for o in good],
        [o.position for o in good],
        [o.attempt for o in good],
        [o.leaves for o in good],
        [o.owner for o in good],
    )
    return [
        FreedStep(
            run=row["run_id"],
            position=row["position"],
            tool=row["tool"],
            args=row["args"],
            gated=row["gated"],
            known=row["known"],
            pending=dict(zip(row["places"] or (), row["keys"] or (), strict=True)),
        )
        for row in rows
    ]
