"""The audit log, as administrators read it."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from datetime import datetime
from typing import Final, cast

import strawberry

from persistence import ids
from persistence.audit import ACCEPTED, Action, AuditRow
from persistence.audit import AuditFilter as LinesWanted
from schema.api.types.base import described
from schema.api.types.connections import Connection, connection
from schema.api.types.pages import given
from schema.shared.visible import visible_or_none

__all__ = ["AuditConnection", "AuditFilter", "AuditLine"]

_ACTIONS: Final = {str(action): action for action in Action}


@strawberry.type(description="Somebody asked for something. Lines are never changed or deleted.")
class AuditLine:
    id: strawberry.ID = described("Opaque; the same for ever.")
    at: datetime = described("When it was done or refused.")
    action: Action = described("What was asked for.")
    accepted: bool = described("Whether it was done.")
    outcome: str = described("ACCEPTED, or the code of the refusal.")
    user_id: strawberry.ID | None = described("Who asked; null if nobody knows.")
    user_name: str | None = described("What they were called then.")
    subject: str | None = described("The id of what it was about, as it was given.")
    detail: str | None = described("How it was decided, or which part of the input was refused.")
    address: str | None = described("Where the request came from.")
    token: str | None = described("The start of the hash of the token that it came with: it tells tokens apart.")
    request: str | None = described("The same for all that one request asked for.")
    times: int = described("How many such there were: failed sign-ins from one address are counted together.")

    def __init__(self, row: AuditRow) -> None:
        self.id = cast("strawberry.ID", f"audit_{row.id}")
        self.at = row.at
        self.action = _ACTIONS[row.action]
        self.accepted = row.outcome == ACCEPTED
        self.outcome = row.outcome
        self.user_id = None if row.user_id is None else cast("strawberry.ID", ids.user_id(row.user_id))
        self.user_name = visible_or_none(row.user_name)
        self.subject = row.subject
        self.detail = row.detail
        self.address = row.address
        self.token = row.token
        self.request = row.request
        self.times = row.times


@connection("line", "lines", description="A page of the audit log.")
class AuditConnection(Connection[AuditLine]): ...


@strawberry.input(description="Which lines. All conditions hold together; what is left out does not matter.")
class AuditFilter:
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Of what this user did.")
    accepted: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only what was done, or only what was refused."
    )

    def wanted(self) -> LinesWanted | None:
        """The same for the reads; None when nothing can match."""
        asked, accepted = given(self.user_id), given(self.accepted)
        user = None if asked is None else ids.parse_as(ids.USER, asked)
        if asked is not None and user is None:
            return None
        return LinesWanted(user, None if accepted is None else not accepted)
