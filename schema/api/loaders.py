"""Loaders: the rows that related fields ask for one by one are read in one statement for all of them.

They live as long as one operation (one event, one mutation's answer) and so never answer with what was true before.

Steps and events come by the thousand, so what the operation shows around them is read with them, and is there when
their fields are looked at: an awaitable for each of them would cost more than all the statements together.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from persistence.reads import (
    AnswerRow,
    ApprovalRow,
    ChildrenAfter,
    DirectiveRow,
    EventRow,
    EventsAfter,
    OriginsRow,
    Page,
    ParallelRow,
    Reads,
    RunRow,
    StepPlace,
    StepRow,
    ToolCallRow,
    UserRow,
)
from persistence.scope import Scope
from persistence.states import ApprovalStatus, StepState
from schema.fast.batches import batches
from schema.shared.faults import NOT_FOUND, RequestError

__all__ = ["Loaders"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_TEXTS: Final = (
    ("Run.answer", "answer"),
    ("Step.args", "args"),
    ("Step.resolvedArgs", "resolved_args"),
    ("Step.result", "result"),
    ("Approval.proposedArgs", "proposed_args"),
    ("Approval.editedArgs", "edited_args"),
    ("ToolCall.args", "args"),
    ("ToolCall.result", "result"),
    ("Approval.warnings", "proposed_args"),
    ("Approval.warnings", "edited_args"),
    ("Approval.origins", "proposed_args"),
    ("Approval.origins", "edited_args"),
    ("Approval.outsideDestinations", "proposed_args"),
    ("Approval.outsideDestinations", "edited_args"),
)
"""The fields whose JSON may be large, with their columns."""

_DIRECTED: Final = frozenset({"Step.when", "Step.after", "Step.forEach", "Run.diagram"})
"""The fields that show what plans say of steps beside what they call."""

_MOST_NOTICES: Final = 100
"""How many notices of its steps are shown on a run."""


class Loaders:
    """What one operation reads, in the viewer's scope. `fields` are those that it selects, as `Type.field`."""

    def __init__(self, reads: Reads, scope: Scope, fields: Collection[str]) -> None:
        self._reads = reads
        self._scope = scope
        self._fields = fields
        self._runs: dict[UUID, RunRow] = {}
        self._steps: dict[StepPlace, StepRow] = {}
        self._approvals: dict[UUID, ApprovalRow] = {}
        self.known_calls: dict[StepPlace, list[ToolCallRow]] = {}
        self.known_approvals: dict[StepPlace, list[ApprovalRow]] = {}
        """The lists of steps that were read with them."""
        self._notices_of: dict[StepPlace, list[str]] = {}
        self._directives: dict[StepPlace, DirectiveRow | None] = {}
        self._parallel: dict[StepPlace, ParallelRow | None] = {}
        self.shown: dict[int, Any] = {}
        """What `show` made of rows, by their identity."""
        self._batched: dict[Hashable, DataLoader[Any, Any]] = {}

    def forget(self) -> None:
        """Let go of all that was read: it refers back to here, and would stay until garbage is collected."""
        self._runs.clear()
        self._steps.clear()
        self._approvals.clear()
        self.known_calls.clear()
        self.known_approvals.clear()
        self._notices_of.clear()
        self._directives.clear()
        self._parallel.clear()
        self.shown.clear()
        self._batched.clear()

    def texts(self, of: str) -> frozenset[str]:
        """The columns with JSON of this type that the operation shows."""
        return frozenset(column for field, column in _TEXTS if field in self._fields and field.startswith(f"{of}."))

    # ── one of a kind ──

    @property
    def run(self) -> "DataLoader[UUID, RunRow | None]":
        """Runs by id."""
        return self._batches("run", self._load_runs)

    @property
    def step(self) -> "DataLoader[StepPlace, StepRow | None]":
        """Steps by place."""
        return self._batches("step", self._load_steps)

    @property
    def approval(self) -> "DataLoader[UUID, ApprovalRow | None]":
        """Approvals by id."""
        return self._batches("approval", self._load_approvals)

    @property
    def user(self) -> "DataLoader[UUID, UserRow | None]":
        """People by id."""
        return self._batches("user", self._load_users)

    @property
    def notices(self) -> "DataLoader[UUID, list[str]]":
        """The notices of a run's steps."""
        return self._batches("notices", self._load_notices)

    @property
    def answer(self) -> "DataLoader[UUID, AnswerRow | None]":
        """The answers of elaborate runs."""
        return self._batches("answer", self._load_answers)

    @property
    def origins(self) -> "DataLoader[StepPlace, OriginsRow | None]":
        """Where the arguments of steps come from, by place."""
        return self._batches("origins", self._load_origins)

    @property
    def positions(self) -> "DataLoader[tuple[UUID, str], int | None]":
        """The positions of steps, by their run and key."""
        return self._batches("positions", self._load_positions)

    @property
    def answer_trust(self) -> "DataLoader[UUID, int | None]":
        """The trust of what runs answer; None for those that answer nothing."""
        return self._batches("answer trust", self._load_answer_trusts)

    @property
    def events(self) -> "DataLoader[EventsAfter, Page[EventRow]]":
        """Pages of timelines."""
        return self._batches("events", self._load_events)

    def _batches(self, what: Hashable, read: Callable[[list[K]], Awaitable[Sequence[T]]]) -> "DataLoader[K, T]":
        """The loader of these, which reads in one statement what is asked for at a time."""
        known = self._batched.get(what)
        if known is None:
            known = self._batched[what] = batches(read)
        return known

    def know_runs(self, rows: Iterable[RunRow]) -> None:
        """Answer with these runs, which were read as a list, instead of reading them again."""
        self._runs.update((row.id, row) for row in rows)

    def known_run(self, run: UUID) -> RunRow:
        """The run, which was read before; `KeyError` if it was not. So with the next two."""
        return self._runs[run]

    def known_step(self, place: StepPlace) -> StepRow:
        """The step at this place."""
        return self._steps[place]

    def known_approval(self, approval: UUID) -> ApprovalRow:
        """The approval."""
        return self._approvals[approval]

    def run_of(self, run: UUID) -> "RunRow | Awaitable[RunRow]":
        """The run of something that the viewer sees."""
        return self._runs.get(run) or _there(self.run.load(run))

    def step_of(self, run: UUID, position: int) -> "StepRow | Awaitable[StepRow]":
        """The step of something that the viewer sees."""
        place = (run, position)
        return self._steps.get(place) or _there(self.step.load(place))

    async def _load_runs(self, ids: list[UUID]) -> list[RunRow | None]:
        await self._know_runs(ids)
        return [self._runs.get(id_) for id_ in ids]

    async def _load_steps(self, places: list[StepPlace]) -> list[StepRow | None]:
        unknown = [place for place in places if place not in self._steps]
        if unknown:
            rows = await self._reads.steps(self._scope, unknown, texts=self.texts("Step"))
            await self.steps_from(rows.values())
        return [self._steps.get(place) for place in places]

    async def _load_approvals(self, ids: list[UUID]) -> list[ApprovalRow | None]:
        await self._know_approvals(ids)
        return [self._approvals.get(id_) for id_ in ids]

    async def _load_users(self, ids: list[UUID]) -> list[UserRow | None]:
        rows = await self._reads.users(self._scope, ids)
        return [rows.get(id_) for id_ in ids]

    # ── lists of a run ──

    def steps_of_run(self, run: UUID, states: Collection[StepState] | None) -> Awaitable[list[StepRow]]:
        """A run's steps (in these states), in plan order."""

        async def read(runs: list[UUID]) -> list[list[StepRow]]:
            rows = await self._reads.steps_of_runs(self._scope, runs, states=states, texts=self.texts("Step"))
            return _grouped(runs, await self.steps_from(rows), lambda step: step.run_id)

        return self._batches(("steps", _any_of(states)), read).load(run)

    def approvals_of_run(self, run: UUID, statuses: Collection[ApprovalStatus] | None) -> Awaitable[list[ApprovalRow]]:
        """A run's approvals (in these statuses), oldest first."""

        async def read(runs: list[UUID]) -> list[list[ApprovalRow]]:
            texts = self.texts("Approval")
            rows = await self._reads.approvals_of_runs(self._scope, runs, statuses=statuses, texts=texts)
            return _grouped(runs, await self.approvals_from(rows), lambda approval: approval.run_id)

        return self._batches(("approvals", _any_of(statuses)), read).load(run)

    async def _load_answers(self, runs: list[UUID]) -> list[AnswerRow | None]:
        found = await self._reads.answers_of_runs(self._scope, runs, texts=self.texts("Run"))
        return [found.get(run) for run in runs]

    async def _load_notices(self, runs: list[UUID]) -> list[list[str]]:
        found = await self._reads.notices_of_runs(self._scope, runs, most=_MOST_NOTICES)
        return [list(found.get(run, ())) for run in runs]

    async def _load_origins(self, places: list[StepPlace]) -> list[OriginsRow | None]:
        rows = await self._reads.origins_of_steps(self._scope, places)
        return [rows.get(place) for place in places]

    async def _load_positions(self, keys: list[tuple[UUID, str]]) -> list[int | None]:
        found = await self._reads.positions(self._scope, keys)
        return [found.get(key) for key in keys]

    async def _load_answer_trusts(self, runs: list[UUID]) -> list[int | None]:
        found = await self._reads.answer_trusts(self._scope, runs)
        return [found.get(run) for run in runs]

    async def _load_events(self, wanted: list[EventsAfter]) -> list[Page[EventRow]]:
        pages = await self._reads.pages_of_events(self._scope, wanted)
        rows = [row for page in pages.values() for row in page.rows]
        await self._read_around(
            "TimelineEvent",
            runs=[row.run_id for row in rows],
            steps=[(row.run_id, row.position) for row in rows if row.position is not None],
            approvals=[row.approval_id for row in rows if row.approval_id is not None],
        )
        return [pages.get(each) or Page([], has_more=False) for each in wanted]

    # ── around what comes in lists ──

    async def approvals_from(self, rows: Iterable[ApprovalRow]) -> list[ApprovalRow]:
        """These approvals, once what the operation shows around them is read too."""
        approvals = list(rows)
        self._approvals.update((row.id, row) for row in approvals)
        await self._read_around(
            "Approval", runs=[row.run_id for row in approvals], steps=[_place(row) for row in approvals]
        )
        return approvals

    async def _read_around(
        self,
        what: str,
        *,
        runs: Collection[UUID] = (),
        steps: Collection[StepPlace] = (),
        approvals: Collection[UUID] = (),
    ) -> None:
        """Have these at hand, as far as things of this type show them: each kind in one statement."""
        if f"{what}.run" in self._fields:
            await self._know_runs(runs)
        if f"{what}.step" in self._fields:
            await self._load_steps(list(dict.fromkeys(steps)))
        if f"{what}.approval" in self._fields:
            await self._know_approvals(approvals)

    async def _know_runs(self, ids: Iterable[UUID]) -> None:
        unknown = list({id_: None for id_ in ids if id_ not in self._runs})
        if unknown:
            self.know_runs((await self._reads.runs(self._scope, unknown)).values())

    async def _know_approvals(self, ids: Iterable[UUID]) -> None:
        unknown = list({id_: None for id_ in ids if id_ not in self._approvals})
        if unknown:
            rows = await self._reads.approvals(self._scope, unknown, texts=self.texts("Approval"))
            await self.approvals_from(rows.values())

    async def steps_from(self, rows: Iterable[StepRow]) -> list[StepRow]:
        """These steps, once what the operation shows around them is read too."""
        steps = self._known(rows)
        shows_waiting = "Step.waitingFor" in self._fields
        places: set[StepPlace] = set()
        await self._read_elaborate([row for row in steps if row.elaborate])
        for row in steps:
            if "Step.parent" in self._fields and row.parent is not None:
                places.add((row.run_id, row.parent))
            if "Step.after" in self._fields or (shows_waiting and row.state == StepState.PENDING):
                directive = self._directives.get(_place(row))
                places.update((row.run_id, position) for position in (directive.after if directive else ()))
            if "Step.dependsOn" in self._fields or (shows_waiting and row.state == StepState.PENDING):
                places.update((row.run_id, position) for position in row.depends_on)
            if "Step.dependents" in self._fields:
                places.update((row.run_id, position) for position in row.dependents)
        await self._know_steps(places)
        await self._read_around("Step", runs=[row.run_id for row in steps])
        await self._read_lists(list(map(_place, steps)))
        return steps

    async def _read_elaborate(self, steps: list[StepRow]) -> None:
        """Have at hand what the operation shows of these steps beside what all have: of most runs there are none."""
        shows_waiting = "Step.waitingFor" in self._fields
        shows_directed = not _DIRECTED.isdisjoint(self._fields)
        planned = [
            _place(row)
            for row in steps
            if row.parent is None and (shows_directed or (shows_waiting and row.state == StepState.PENDING))
        ]
        if planned:
            self._directives.update(zip(planned, await self._load_directives(planned), strict=True))
        held = {(row.run_id, row.parent) for row in steps if shows_waiting and row.is_held and row.parent is not None}
        if held:
            parents = sorted(held)
            self._parallel.update(zip(parents, await self._load_parallel(parents), strict=True))

    async def _read_lists(self, places: list[StepPlace]) -> None:
        """Have at hand what the operation lists of the steps at these places: each list in one statement."""
        if places and "Step.toolCalls" in self._fields:
            self.known_calls.update(zip(places, await self._load_calls(places), strict=True))
        if places and "Step.approvals" in self._fields:
            self.known_approvals.update(zip(places, await self._load_approvals_of_steps(places), strict=True))
        if places and "Step.notices" in self._fields:
            self._notices_of.update(zip(places, await self._load_notices_of_steps(places), strict=True))

    def neighbours(self, run: UUID, positions: Sequence[int]) -> "list[StepRow] | Awaitable[list[StepRow]]":
        """Steps of a run by their positions; at once if they are known. So with the lists of a step below."""
        known = [step for position in positions if (step := self._steps.get((run, position))) is not None]
        return (
            known
            if len(known) == len(positions)
            else self._batches("neighbours", self._load_neighbours).load((run, tuple(positions)))
        )

    def calls_of(self, place: StepPlace) -> "list[ToolCallRow] | Awaitable[list[ToolCallRow]]":
        """A step's tool calls, by attempt."""
        known = self.known_calls.get(place)
        return self._batches("calls", self._load_calls).load(place) if known is None else known

    def approvals_of(self, place: StepPlace) -> "list[ApprovalRow] | Awaitable[list[ApprovalRow]]":
        """A step's approvals, oldest first."""
        known = self.known_approvals.get(place)
        return self._batches("approvals", self._load_approvals_of_steps).load(place) if known is None else known

    def notices_of(self, place: StepPlace) -> "list[str] | Awaitable[list[str]]":
        """What a step's tool said beside its result."""
        known = self._notices_of.get(place)
        return self._batches("notices of steps", self._load_notices_of_steps).load(place) if known is None else known

    def directive_of(self, step: StepRow) -> "DirectiveRow | Awaitable[DirectiveRow | None] | None":
        """What the plan says of a step beside its call, if it says anything; children have none of their own."""
        if not step.elaborate or step.parent is not None:
            return None
        place = _place(step)
        if place in self._directives:
            return self._directives[place]
        return self._batches("directives", self._load_directives).load(place)

    async def ends_before(self, steps: Iterable[StepRow]) -> dict[int, list[int]]:
        """For those of a run's steps that wait for others to end, however: the positions of those, by its own."""
        found: dict[int, list[int]] = {}
        for step in steps:
            directive = self.directive_of(step)
            row = await directive if isinstance(directive, Awaitable) else directive
            if row is not None and row.after:
                found[step.position] = row.after
        return found

    def parallel_of(self, parent: StepPlace) -> "ParallelRow | Awaitable[ParallelRow | None] | None":
        """How many of a step's children run, and may."""
        if parent in self._parallel:
            return self._parallel[parent]
        return self._batches("parallel", self._load_parallel).load(parent)

    def page_of_children(self, wanted: ChildrenAfter, states: Collection[StepState] | None) -> Awaitable[Page[StepRow]]:
        """A page of a step's children (in these states)."""

        async def read(wanted: list[ChildrenAfter]) -> list[Page[StepRow]]:
            texts = self.texts("Step")
            pages = await self._reads.pages_of_children(self._scope, wanted, states=states, texts=texts)
            await self.steps_from(row for page in pages.values() for row in page.rows)
            return [pages.get(each) or Page([], has_more=False) for each in wanted]

        return self._batches(("children", _any_of(states)), read).load(wanted)

    def number_of_children(self, parent: StepPlace, states: Collection[StepState] | None) -> Awaitable[int]:
        """How many children (in these states) a step has."""

        async def read(parents: list[StepPlace]) -> list[int]:
            found = await self._reads.count_children(self._scope, parents, states=states)
            return [found.get(parent, 0) for parent in parents]

        return self._batches(("number of children", _any_of(states)), read).load(parent)

    async def _load_directives(self, places: list[StepPlace]) -> list[DirectiveRow | None]:
        found = await self._reads.directives_of_steps(self._scope, places)
        return [found.get(place) for place in places]

    async def _load_parallel(self, parents: list[StepPlace]) -> list[ParallelRow | None]:
        found = await self._reads.parallel_children(self._scope, parents)
        return [found.get(parent) for parent in parents]

    async def _load_neighbours(self, wanted: list[tuple[UUID, tuple[int, ...]]]) -> list[list[StepRow]]:
        await self._know_steps({(run, position) for run, positions in wanted for position in positions})
        return [
            [step for position in positions if (step := self._steps.get((run, position))) is not None]
            for run, positions in wanted
        ]

    async def _load_calls(self, places: list[StepPlace]) -> list[list[ToolCallRow]]:
        rows = await self._reads.tool_calls_of_steps(self._scope, places, texts=self.texts("ToolCall"))
        return _grouped(places, rows, _place)

    async def _load_approvals_of_steps(self, places: list[StepPlace]) -> list[list[ApprovalRow]]:
        rows = await self._reads.approvals_of_steps(self._scope, places, texts=self.texts("Approval"))
        return _grouped(places, await self.approvals_from(rows), _place)

    async def _load_notices_of_steps(self, places: list[StepPlace]) -> list[list[str]]:
        found = await self._reads.notices_of_steps(self._scope, places)
        return [list(found.get(place, ())) for place in places]

    async def _know_steps(self, places: Collection[StepPlace]) -> None:
        unknown = [place for place in places if place not in self._steps]
        if unknown:
            self._known((await self._reads.steps(self._scope, unknown, texts=self.texts("Step"))).values())

    def _known(self, rows: Iterable[StepRow]) -> list[StepRow]:
        steps = list(rows)
        self._steps.update((_place(row), row) for row in steps)
        return steps


def _any_of(words: Collection[Any] | None) -> Hashable:
    return None if words is None else frozenset(words)


def _place(row: StepRow | ApprovalRow | ToolCallRow) -> StepPlace:
    return row.run_id, row.position


def _grouped(keys: Iterable[K], things: Iterable[T], key_of: Callable[[T], K]) -> list[list[T]]:
    groups: defaultdict[K, list[T]] = defaultdict(list)
    for thing in things:
        groups[key_of(thing)].append(thing)
    return [groups[key] for key in keys]


async def _there(loading: Awaitable[T | None]) -> T:
    found = await loading
    if found is None:
        raise RequestError("What this belongs to can't be seen any more.", NOT_FOUND)
    return found
