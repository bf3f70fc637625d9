"""Steps."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar, cast

import strawberry

from persistence import ids
from persistence.reads import ChildrenAfter, DirectiveRow, Page, ParallelRow, StepPlace, StepRow
from persistence.reads.cursors import read_child, write_child
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
    StepsRef,
    ToolCallRef,
    described,
    json_of,
    later,
    related,
    show,
    shown_texts,
    shows,
)
from schema.api.types.connections import DEFAULT_PAGE, After, Count, Counted, First, connection
from schema.api.types.origins import ArgOrigin, origins_of_step
from schema.api.types.pages import given, page_size, place_after
from schema.fast.scalars import JSON, write_time
from schema.shared.jsontext import JsonText, encode
from schema.shared.visible import visible

__all__ = ["Step", "StepConnection"]

_STATES = {str(state): state for state in StepState}
_REASONS = {str(reason): reason for reason in SkipReason}
_RISKS = tuple(Risk)
_MOST_NAMED = 3

_Steps = list["Step"] | Awaitable[list["Step"]]


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
        "when": lambda step: _reference(step, "condition"),
        "for_each": lambda step: _reference(step, "for_each"),
        "after": lambda step: _after(step),  # noqa: PLW0108 - it stands below
        "parent": lambda step: _parent(step),  # noqa: PLW0108 - as that
    }

    key: str = described("The step's own name within its plan, unique in the run.")
    name: str = described("What it does, for people.")
    tool: str = described("The name of the tool that it calls.")
    risk_level: Risk = described("The highest of its tool's, its plan's and the policy's.")
    state: StepState = described("Where it stands.")
    skip_reason: SkipReason | None = described("Why it was skipped, if it was.")
    waiting_for: str | None = described("Why it is not running now, in a sentence; null when it is, or has ended.")
    args: JSON = described("As planned, references unresolved.")
    resolved_args: JSON | None = described(
        "As sent to the tool, references resolved; null until the step was ready, and where its children have theirs."
    )
    result: JSON | None = described(
        "What its tool gave back, once it has succeeded; with `forEach`, each entry of the list with its result."
    )
    error: Failure | None = described("What went wrong with its last attempt, or why it failed.")
    attempt: int = described(
        "The number of its last attempt; 0 before the first. It goes on counting through a redrive."
    )
    max_attempts: int | None = described("How many attempts one execution may take in all; null: without end.")
    next_attempt_at: datetime | None = described("When it may be tried (again), while it is ready.")
    dead_lettered: bool = described("Whether it failed for good and waits for a person to send it back.")
    depends_on: list[StepRef] = described(
        "The steps that must have succeeded before it runs, in the order of its plan."
    )
    after: list[StepRef] = described(
        "Steps that must have ended, however, before it runs; `dependsOn` has those that must have succeeded."
    )
    when: JSON | None = described("The reference that decides whether it runs; null if nothing does.")
    for_each: JSON | None = described("The reference to the list that it has a child for each entry of, if it has.")
    parent: StepRef | None = described("Of a child: the step with the list that it belongs to.")
    index: int | None = described("Of a child: the place of its entry in the list, from zero.")
    dependents: list[StepRef] = described("The steps that run only if it has succeeded, in plan order.")
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
        self.index = row.child_index
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

    @strawberry.field(
        graphql_type=StepsRef,
        description="Of a step with `forEach`: its children, in the list's order; totalCount counts all that match.",
    )
    def children(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = strawberry.UNSET,
        states: Annotated[
            list[StepState] | None, strawberry.argument(description="Only children in one of these states.")
        ] = strawberry.UNSET,
    ) -> Any:
        run, position = self.place
        size = page_size(first, default=DEFAULT_PAGE, most=info.context.limits.page)
        index = place_after(given(after), lambda cursor: read_child(run, position, cursor))
        asked, loaders = given(states), load(info)
        if not self.row.expands:
            return StepConnection([], [], has_more=False, after=index, count=_none)
        wanted = ChildrenAfter(run, position, -1 if index is None else index, size)
        count = partial(loaders.number_of_children, self.place, asked)
        return later(
            loaders.page_of_children(wanted, asked), lambda page: _connected(page, loaders, after=index, count=count)
        )

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


def _connected(page: Page[StepRow], loaders: Loaders, *, after: int | None, count: Count) -> StepConnection:
    return StepConnection(
        show(page.rows, loaders),
        [write_child(row.run_id, row.parent or 0, row.child_index or 0) for row in page.rows],
        has_more=page.has_more,
        after=after,
        count=count,
    )


async def _none() -> int:
    return 0


def _reference(step: Step, field: str) -> Any:
    """A reference of the step's directive, as it is written in plans."""

    def written(directive: DirectiveRow | None) -> JsonText | None:
        expression = None if directive is None else getattr(directive, field)
        return None if expression is None else JsonText(encode({"$jmespath": expression}).decode())

    return later(step.loaders.directive_of(step.row), written)


