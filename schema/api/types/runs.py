"""Runs."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any, cast

import strawberry

from persistence import ids
from persistence.reads import AnswerRow, EventsAfter, RunRow
from persistence.reads.cursors import read_event
from persistence.states import ApprovalStatus, Risk, RunOutcome, RunState, StepState, Trust
from schema.api.diagram import run_diagram
from schema.api.info import Info, load
from schema.api.loaders import Loaders
from schema.api.types.base import ApprovalRef, Failure, Node, StepRef, described, later, show, shown_texts, shows
from schema.api.types.connections import Counted, connection
from schema.api.types.events import EventConnection, TimelineEvent
from schema.api.types.pages import bad_cursor, given, page_size, place_after
from schema.api.types.users import User
from schema.fast.scalars import JSON
from schema.fast.spending import spend
from schema.shared.jsontext import JsonText
from schema.shared.visible import visible_or_none

__all__ = ["Progress", "Run", "RunConnection"]

_STATES = {str(state): state for state in RunState}
_OUTCOMES = {str(outcome): outcome for outcome in RunOutcome}
_RISKS = tuple(Risk)


@strawberry.type(description="How many of a run's steps stand where.")
class Progress:
    total: int = described("All steps; it grows when a list gets its children.")
    pending: int = described("Steps that wait for others.")
    ready: int = described("Steps that may run.")
    running: int = described("Steps whose tools are being called, and those whose children have not all ended.")
    blocked: int = described("Steps that wait for a person.")
    succeeded: int = described("Steps that are done.")
    failed: int = described("Steps that failed for good.")
    skipped: int = described("Steps that will not run.")
    cancelled: int = described("Steps that were cancelled with the run.")

    def __init__(self, row: RunRow) -> None:
        self.pending = row.pending
        self.ready = row.ready
        self.running = row.running
        self.blocked = row.blocked
        self.succeeded = row.succeeded
        self.failed = row.failed
        self.skipped = row.skipped
        self.cancelled = row.cancelled
        self.total = (
            row.pending + row.ready + row.running + row.blocked
            + row.succeeded + row.failed + row.skipped + row.cancelled
        )  # fmt: skip


@shows(RunRow)
@strawberry.type(description="One submission: an intent or a plan, and all that came of it.")
class Run(Node):
    intent: str | None = described(
        "What was asked for, in a sentence; null if a plan was submitted. What would hide in it is shown as ⟦U+202E⟧."
    )
    state: RunState = described("Where it stands.")
    risk_level: Risk = described("The highest risk among its steps.")
    submitted_by: User = described("Who submitted it.")
    created_at: datetime = described("When it was recorded.")
    started_at: datetime | None = described("When its first step began to run.")
    finished_at: datetime | None = described("When it ended.")
    outcome: RunOutcome | None = described("How it ended; null until it has ended.")
    error: Failure | None = described("Why it failed, if it did.")
    waiting_for: str | None = described(
        "Why it does not go on although nobody is asked and no step waits, in a sentence; null for most."
    )
    progress: Progress = described("How many of its steps stand where, the children of lists included.")

    row: strawberry.Private[RunRow]

    def __init__(self, row: RunRow, _loaders: Loaders | None = None) -> None:
        self.row = row
        self.id = cast("strawberry.ID", ids.run_id(row.id))
        self.intent = visible_or_none(row.intent)
        self.state = _STATES[row.state]
        self.risk_level = _RISKS[row.risk]
        self.submitted_by = User(row.submitted_by, row.submitter_name, row.submitter_roles, row.submitter_kind)
        self.created_at = row.created_at
        self.started_at = row.started_at
        self.finished_at = row.finished_at
        self.outcome = None if row.outcome is None else _OUTCOMES[row.outcome]
        self.error = Failure.of(row.error_code, row.error_message)
        self.waiting_for = None
        self.progress = Progress(row)

    @strawberry.field(
        graphql_type=list[StepRef],
        description="The steps of its plan, in plan order; the children of lists are with their parents.",
    )
    def steps(
        self,
        info: Info,
        states: Annotated[
            list[StepState] | None, strawberry.argument(description="Only steps in one of these states.")
        ] = strawberry.UNSET,
    ) -> Any:
        return show(load(info).steps_of_run(self.row.id, given(states)), load(info))

    @strawberry.field(graphql_type=list[ApprovalRef], description="What people were asked in it, oldest first.")
    def approvals(
        self,
        info: Info,
        statuses: Annotated[
            list[ApprovalStatus] | None, strawberry.argument(description="Only approvals in one of these statuses.")
        ] = strawberry.UNSET,
    ) -> Any:
        return show(load(info).approvals_of_run(self.row.id, given(statuses)), load(info))

    @strawberry.field(
        graphql_type=list[str],
        description="What a person should know of the outcome, from its steps: “1 of 2 found”.",
    )
    def notices(self, info: Info) -> Any:
        return shown_texts(load(info).notices.load(self.row.id))

    @strawberry.field(
        graphql_type=JSON | None,
        description="What it answers, once it has ended; null without an answer, and where there is an error instead.",
    )
    def answer(self, info: Info) -> Any:
        return later(self._answer(info), _answer_of)

    @strawberry.field(graphql_type=Failure | None, description="Why it ended without the answer that it was to give.")
    def answer_error(self, info: Info) -> Any:
        return later(self._answer(info), _answer_error_of)

    def _answer(self, info: Info) -> AnswerRow | Awaitable[AnswerRow | None] | None:
        return load(info).answer.load(self.row.id) if self.row.elaborate else None

    @strawberry.field(
        description="How much of its answer others decide, as far as the plan says; null without an answer."
    )
    async def answer_trust(self, info: Info) -> Trust | None:
        found = await load(info).answer_trust.load(self.row.id)
        return None if found is None else Trust(found)

    @strawberry.field(description="What happened in it, from the beginning or a cursor on.")
    async def timeline(
        self,
        info: Info,
        first: Annotated[int | None, strawberry.argument(description="How many events at most.")] = 100,
        after: Annotated[
            str | None, strawberry.argument(description="The cursor of the event to go on from.")
        ] = strawberry.UNSET,
    ) -> EventConnection:
        limit = info.context.limits.page_of("Run", "timeline")
        size = page_size(first, default=100, most=limit)
        seq = place_after(given(after), lambda cursor: read_event(self.row.id, cursor))
        if seq is not None and seq > self.row.last_seq:
            raise bad_cursor()
        loaders = load(info)
        page = await loaders.events.load(EventsAfter(self.row.id, seq or 0, size))
        events = [TimelineEvent(row, loaders) for row in page.rows]
        return EventConnection(events, [event.cursor for event in events], has_more=page.has_more, after=seq)

    @strawberry.field(description="The DAG as a Mermaid flowchart, its nodes marked with their states.")
    async def diagram(self, info: Info) -> str:
        steps = await load(info).steps_of_run(self.row.id, None)
        after = await load(info).ends_before(steps)
        spend(len(steps) + sum(len(step.depends_on) for step in steps) + sum(map(len, after.values())))
        return run_diagram(steps, after)


def _answer_of(row: AnswerRow | None) -> JsonText | None:
    return None if row is None or row.answer is None else JsonText(row.answer)


def _answer_error_of(row: AnswerRow | None) -> Failure | None:
    return None if row is None else Failure.of(row.error_code, row.error_message)


@connection("run", "runs")
class RunConnection(Counted[Run]): ...
