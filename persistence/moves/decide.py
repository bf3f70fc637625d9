"""Approvals are decided, resolved or expire: the write decides, and a late decision learns of the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from persistence.database import Connection
from persistence.moves.pieces import CLOCK
from persistence.reads.where import Where
from persistence.scope import Scope
from persistence.states import ApprovalKind, ApprovalStatus


@dataclass(frozen=True, slots=True)
class DecidedStep:
    """The BLOCKED step whose approval has just been decided, with the facts that its outcome needs."""

    approval: UUID
    run: UUID
    position: int
    attempt: int
    name: str


_DECIDE = f"""
WITH {CLOCK},
decided AS (
    UPDATE approvals SET status = $2, decided_by = $3, decided_at = clock.at, moved_at = clock.at, decision_reason = $4,
        edited_args = $5::json, resolution = $7,
        granted_digest = CASE WHEN kind = 'EXECUTE' AND $2 = 'APPROVED' THEN coalesce($6, digest) END
    FROM clock
    WHERE id = $1 AND status = 'REQUIRED' AND kind = $8 AND (expires_at IS NULL OR expires_at > clock.at)
    RETURNING id, run_id, position),
edited AS (
    UPDATE steps s SET resolved_args = $5::json, digest = $6
    FROM decided d WHERE $5::json IS NOT NULL AND s.run_id = d.run_id AND s.position = d.position)
SELECT d.id, d.run_id, d.position, s.attempt, s.name
FROM decided d JOIN steps s ON s.run_id = d.run_id AND s.position = d.position
"""


async def decide(
    tx: Connection,
    approval: UUID,
    *,
    kind: ApprovalKind,
    status: ApprovalStatus,
    by: UUID,
    reason: str | None = None,
    edited_args: str | None = None,
    edited_digest: str | None = None,
    resolution: str | None = None,
) -> DecidedStep | None:
    """Decide an open approval of a locked run; None when it is no longer open: another decision, or time, was first."""
    row = await tx.fetchrow(_DECIDE, approval, status, by, reason, edited_args, edited_digest, resolution, kind)
    return DecidedStep(*row) if row is not None else None


async def overdue_runs(tx: Connection, *, at_most: int) -> list[UUID]:
    """The runs with approvals that nobody decided in time, the longest overdue `at_most` approvals counted."""
    rows = await tx.fetch(
        """SELECT DISTINCT run_id FROM (
            SELECT run_id FROM approvals WHERE status = 'REQUIRED' AND expires_at <= (SELECT clock_timestamp())
            ORDER BY expires_at LIMIT $1) AS overdue""",
        at_most,
    )
    return [row["run_id"] for row in rows]


_EXPIRE = """
WITH expired AS (
    UPDATE approvals SET status = 'EXPIRED', moved_at = clock_timestamp()
    WHERE run_id = ANY($1::uuid[]) AND status = 'REQUIRED' AND expires_at <= clock_timestamp()
    RETURNING id, run_id, position)
SELECT e.id, e.run_id, e.position, s.attempt, s.name
FROM expired e JOIN steps s ON s.run_id = e.run_id AND s.position = e.position
"""


async def expire(tx: Connection, runs: Sequence[UUID]) -> list[DecidedStep]:
    """Mark the overdue approvals of these locked runs as expired."""
    return [DecidedStep(*row) for row in await tx.fetch(_EXPIRE, list(runs))]


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """An approval as a decision has to know it before it is attempted, and after another one was first."""

    id: UUID
    run: UUID
    position: int
    kind: ApprovalKind
    status: ApprovalStatus
    name: str
    tool: str
    digest: str
    risk: int
    attempt: int
    edited_args: str | None
    decided_by: UUID | None
    decided_by_name: str | None
    decided_at: datetime | None
    resolution: str | None
    submitted_by: UUID
    is_elaborate: bool


_FACTS = """
    a.id, a.run_id, a.position, a.kind, a.status, s.name, s.tool, a.digest, a.risk, a.attempt, a.edited_args::text,
    a.decided_by, u.name, a.decided_at, a.resolution, r.submitted_by, r.elaborate
FROM approvals a
JOIN steps s ON s.run_id = a.run_id AND s.position = a.position
JOIN runs r ON r.id = a.run_id
LEFT JOIN users u ON u.id = a.decided_by
"""


async def find_approval(connection: Connection, scope: Scope, approval: UUID) -> ApprovalFacts | None:
    """The facts of an approval as they are now, nothing locked; None if it is not within the scope."""
    where = _of(scope, approval)
    row = await connection.fetchrow(f"SELECT {_FACTS} {where}", *where.values)
    return None if row is None else _facts(tuple(row))


async def hold_approval(tx: Connection, scope: Scope, approval: UUID) -> ApprovalFacts | None:
    """The facts of an approval, its run locked; None, and nothing is locked, if it is not within the scope.

    One statement when nobody else moves the run. After a wait for it the facts are old, and are read again.
    """
    where = _of(scope, approval)
    # `old` is the row as the statement's snapshot has it, and `r`, once it is locked, as it is.
    row = await tx.fetchrow(
        f"SELECT r.last_seq = old.last_seq, {_FACTS} JOIN runs old ON old.id = r.id {where} FOR NO KEY UPDATE OF r",
        *where.values,
    )
    if row is None:
        return None
    return _facts(tuple(row)[1:]) if row[0] else await find_approval(tx, scope, approval)


async def proposed_args(tx: Connection, approval: UUID) -> str:
    """What the approval is about, as JSON text."""
    return await tx.fetchval("SELECT proposed_args::text FROM approvals WHERE id = $1", approval)


def _of(scope: Scope, approval: UUID) -> Where:
    where = Where()
    where.add("a.id = {}", approval)
    where.seen_by(scope)
    return where


def _facts(row: Sequence[Any]) -> ApprovalFacts:
    facts = list(row)
    facts[3], facts[4] = ApprovalKind(facts[3]), ApprovalStatus(facts[4])
    return ApprovalFacts(*facts)
