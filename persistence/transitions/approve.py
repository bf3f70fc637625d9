"""A person approves, and the step begins at once: what `decide`, `advance` and `claim` do, in one commit.

It is what somebody waits for who has just said yes. Whatever is not plain (the run is held, the approval is no longer
open, or not for these arguments) is left as it is, for the way by those three. A test holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.audit import AuditLine
from persistence.database import Connection
from persistence.transitions.advance import Advance, Claimer, Note, told
from persistence.transitions.decide import ApprovalFacts

_APPROVE: Final = f"SELECT * FROM approve_alone({', '.join(f'${n}' for n in range(1, 22))})"
"""See `alembic/versions/0004_alone.py`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who approves, and why; with other arguments (JSON text) and their digest, or neither."""

    by: UUID
    reason: str | None = None
    edited_args: str | None = None
    edited_digest: str | None = None


async def approve(
    connection: Connection, facts: ApprovalFacts, grant: Grant, *, note: Note, line: AuditLine, claimer: Claimer
) -> Advance | None:
    """Approve, and start the step for the claimer if it has a slot, else it is READY: a transaction by itself.

    None, and nothing has changed, when somebody holds the run or the approval is not open for the digest of `facts`
    any more. `note` is the decision's event, `line` what the audit log says of it.
    """
    done = told(
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
            line.action,
            line.outcome,
            line.name,
            line.subject,
            line.detail,
            line.address,
            line.token,
            line.request,
        )
    )
    return done if done.marks else None
