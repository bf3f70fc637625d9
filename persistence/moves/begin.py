"""A run begins: it is stored, and its steps are, at once or when a planner has found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Final
from uuid import UUID

import orjson

from persistence.audit import AuditLine, write_lines
from persistence.database import Connection
from persistence.ids import run_id
from persistence.moves.events import EVENT, Rank, event, event_of_move, metadata, words, written
from persistence.moves.inputs import NO_EXPIRY, NOBODY, Claimer, GatePolicy
from persistence.moves.pieces import CLOCK, alive, asked, calling, opened, started, unblocking
from persistence.moves.record import record
from persistence.moves.row import MARKS, Advance, Column, claimed_from, columns_of, read_rows, returned
from persistence.moves.sql import among, insert, union
from persistence.moves.table import BLOCKED, GATE, PENDING, PLANNED, RECORDED, RUNNING, START, UNBLOCK
from persistence.states import RunState


@dataclass(frozen=True, slots=True)
class NewRun:
    """One submission. `input_digest` is the SHA-256 of its canonical input, needed with an idempotency key.

    `line` is what the audit log says of it, written with it. `began_by` is the kind of trigger that began it, and which
    one it was.
    """

    id: UUID
    submitted_by: UUID
    intent: str | None
    risk: int
    approve_from: int
    idempotency_key: str | None = None
    input_digest: bytes | None = None
    line: AuditLine | None = None
    began_by: str = "API"


@dataclass(slots=True)  # not frozen, which would take six times as long to make, for each step that there ever is
class NewStep:
    """One step, ready to be stored. All places are positions in the plan; `args` and `resolved_args` are JSON text.

    `dynamic`: its arguments hold references, to the results of the steps at `needs`. `feeds`: a step with references
    depends on it. `digest` is there for what a person may be asked about. The statement reads them as JSON under these
    names, and stores each in the column that its field is annotated with.
    """

    run: Annotated[UUID, Column("run_id", "uuid")]
    submitted_by: Annotated[UUID, Column("submitted_by", "uuid")]
    position: Annotated[int, Column("position", "int")]
    key: Annotated[str, Column("key", "text")]
    name: Annotated[str, Column("name", "text")]
    tool: Annotated[str, Column("tool", "text")]
    risk: Annotated[int, Column("risk", "smallint")]
    gated: Annotated[bool, Column("gated", "bool")]
    gate_reason: Annotated[str | None, Column("gate_reason", "text")]
    idempotent: Annotated[bool, Column("idempotent", "bool")]
    dynamic: Annotated[bool, Column("dynamic", "bool")]
    feeds: Annotated[bool, Column("feeds", "bool")]
    args: Annotated[str, Column("args", "text", source="args::json")]
    resolved_args: Annotated[str | None, Column("resolved_args", "text", source="resolved_args::json")]
    digest: Annotated[str | None, Column("digest", "text")]
    depends_on: Annotated[tuple[int, ...], Column("depends_on", "int[]")]
    dependents: Annotated[tuple[int, ...], Column("dependents", "int[]")]
    needs: Annotated[tuple[int, ...], Column("needs", "int[]")]
    max_attempts: Annotated[int | None, Column("max_attempts", "int")]
    timeout_seconds: Annotated[float, Column("timeout_seconds", "float8")]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """Where a submission went: its own run, or the one that its idempotency key already named."""

    id: UUID
    input_digest: bytes | None


_STORE: Final = f"""
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::smallint[], $6::text[], $7::bytea[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
        AS g (id, submitted_by, intent, risk, approve_from, idempotency_key, input_digest, action, outcome, name,
            address, token, request, began_by)),
stored AS (
    INSERT INTO runs (id, submitted_by, intent, state, risk, approve_from, idempotency_key, input_digest, began_by,
        last_seq, created_at, moved_at)
    -- In the order of their keys, so that two groups with keys in common wait for each other in one order.
    SELECT id, submitted_by, intent, '{
    RunState.QUEUED
}', risk, approve_from, idempotency_key, input_digest, began_by, 1,
        at, at
    FROM given, (SELECT clock_timestamp() AS at) AS clock ORDER BY submitted_by, idempotency_key, id
    ON CONFLICT (submitted_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, created_at, intent),
{
    written(
        "stored",
        run_id="id",
        seq="1",
        type=f"'{RECORDED.type}'",
        position="null",
        approval_id="null",
        message=words(RECORDED.message),
        metadata=metadata(RECORDED),
    )
},
audited AS (
    INSERT INTO audit_lines (action, outcome, user_id, user_name, subject, address, token, request)
    SELECT g.action, g.outcome, g.submitted_by, g.name, 'run_' || replace(id::text, '-', ''), g.address, g.token,
        g.request
    FROM stored JOIN given g USING (id) WHERE g.action IS NOT NULL)
