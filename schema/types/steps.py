"""Steps."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, ClassVar, cast

import strawberry

from persistence import ids
from persistence.reads import StepRow
from persistence.states import FINISHED_STEP_STATES, Risk, SkipReason, StepState
from schema.info import Info, load
from schema.scalars import JSON, write_time
from schema.types.base import ApprovalRef, Failure, JsonTexts, Node, RunRef, StepRef, ToolCallRef, described

__all__ = ["Step"]

_STATES = {str(state): state for state in StepState}
_REASONS = {str(reason): reason for reason in SkipReason}
_RISKS = tuple(Risk)
_MOST_NAMED = 3


@strawberry.type(
    description="One step of a run: one tool, called with its arguments when all that it waits for is there."
)
class Step(Node, JsonTexts):
    json_texts: ClassVar[Mapping[str, Callable[[Any], str | None]]] = {
        "args": attrgetter("args"),
        "resolved_args": attrgetter("resolved_args"),
        "result": attrgetter("result"),
    }

    key: str = described("The step's own name within its plan, unique in the run.")
    name: str = described("What it does, for people.")
    tool: str = described("The name of the tool that it calls.")
    risk_level: Risk = described("The highest of its tool's, its plan's and the policy's.")
    state: StepState = described("Where it stands.")
    skip_reason: SkipReason | None = described("Why it was skipped, if it was.")
    args: JSON = described("As planned, references unresolved.")
    resolved_args: JSON | None = described("As sent to the tool, references resolved; null until the step was ready.")
    result: JSON | None = described("What its tool gave back, once it has succeeded.")
    error: Failure | None = described("What went wrong with its last attempt, or why it failed.")
    attempt: int = described(
        "The number of its last attempt; 0 before the first. It goes on counting through a redrive."
    )
    max_attempts: int | None = described("How many attempts one execution may take in all; null: without end.")
    next_attempt_at: datetime | None = described("When it may be tried (again), while it is ready.")
    dead_lettered: bool = described("Whether it failed for good and waits for a person to send it back.")
    created_at: datetime = described("When it was recorded.")
    ready_at: datetime | None = described("When it first became ready.")
    started_at: datetime | None = described("When its first attempt began.")
    finished_at: datetime | None = described("When it ended.")

    row: strawberry.Private[StepRow]

    def __init__(self, row: StepRow) -> None:
        self.row = row
        self.id = cast("strawberry.ID", ids.step_id(row.run_id, row.position))
        self.key = row.key
        self.name = row.name
        self.tool = row.tool
        self.risk_level = _RISKS[row.risk]
        self.state = _STATES[row.state]
        self.skip_reason = None if row.skip_reason is None else _REASONS[row.skip_reason]
        self.error = Failure.of(row.error_code, row.error_message)
        self.attempt = row.attempt
        self.max_attempts = row.max_attempts
        self.next_attempt_at = row.due_at
        self.dead_lettered = row.dead_lettered
        self.created_at = row.created_at
        self.ready_at = row.ready_at
        self.started_at = row.started_at
        self.finished_at = row.finished_at

    @strawberry.field(
        graphql_type=str | None,
        description="Why it is not running now, in a sentence; null when it is, or has ended.",
    )
    def waiting_for(self, info: Info) -> Any:
        match self.state:
            case StepState.PENDING:
                return self._pending_for(info)
            case StepState.BLOCKED if self.row.is_in_doubt:
                return "Waiting for a person to say whether its call happened."
            case StepState.BLOCKED:
                return "Waiting for a person to approve it."
            case StepState.READY if self.row.due_at is not None and not self.row.is_due:
                return f"Its next attempt comes at {write_time(self.row.due_at)}."
            case StepState.READY:
                return "Waiting for a free worker."
            case _:
                return None

    def _pending_for(self, info: Info) -> "str | Awaitable[str]":
        before = load(info).neighbours(self.row.run_id, self.row.depends_on)
        return _waiting_for(before) if isinstance(before, list) else _waiting_for_later(before)

    @strawberry.field(graphql_type=list[StepRef], description="The steps that it waits for, in the order of its plan.")
    def depends_on(self, info: Info) -> Any:
        return load(info).neighbours(self.row.run_id, self.row.depends_on)

    @strawberry.field(graphql_type=list[StepRef], description="The steps that wait for it, in plan order.")
    def dependents(self, info: Info) -> Any:
        return load(info).neighbours(self.row.run_id, self.row.dependents)

    @strawberry.field(graphql_type=list[ApprovalRef], description="What people were asked about it, oldest first.")
    def approvals(self, info: Info) -> Any:
        return load(info).approvals_of_step.load((self.row.run_id, self.row.position))

    @strawberry.field(graphql_type=list[ToolCallRef], description="The calls of its tool, by attempt.")
    def tool_calls(self, info: Info) -> Any:
        return load(info).tool_calls_of_step.load((self.row.run_id, self.row.position))

    @strawberry.field(graphql_type=RunRef, description="The run that it belongs to.")
    def run(self, info: Info) -> Any:
        return load(info).run_of(self.row.run_id)


def _waiting_for(before: list[Step]) -> str:
    names = [f"“{step.name}”" for step in before if step.state not in FINISHED_STEP_STATES]
    if not names:
        # They have ended since the step itself was read.
        return "About to be ready."
    if len(names) > _MOST_NAMED:
        names[_MOST_NAMED - 1 :] = [f"{len(names) - _MOST_NAMED + 1} more steps"]
    *others, last = names
    return f"Waiting for {', '.join(others)} and {last}." if others else f"Waiting for {last}."


async def _waiting_for_later(before: Awaitable[list[Step]]) -> str:
    return _waiting_for(await before)
