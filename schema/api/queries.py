"""What can be asked."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from functools import partial
from typing import Annotated

import strawberry

from engine.errors import EngineError
from persistence import ids
from persistence.reads import ApprovalFilter as ApprovalsWanted
from persistence.reads import Position
from persistence.reads import RunFilter as RunsWanted
from persistence.reads.cursors import APPROVALS, DEAD_LETTERS, RUNS, read_place, write_place
from schema.api.audit_log import audit_page
from schema.api.info import Info, load
from schema.api.types.approvals import Approval, ApprovalConnection
from schema.api.types.audit import AuditConnection, AuditFilter
from schema.api.types.base import Node, show
from schema.api.types.connections import DEFAULT_PAGE, After, First
from schema.api.types.errors import user_errors
from schema.api.types.inputs import ApprovalFilter, PlanInput, RunFilter
from schema.api.types.pages import given, page_size, place_after
from schema.api.types.previews import PlanPreview
from schema.api.types.runs import Run, RunConnection
from schema.api.types.steps import Step, StepConnection
from schema.api.types.tools import Tool
from schema.api.types.users import User

__all__ = ["Query"]

Id = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.type(description="What can be asked. What you may not see does not exist for you: it is null, or missing.")
class Query:
    @strawberry.field(description="Anything by its id.")
    async def node(self, info: Info, id: Id) -> Node | None:  # noqa: A002
        match ids.parse(id):
            case (ids.RUN, run, _):
                return show(await load(info).run.load(run), load(info))
            case (ids.STEP, run, position):
                return show(await load(info).step.load((run, position)), load(info))
            case (ids.APPROVAL, approval, _):
                return show(await load(info).approval.load(approval), load(info))
            case (ids.USER, user, _):
                return User.of(await load(info).user.load(user))
            case _:
                return None

    @strawberry.field(description="You.")
    def viewer(self, info: Info) -> User:
        viewer = info.context.viewer
        return User(viewer.id, viewer.name, viewer.roles, viewer.kind)

    @strawberry.field(description="A run by its id.")
    async def run(self, info: Info, id: Id) -> Run | None:  # noqa: A002
        run = ids.parse_as(ids.RUN, id)
        return None if run is None else show(await load(info).run.load(run), load(info))

    @strawberry.field(description="Runs, newest first; totalCount counts all that match.")
    async def runs(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            RunFilter | None, strawberry.argument(description="Which runs; all if left out.")
        ] = strawberry.UNSET,
        first: First = DEFAULT_PAGE,
        after: After = strawberry.UNSET,
    ) -> RunConnection:
        reads, scope = info.context.reads, info.context.scope
        asked = given(filter)
        wanted = RunsWanted() if asked is None else asked.wanted()
        size, place = _page(info, first, after, RUNS)
        page = await reads.page_of_runs(scope, wanted, first=size, after=place)
        load(info).know_runs(page.rows)
        return RunConnection(
            show(list(page.rows), load(info)),
            [write_place(RUNS, Position(row.created_at, row.id)) for row in page.rows],
            has_more=page.has_more,
            after=place,
            count=partial(reads.count_runs, scope, wanted),
        )

    @strawberry.field(description="A step by its id.")
    async def step(self, info: Info, id: Id) -> Step | None:  # noqa: A002
        place = ids.parse_step(id)
        return None if place is None else show(await load(info).step.load(place), load(info))

    @strawberry.field(description="An approval by its id.")
    async def approval(self, info: Info, id: Id) -> Approval | None:  # noqa: A002
        approval = ids.parse_as(ids.APPROVAL, id)
        return None if approval is None else show(await load(info).approval.load(approval), load(info))

    @strawberry.field(description="Approvals, newest first; totalCount counts all that match.")
    async def approvals(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            ApprovalFilter | None, strawberry.argument(description="Which approvals; all if left out.")
        ] = strawberry.UNSET,
        first: First = DEFAULT_PAGE,
        after: After = strawberry.UNSET,
    ) -> ApprovalConnection:
        reads, scope, loaders = info.context.reads, info.context.scope, load(info)
        asked = given(filter)
        wanted = ApprovalsWanted() if asked is None else asked.wanted()
        size, place = _page(info, first, after, APPROVALS)
        if wanted is None:
            return ApprovalConnection([], [], has_more=False, after=place, count=_none)
        page = await reads.page_of_approvals(scope, wanted, first=size, after=place, texts=loaders.texts("Approval"))
        return ApprovalConnection(
            show(await loaders.approvals_from(page.rows), loaders),
            [write_place(APPROVALS, Position(row.created_at, row.id)) for row in page.rows],
            has_more=page.has_more,
            after=place,
            count=partial(reads.count_approvals, scope, wanted),
        )

    @strawberry.field(
        description=(
            "Steps whose attempts ran out and that wait for a person, the last to fail first. Those of cancelled runs "
            "wait for nobody."
        )
    )
    async def dead_letters(
        self, info: Info, first: First = DEFAULT_PAGE, after: After = strawberry.UNSET
    ) -> StepConnection:
        reads, scope, loaders = info.context.reads, info.context.scope, load(info)
        size, place = _page(info, first, after, DEAD_LETTERS)
        page = await reads.page_of_dead_letters(scope, first=size, after=place, texts=loaders.texts("Step"))
        return StepConnection(
            show(await loaders.steps_from(page.rows), loaders),
            [
                write_place(DEAD_LETTERS, Position(row.finished_at or row.created_at, row.run_id, row.position))
                for row in page.rows
            ],
            has_more=page.has_more,
            after=place,
            count=partial(reads.count_dead_letters, scope),
        )

    @strawberry.field(
        description="Who asked for what, from where, and what became of it, the latest first. For administrators."
    )
    async def audit_log(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            AuditFilter | None, strawberry.argument(description="Which lines; all if left out.")
        ] = strawberry.UNSET,
        first: First = DEFAULT_PAGE,
        after: After = strawberry.UNSET,
    ) -> AuditConnection | None:
        return await audit_page(info, given(filter), first=first, default=DEFAULT_PAGE, after=given(after))

    @strawberry.field(description="All tools, by name.")
    def tools(self, info: Info) -> list[Tool]:
        return [Tool(tool) for tool in info.context.engine.registry]

    @strawberry.field(description="What would run for this intent or plan; nothing is stored or started.")
    async def preview_plan(
        self,
        info: Info,
        intent: Annotated[
            str | None, strawberry.argument(description="What you want done, in a sentence.")
        ] = strawberry.UNSET,
        plan: Annotated[
            PlanInput | None, strawberry.argument(description="What to do, step by step.")
        ] = strawberry.UNSET,
    ) -> PlanPreview:
        asked = given(plan)
        try:
            return PlanPreview(
                await info.context.engine.preview(
                    info.context.viewer, intent=given(intent), plan=None if asked is None else asked.plan()
                )
            )
        except EngineError as error:
            return PlanPreview(errors=user_errors(error))


def _page(info: Info, first: int | None, after: str | None, cursors: bytes) -> tuple[int, Position | None]:
    """How many entries are asked for, and after which place."""
    size = page_size(first, default=DEFAULT_PAGE, most=info.context.limits.page)
    return size, place_after(given(after), partial(read_place, cursors))


async def _none() -> int:
    return 0