SELECT id FROM stored
"""

_NAMED: Final = """
SELECT g.id AS given, r.id, r.input_digest
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS g (id, submitted_by, idempotency_key)
JOIN runs r ON r.submitted_by = g.submitted_by AND r.idempotency_key = g.idempotency_key
"""


async def store_runs(tx: Connection, runs: Sequence[NewRun]) -> dict[UUID, StoredRun]:
    """Store these runs as QUEUED, each with its first event; by its own id, the outcome of each.

    A run whose idempotency key its user has used before is not stored: the earlier one is named instead.
    """
    lines = [r.line for r in runs]
    rows = await tx.fetch(
        _STORE,
        [r.id for r in runs],
        [r.submitted_by for r in runs],
        [r.intent for r in runs],
        [r.risk for r in runs],
        [r.approve_from for r in runs],
        [r.idempotency_key for r in runs],
        [r.input_digest for r in runs],
        [line and line.action for line in lines],
        [line and line.outcome for line in lines],
        [line and line.name for line in lines],
        [line and line.address for line in lines],
        [line and line.token for line in lines],
        [line and line.request for line in lines],
        [r.began_by for r in runs],
    )
    new = {row["id"] for row in rows}
    stored = {run.id: StoredRun(run.id, run.input_digest) for run in runs if run.id in new}
    repeated = [run for run in runs if run.id not in new]
    if repeated:
        stored |= await earlier_runs(tx, repeated)
    return stored


async def earlier_runs(tx: Connection, repeated: Sequence[NewRun]) -> dict[UUID, StoredRun]:
    """The runs that already have these runs' idempotency keys, by the new ones' ids; written down in the audit log."""
    named = await tx.fetch(
        _NAMED,
        [r.id for r in repeated],
        [r.submitted_by for r in repeated],
        [r.idempotency_key for r in repeated],
    )
    earlier = {row["given"]: StoredRun(row["id"], row["input_digest"]) for row in named}
    await _write_repeated(tx, repeated, earlier)
    return earlier


async def _write_repeated(tx: Connection, runs: Sequence[NewRun], stored: Mapping[UUID, StoredRun]) -> None:
    """The audit lines of submissions that were answered with an earlier run; conflicts are refused later."""
    same = [(run.line, stored[run.id]) for run in runs if run.input_digest == stored[run.id].input_digest]
    lines = [
        replace(line, subject=run_id(earlier.id), detail="answered with an earlier run")
        for line, earlier in same
        if line is not None
    ]
    if lines:
        await write_lines(tx, lines)


_COLUMNS: Final = columns_of(NewStep)
STEP_FIELDS: Final = ", ".join(
    f"{each.name} {column.type}" for each, column in zip(fields(NewStep), _COLUMNS, strict=True)
)
"""The columns of a step given as JSON, with their types."""

STEP_ROW: Final = {each.name: each.source or each.name for each in _COLUMNS}
"""The columns of a step to be stored, and what each is of the one that was given."""

GIVEN: Final = f"""given AS (
    SELECT *, row_number() OVER (PARTITION BY remaining = 0 AND NOT gated ORDER BY run_id, position) AS nth
    FROM (
        SELECT run AS run_id, cardinality(depends_on) AS remaining, s.*
        FROM json_to_recordset($1::json) AS s ({STEP_FIELDS})) AS g),
turn AS (
    SELECT *, CASE WHEN remaining > 0 THEN '{PENDING}' WHEN gated THEN '{GATE.enters}'
        WHEN nth <= (CASE WHEN {alive("$2::uuid")} THEN $3::int ELSE 0 END) THEN '{START.enters}'
        ELSE '{UNBLOCK.enters}' END AS state
    FROM given)"""
"""Steps to be stored ($1, as JSON), each with the state that it begins in for this claimer ($2, with $3 slots)."""

_STORED: Final = {
    **STEP_ROW,
    "remaining": "remaining",
    "state": "state",
    "created_at": "at",
    **unblocking(lambda *states: among("state", states), at="at", worker="$2::uuid", step=None),
}


def stored_from(source: str) -> str:
    """The CTEs that store these rows of `turn` as steps, with their tool calls and approvals (which expire in $4)."""
    return f"""stored AS (
    {insert("steps", _STORED, f"clock, {source}")}
    RETURNING {returned("", beside=("name", "state", "risk", "gate_reason", "execution"))}),
called AS (
    {insert("tool_calls", calling("at"), f"stored, clock WHERE state = '{RUNNING}'")}),
{opened(f"stored, clock WHERE state = '{BLOCKED}'", "$4", at="at")}"""


def planned(source: str) -> str:
    """The event that says how many steps a run has, for each run and number of these rows."""
    return event(PLANNED, Rank.DECISION, source, position="null::int")


BEGINNINGS: Final = union(
    event_of_move((GATE, UNBLOCK), f"stored WHERE state <> '{PENDING}'", major="position", enters="state"),
    asked(),
    started(f"stored WHERE state = '{RUNNING}'"),
)
"""The events of the steps that were stored."""

_PLAN: Final = f"""
WITH {CLOCK},
{GIVEN},
{stored_from("turn")},
moved (run_id, leaves, enters) AS (SELECT run_id, null, state FROM stored),
{EVENT} AS (
    {planned("(SELECT run_id, count(*) AS steps FROM given GROUP BY run_id) AS each")}
    UNION ALL
    {BEGINNINGS}),{record()}
{MARKS}
UNION ALL
{claimed_from(f"stored WHERE state = '{RUNNING}'")}
"""


def as_json(steps: Sequence[NewStep]) -> str:
    """The steps as `given` reads them.

    The driver looks through arrays value by value, and there would be one for each of the columns.
    """
    return orjson.dumps(steps, default=str).decode()  # the driver has UUIDs of its own class


async def store_steps(
    tx: Connection,
    steps: Sequence[NewStep],
    *,
    claimer: Claimer = NOBODY,
    gate: GatePolicy = NO_EXPIRY,
) -> Advance:
    """Give runs their steps: a step without dependencies is READY (or the claimer's), or BLOCKED with its approval.

    The caller holds the runs' locks, or has stored the runs in this transaction.
    """
    rows = await tx.fetch(
        _PLAN,
        as_json(steps),
        claimer.worker,
        max(0, claimer.slots),
        gate.approval_timeout_seconds,
    )
    return read_rows(rows)
