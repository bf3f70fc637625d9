"""Approvals: the questions to people, and their answers."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

import orjson
import strawberry

from persistence import ids
from persistence.reads import ApprovalRow
from persistence.states import ApprovalKind, ApprovalStatus, Risk
from schema.api.info import Info, load
from schema.api.loaders import Loaders
from schema.api.types.base import Lazy, Node, RunRef, StepRef, described, json_of, related, show, shows
from schema.api.types.connections import Counted, connection
from schema.api.types.origins import ArgOrigin, origins_of_approval, outside_destinations
from schema.api.types.users import User
from schema.fast.scalars import JSON
from schema.shared.visible import hidden_in, visible, visible_or_none

__all__ = ["Approval", "ApprovalConnection"]

_KINDS = {str(kind): kind for kind in ApprovalKind}
_STATUSES = {str(status): status for status in ApprovalStatus}
_RISKS = tuple(Risk)


@shows(ApprovalRow)
@strawberry.type(description="A question to a person. It serves one execution of one step, and is spent by it.")
class Approval(Node, Lazy):
    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "proposed_args": json_of("proposed_args"),
        "edited_args": json_of("edited_args"),
        "warnings": lambda approval: [
            *hidden_in(_read(approval.row.proposed_args), "proposedArgs"),
            *hidden_in(_read(approval.row.edited_args), "editedArgs"),
        ],
    }

    kind: ApprovalKind = described("What is asked.")
    status: ApprovalStatus = described("Whether it is answered, and how.")
    risk_level: Risk = described("The step's risk.")
    reason: str = described("Why a person is asked, in a sentence.")
    proposed_args: JSON = described("Exactly what will run if it is approved, the tool's defaults filled in.")
    args_digest: str = described(
        'SHA-256, hex, of the RFC 8785 JSON of {"args": proposedArgs, "tool": the tool\'s name}.'
    )
    created_at: datetime = described("When it was asked.")
    expires_at: datetime | None = described("From when on it counts as refused; null: never.")
    decided_by: User | None = described("Who answered.")
    decided_at: datetime | None = described("When it was answered.")
    decision_reason: str | None = described("What the person who decided said about it.")
    edited_args: JSON | None = described("What was approved instead of proposedArgs, when the decision edited them.")

    warnings: list[str] = described(
        "What in the arguments does not show as it is (characters that hide or reorder text, pages of blanks), a "
        "sentence for each. The arguments themselves are given as they are: they are what was digested, and what runs."
    )

    row: strawberry.Private[ApprovalRow]
    loaders: strawberry.Private[Any]

    def __init__(self, row: ApprovalRow, loaders: Loaders) -> None:
        self.row = row
        self.loaders = loaders
        self.id = cast("strawberry.ID", ids.approval_id(row.id))
        self.kind = _KINDS[row.kind]
        self.status = _STATUSES[row.status]
        self.risk_level = _RISKS[row.risk]
        self.reason = visible(row.reason)
        self.args_digest = row.digest
        self.created_at = row.created_at
        self.expires_at = row.expires_at
        self.decided_by = (
            None
            if row.decided_by is None
            else User(row.decided_by, row.decider_name or "", row.decider_roles or (), row.decider_kind or "PERSON")
        )
        self.decided_at = row.decided_at
        self.decision_reason = visible_or_none(row.decision_reason)

    @property
    def run_at_hand(self) -> Any:
        return show(self.loaders.known_run(self.row.run_id), self.loaders)

    @property
    def step_at_hand(self) -> Any:
        return show(self.loaders.known_step((self.row.run_id, self.row.position)), self.loaders)

    @strawberry.field(
        description="Where the arguments come from that it is about; what was edited, from who edited it."
    )
    async def origins(self, info: Info) -> list[ArgOrigin]:
        return await origins_of_approval(self.row, load(info), info.context.engine.registry)

    @strawberry.field(description="A sentence for each destination that outside text decides; empty for most.")
    async def outside_destinations(self, info: Info) -> list[str]:
        return await outside_destinations(self.row, load(info), info.context.engine.registry)

    @related(RunRef, "The run of its step.", at_hand="run_at_hand")
    def run(self, info: Info) -> Any:
        return show(load(info).run_of(self.row.run_id), load(info))

    @related(StepRef, "The step that it is about.", at_hand="step_at_hand")
    def step(self, info: Info) -> Any:
        return show(load(info).step_of(self.row.run_id, self.row.position), load(info))


@connection("approval", "approvals")
class ApprovalConnection(Counted[Approval]): ...


def _read(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