def _after(step: Step) -> Any:
    found = cast("DirectiveRow | Awaitable[DirectiveRow | None] | None", step.loaders.directive_of(step.row))
    return _after_later(step, found) if isinstance(found, Awaitable) else _ended_first(step, found)


async def _after_later(step: Step, found: Awaitable[DirectiveRow | None]) -> Any:
    steps = _ended_first(step, await found)
    return steps if isinstance(steps, list) else await steps


def _ended_first(step: Step, directive: DirectiveRow | None) -> "_Steps":
    after = [] if directive is None else directive.after
    return show(step.loaders.neighbours(step.row.run_id, after), step.loaders)


def _parent(step: Step) -> Any:
    parent = step.row.parent
    return None if parent is None else show(step.loaders.step_of(step.row.run_id, parent), step.loaders)


def _waiting_for(step: Step) -> "str | Awaitable[str] | None":
    match step.state:
        case StepState.PENDING:
            return _named_all([cast("_Steps", step.depends_on), cast("_Steps", step.after)])
        case StepState.BLOCKED if step.row.is_in_doubt:
            return "Waiting for a person to say whether its call happened."
        case StepState.BLOCKED:
            return "Waiting for a person to approve it."
        case StepState.READY:
            return _not_begun(step)
        case _:
            return None


def _not_begun(step: Step) -> str | Awaitable[str]:
    row = step.row
    if row.is_held and row.parent is not None:
        return later(step.loaders.parallel_of((row.run_id, row.parent)), _held)
    if row.due_at is None or row.is_due:
        return "Waiting for a free worker."
    at = write_time(row.due_at)
    return f"Its next attempt comes at {at}." if row.attempt else f"Waiting until {at}."


def _held(parallel: ParallelRow | None) -> str:
    if parallel is None or parallel.most is None:
        return "Waiting for its turn."
    return f"Waiting for its turn: {parallel.running} of at most {parallel.most} are running."


def _named_all(lists: "Sequence[_Steps]") -> str | Awaitable[str]:
    at_hand = [steps for steps in lists if isinstance(steps, list)]
    return _named([step for steps in at_hand for step in steps]) if len(at_hand) == len(lists) else _named_later(lists)


async def _named_later(lists: "Sequence[_Steps]") -> str:
    return _named([step for steps in lists for step in (steps if isinstance(steps, list) else await steps)])


def _named(before: list[Step]) -> str:
    names = [f"“{step.name}”" for step in before if step.state not in FINISHED_STEP_STATES]
    if not names:
        # They have ended since the step itself was read.
        return "About to be ready."
    if len(names) > _MOST_NAMED:
        names[_MOST_NAMED - 1 :] = [f"{len(names) - _MOST_NAMED + 1} more steps"]
    *others, last = names
    return f"Waiting for {', '.join(others)} and {last}." if others else f"Waiting for {last}."
