"""Timelines."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

import strawberry

from persistence import ids
from persistence.reads import EventRow, Page
from persistence.reads.cursors import write_event
from persistence.states import EventType
from schema.info import Info, load
from schema.scalars import JSON
from schema.types.base import ApprovalRef, Lazy, RunRef, StepRef, described, json_of, related
from schema.types.pages import PageInfo, page_info
from schema.visible import visible

if TYPE_CHECKING:
    from schema.loaders import Loaders

__all__ = ["EventConnection", "EventEdge", "TimelineEvent"]

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

    def __init__(self, row: EventRow, loaders: "Loaders | None" = None) -> None:
        self.row = row
        # With those of its page, whose related objects were read with it; one that is told to many has none.
        self.loaders = loaders
        # Shared with whoever else is told of this event.
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
        return self.loaders.known_run(self.row.run_id)

    @property
    def step_at_hand(self) -> Any:
        row = self.row
        return None if row.position is None else self.loaders.known_step((row.run_id, row.position))

    @property
    def approval_at_hand(self) -> Any:
        return None if self.row.approval_id is None else self.loaders.known_approval(self.row.approval_id)

    @related(RunRef, "The run, as it is now.", at_hand="run_at_hand")
    def run(self, info: Info) -> Any:
        return load(info).run_of(self.row.run_id)

    @related(StepRef | None, "The step that it is about, as it is now.", at_hand="step_at_hand")
    def step(self, info: Info) -> Any:
        return None if self.row.position is None else load(info).step.load((self.row.run_id, self.row.position))

    @related(ApprovalRef | None, "The approval that it is about, as it is now.", at_hand="approval_at_hand")
    def approval(self, info: Info) -> Any:
        return None if self.row.approval_id is None else load(info).approval.load(self.row.approval_id)


@strawberry.type(description="An event and its place in the timeline.")
class EventEdge:
    cursor: str = described("Where it stands.")
    node: TimelineEvent = described("The event.")

    def __init__(self, node: TimelineEvent) -> None:
        self.cursor = node.cursor
        self.node = node


@strawberry.type(description="A page of a run's timeline, in the order in which it happened.")
class EventConnection:
    edges: list[EventEdge] = described("The events with their cursors.")
    nodes: list[TimelineEvent] = described("The events.")
    page_info: PageInfo = described("Where this page stands.")

    def __init__(self, page: Page[EventRow], loaders: "Loaders", *, after: object | None) -> None:
        self.nodes = [TimelineEvent(row, loaders) for row in page.rows]
        self.edges = [EventEdge(node) for node in self.nodes]
        self.page_info = page_info([node.cursor for node in self.nodes], has_more=page.has_more, after=after)
