"""The audit log: who asked for which change, from where, and the outcome. Lines are added and read, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from persistence.database import Connection, Database
from persistence.reads.where import Where

ACCEPTED: Final = "ACCEPTED"
"""The outcome of what was done; any other outcome is the code of a refusal."""


class Action(StrEnum):
    """The change that was asked for."""

    SUBMIT_WORKFLOW = "SUBMIT_WORKFLOW"
    DECIDE_APPROVAL = "DECIDE_APPROVAL"
    RESOLVE_IN_DOUBT = "RESOLVE_IN_DOUBT"
    CANCEL_RUN = "CANCEL_RUN"
    RETRY_STEP = "RETRY_STEP"
    CREATE_USER = "CREATE_USER"
    REVOKE_TOKENS = "REVOKE_TOKENS"
    READ_AUDIT_LOG = "READ_AUDIT_LOG"
    SIGN_IN = "SIGN_IN"


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line. `subject` is the id of what it was about, as the API shows it; `token` the start of a token's hash."""

    action: Action
    outcome: str
    user: UUID | None = None
    name: str | None = None
    subject: str | None = None
    detail: str | None = None
    address: str | None = None
    token: str | None = None
    request: str | None = None
    times: int = 1


class AuditRow(NamedTuple):
    """A line as it was written; `id` counts up."""

    id: int
    at: datetime
    action: str
    outcome: str
    user_id: UUID | None
    user_name: str | None
    subject: str | None
    detail: str | None
    address: str | None
    token: str | None
    request: str | None
    times: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines; what is None does not matter."""

    user: UUID | None = None
    refused: bool | None = None


async def write_lines(tx: Connection, lines: Sequence[AuditLine]) -> None:
    """Add these lines, in this order."""
    await tx.execute(
        """INSERT INTO audit_lines
            (action, outcome, user_id, user_name, subject, detail, address, token, request, times)
        SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::int[])""",
        [line.action for line in lines],
        [line.outcome for line in lines],
        [line.user for line in lines],
        [line.name for line in lines],
        [line.subject for line in lines],
        [line.detail for line in lines],
        [line.address for line in lines],
        [line.token for line in lines],
        [line.request for line in lines],
        [line.times for line in lines],
    )


async def lines_before(database: Database, wanted: AuditFilter, *, before: int | None, at_most: int) -> list[AuditRow]:
    """The newest `at_most` lines that are wanted, of those before that id."""
    where = Where()
    if before is not None:
        where.add("id < {}::bigint", before)
    if wanted.user is not None:
        where.add("user_id = {}::uuid", wanted.user)
    if wanted.refused is not None:
        # Spelled out, for the partial index.
        where.add(f"outcome {'<>' if wanted.refused else '='} '{ACCEPTED}'")
    rows = await database.fetch(
        f"""SELECT id, at, action, outcome, user_id, user_name, subject, detail, address, token, request, times
        FROM audit_lines {where} ORDER BY id DESC LIMIT {where.value(at_most)}""",
        *where.values,
    )
    return [AuditRow(*row) for row in rows]
