"""Steps."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

import strawberry

from persistence import ids
from persistence.reads import StepPlace, StepRow
from persistence.states import FINISHED_STEP_STATES, Risk, SkipReason, StepState, Trust
from schema.api.info import Info, load
from schema.api.loaders import Loaders
from schema.api.types.base import (
    ApprovalRef,
    Failure,
    Lazy,
    Node,
    RunRef,
    StepRef,
    ToolCallRef,
    described,
    json_of,
    related,
    show,
    shown_texts,
    shows,
)
from schema.api.types.connections import Counted, connection
from schema.api.types.origins import ArgOrigin, origins_of_step
from schema.fast.scalars import JSON, write_time
from schema.shared.visible import visible

__all__ = ["Step", "StepConnection"]

_STATES = {str(state): state for state in StepState}
_REASONS = {str(reason): reason for reason in SkipReason}
_RISKS = tuple(Risk)
_MOST_NAMED = 3


@shows(StepRow)
@strawberry.type(
    description="One step of a run: one tool, called with its arguments when all that it waits for is there."
)
class Step(Node, Lazy):
    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "args": json_of("args"),
        "resolved_args": json_of("resolved_args"),
        "result": json_of("result"),
        "waiting_for": lambda step: _waiting_for(step),  # noqa: PLW0108 - it stands below
        "depends_on": lambda step: show(step.loaders.neighbours(step.row.run_id, step.row.depends_on), step.loaders),
        "dependents": lambda step: show(step.loaders.neighbours(step.row.run_id, step.row.dependents), step.loaders),
        "approvals": lambda step: show(step.loaders.approvals_of(step.place), step.loaders),
        "tool_calls": lambda step: show(step.loaders.calls_of(step.place), step.loaders),
        "notices": lambda step: shown_texts(step.loaders.notices_of(step.place)),
    }

    key: str = described("The step's own name within its plan, unique in the run.")
    name: str = described("What it does, for people.")
    tool: str = described("The name of the tool that it calls.")
    risk_level: Risk = described("The highest of its tool's, its plan's and the policy's.")
    state: StepState = described("Where it stands.")
    skip_reason: SkipReason | None = described("Why it was skipped, if it was.")
    waiting_for: str | None = described("Why it is not running now, in a sentence; null when it is, or has ended.")
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
    depends_on: list[StepRef] = described("The steps that it waits for, in the order of its plan.")
    dependents: list[StepRef] = described("The steps that wait for it, in plan order.")
    approvals: list[ApprovalRef] = described("What people were asked about it, oldest first.")
    tool_calls: list[ToolCallRef] = described("The calls of its tool, by attempt.")
    notices: list[str] = described("What a person should know of its outcome although it succeeded: “1 of 2 found”.")
    created_at: datetime = described("When it was recorded.")
    ready_at: datetime | None = described("When it first became ready.")
    started_at: datetime | None = described("When its first attempt began.")
    finished_at: datetime | None = described("When it ended.")

    row: strawberry.Private[StepRow]
    loaders: strawberry.Private[Any]

    def __init__(self, row: StepRow, loaders: Loaders) -> None:
        self.row = row
        self.loaders = loaders
        self.id = cast("strawberry.ID", ids.step_id(row.run_id, row.position))
        self.key = visible(row.key)
        self.name = visible(row.name)
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
        # At once where they are known: steps come by the thousand, and a lazy attribute takes several times as long.
        place = self.place
        if (calls := loaders.known_calls.get(place)) is not None:
            self.tool_calls = show(calls, loaders)
        if (approvals := loaders.known_approvals.get(place)) is not None:
            self.approvals = show(approvals, loaders)

    @property
    def place(self) -> StepPlace:
        """Where it stands: its run, and its position there."""
        return self.row.run_id, self.row.position

    @property
    def run_at_hand(self) -> Any:
        return show(self.loaders.known_run(self.row.run_id), self.loaders)

    @strawberry.field(description="Where its arguments come from, those that its tool fills in too.")
    async def origins(self, info: Info) -> list[ArgOrigin]:
        return await origins_of_step(self.place, load(info), info.context.engine.registry)

    @strawberry.field(description="How much of its result others decide: what its tool reads, and all its arguments.")
    async def trust(self, info: Info) -> Trust:
        row = await load(info).origins.load(self.place)
        return Trust.PLAN if row is None else Trust(row.trust)

    @related(RunRef, "The run that it belongs to.", at_hand="run_at_hand")
    def run(self, info: Info) -> Any:
        return show(load(info).run_of(self.row.run_id), load(info))


@connection("step", "steps")
class StepConnection(Counted[Step]): ...


def _waiting_for(step: Step) -> "str | Awaitable[str] | None":
    match step.state:
        case StepState.PENDING:
            before = cast("list[Step] | Awaitable[list[Step]]", step.depends_on)
            return _named(before) if isinstance(before, list) else _named_later(before)
        case StepState.BLOCKED if step.row.is_in_doubt:
            return "Waiting for a person to say whether its call happened."
        case StepState.BLOCKED:
            return "Waiting for a person to approve it."
        case StepState.READY if step.row.due_at is not None and not step.row.is_due:
            return f"Its next attempt comes at {write_time(step.row.due_at)}."
        case StepState.READY:
            return "Waiting for a free worker."
        case _:
            return None


def _named(before: list[Step]) -> str:
    names = [f"“{step.name}”" for step in before if step.state not in FINISHED_STEP_STATES]
    if not names:
        # They have ended since the step itself was read.
        return "About to be ready."
    if len(names) > _MOST_NAMED:
        names[_MOST_NAMED - 1 :] = [f"{len(names) - _MOST_NAMED + 1} more steps"]
    *others, last = names
    return f"Waiting for {', '.join(others)} and {last}." if others else f"Waiting for {last}."


async def _named_later(before: Awaitable[list[Step]]) -> str:
    return _named(await before)
