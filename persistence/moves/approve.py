"""A person approves, and the step begins at once: what `decide`, `advance` and `claim` do, in one commit.

A person who has just said yes is waiting for it. Every other case (the run is held, the approval is no longer
open, is for other arguments, or of an elaborate run) is left to those three. A test compares the two ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.audit import AuditLine
from persistence.database import Connection
from persistence.moves.decide import ApprovalFacts
from persistence.moves.functions import APPROVE_ONE
from persistence.moves.inputs import Claimer, Note
from persistence.moves.row import Advance, read_rows
from persistence.reads.where import Where
from persistence.scope import Scope

_APPROVE: Final = APPROVE_ONE.call()


@dataclass(frozen=True, slots=True)
class Grant:
    """The person who approves and their reason; with other arguments (JSON text) and their digest, or neither."""

    by: UUID
    reason: str | None = None
    edited_args: str | None = None
    edited_digest: str | None = None


async def approve(
    connection: Connection, facts: ApprovalFacts, grant: Grant, *, note: Note, line: AuditLine, claimer: Claimer
) -> Advance | None:
    """Approve, and start the step for the claimer if it has a slot, else it is READY: a transaction by itself.

    None, and nothing has changed, when another transaction holds the run or the approval is not open any more for the
    digest of `facts`. `note` is the decision's event, `line` what the audit log says of it.
    """
    done = read_rows(
        await connection.fetch(
            _APPROVE,
            facts.id,
            facts.run,
            facts.position,
            facts.attempt,
            facts.digest,
            grant.by,
            grant.reason,
            grant.edited_args,
            grant.edited_digest,
            note.message,
            note.metadata,
            claimer.worker,
            max(0, claimer.slots),
            *_written(line),
        )
    )
    return done if done.marks else None


@dataclass(frozen=True, slots=True)
class Asker:
    """The person who wants to approve: the runs they see, and whether they may approve of their own and of others'."""

    scope: Scope
    may_own: bool
    may_others: bool

    @property
    def rights(self) -> tuple[bool, bool]:
        """Whether they may: of their own, of others'."""
        return self.may_own, self.may_others


async def approve_as_proposed(
    connection: Connection,
    approval: UUID,
    asker: Asker,
    *,
    seen: str | None,
    reason: str | None,
    words: str,
    metadata: str,
    line: AuditLine,
    claimer: Claimer,
) -> Advance | None:
    """The same without having read the facts, for arguments as they were proposed; None also when it may not be.

    `seen` is the digest that the person has seen, if they said so; `words` stand before the step's name in the
    decision's event, and `metadata` (JSON text) is the event's.
    """
    where = Where()
    where.add("a.id = {}::uuid", approval)
    where.add("a.kind = 'EXECUTE' AND a.status = 'REQUIRED' AND NOT r.elaborate")
    where.add("CASE WHEN r.submitted_by = {}::uuid THEN {}::bool ELSE {}::bool END", asker.scope.user, *asker.rights)
    if seen is not None:
        where.add("a.digest = {}::text", seen)
    where.seen_by(asker.scope)
    given = [asker.scope.user, reason, None, None, words, metadata, claimer.worker, max(0, claimer.slots)]
    by, why, edited, digest, said, more, worker, slots, *audit = map(where.value, [*given, *_written(line)])
    rows = await connection.fetch(
        # OFFSET keeps the function from being called before all this is known to hold.
        f"""SELECT t.* FROM (
            SELECT a.id, a.run_id, a.position, a.attempt, a.digest, s.name
            FROM approvals a
            JOIN steps s ON s.run_id = a.run_id AND s.position = a.position
            JOIN runs r ON r.id = a.run_id
            {where} OFFSET 0) AS f
        CROSS JOIN LATERAL {APPROVE_ONE.name}(f.id, f.run_id, f.position, f.attempt, f.digest, {by}, {why}, {edited},
            {digest}, {said}::text || f.name, {more}, {worker}, {slots}, {", ".join(audit)}) AS t""",
        *where.values,
    )
    done = read_rows(rows)
    return done if done.marks else None


def _written(line: AuditLine) -> tuple[str | None, ...]:
    return (
        line.action,
        line.outcome,
        line.name,
        line.subject,
        line.detail,
        line.address,
        line.token,
        line.request,
    )
