"""Timelines."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

import strawberry

from persistence import ids
from persistence.reads import EventRow
from persistence.reads.cursors import write_event
from persistence.states import EventType
from schema.api.info import Info, load
from schema.api.loaders import Loaders
from schema.api.types.base import ApprovalRef, Lazy, RunRef, StepRef, described, json_of, related, show
from schema.api.types.connections import Connection, connection
from schema.fast.scalars import JSON
from schema.shared.visible import visible

__all__ = ["EventConnection", "TimelineEvent"]

_TYPES = {str(type_): type_ for type_ in EventType}


@strawberry.type(description="One thing that happened in a run. Events are never changed or deleted.")
class TimelineEvent(Lazy):
    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"metadata": json_of("metadata")}

    cursor: str = described("Opaque; give it back as `after` to go on from here.")
    seq: int = described("1, 2, 3 … within the run, without gaps.")
    type: EventType = described("What happened.")
    message: str = described("What happened, in a sentence.")
    metadata: JSON = described("More about it, by its type.")
    created_at: datetime = described("When it was recorded; never earlier than the event before it.")
    run_id: strawberry.ID = described("The run's id.")
    step_id: strawberry.ID | None = described("The id of the step that it is about, if it is about one.")
    approval_id: strawberry.ID | None = described("The id of the approval that it is about, if it is about one.")

    row: strawberry.Private[EventRow]
    memo: strawberry.Private[dict[Hashable, Any]]
    loaders: strawberry.Private[Any]

    def __init__(self, row: EventRow, loaders: Loaders | None = None) -> None:
        self.row = row
        # With those of its page, whose related objects were read with it; one that is sent to many has none.
        self.loaders = loaders
        # Shared with the other subscribers that get this event.
        self.memo = row.memo
        self.cursor = write_event(row.run_id, row.seq)
        self.seq = row.seq
        self.type = _TYPES[row.type]
        self.message = visible(row.message)
        self.created_at = row.created_at
        self.run_id = cast("strawberry.ID", ids.run_id(row.run_id))
        self.step_id = None if row.position is None else cast("strawberry.ID", ids.step_id(row.run_id, row.position))
        self.approval_id = None if row.approval_id is None else cast("strawberry.ID", ids.approval_id(row.approval_id))

    @property
    def run_at_hand(self) -> Any:
        return show(self.loaders.known_run(self.row.run_id), self.loaders)

    @property
    def step_at_hand(self) -> Any:
        row = self.row
        return None if row.position is None else show(self.loaders.known_step((row.run_id, row.position)), self.loaders)

    @property
    def approval_at_hand(self) -> Any:
        approval = self.row.approval_id
        return None if approval is None else show(self.loaders.known_approval(approval), self.loaders)

    @related(RunRef, "The run, as it is now.", at_hand="run_at_hand")
    def run(self, info: Info) -> Any:
        return show(load(info).run_of(self.row.run_id), load(info))

    @related(StepRef | None, "The step that it is about, as it is now.", at_hand="step_at_hand")
    def step(self, info: Info) -> Any:
        row, loaders = self.row, load(info)
        return None if row.position is None else show(loaders.step.load((row.run_id, row.position)), loaders)

    @related(ApprovalRef | None, "The approval that it is about, as it is now.", at_hand="approval_at_hand")
    def approval(self, info: Info) -> Any:
        approval, loaders = self.row.approval_id, load(info)
        return None if approval is None else show(loaders.approval.load(approval), loaders)


@connection(
    "event",
    "events",
    description="A page of a run's timeline, in the order in which it happened.",
    within="timeline",
)
class EventConnection(Connection[TimelineEvent]): ...
