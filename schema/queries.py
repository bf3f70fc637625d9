"""What can be asked."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from functools import partial
from typing import Annotated

import strawberry

from engine.errors import EngineError
from persistence import ids
from persistence.reads import ApprovalFilter as ApprovalsWanted
from persistence.reads import Page
from persistence.reads import RunFilter as RunsWanted
from persistence.reads.cursors import APPROVALS, DEAD_LETTERS, RUNS, read_place
from schema.errors import user_errors
from schema.info import Info, load
from schema.types.approvals import Approval
from schema.types.audit import AuditConnection, AuditFilter, audit_page
from schema.types.base import Node
from schema.types.connections import After, ApprovalConnection, First, RunConnection, StepConnection
from schema.types.inputs import ApprovalFilter, PlanInput, RunFilter
from schema.types.pages import given, page_size, place_after
from schema.types.previews import PlanPreview
from schema.types.runs import Run
from schema.types.steps import Step
from schema.types.tools import Tool
from schema.types.users import User

__all__ = ["DEFAULT_PAGE", "Query"]

DEFAULT_PAGE = 20

Id = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.type(description="What can be asked. What you may not see does not exist for you: it is null, or missing.")
class Query:
    @strawberry.field(description="Anything by its id.")
    async def node(self, info: Info, id: Id) -> Node | None:  # noqa: A002
        match ids.parse(id):
            case (ids.RUN, run, _):
                return await load(info).run.load(run)
            case (ids.STEP, run, position):
                return await load(info).step.load((run, position))
            case (ids.APPROVAL, approval, _):
                return await load(info).approval.load(approval)
            case (ids.USER, user, _):
                return await load(info).user.load(user)
            case _:
                return None

    @strawberry.field(description="You.")
    def viewer(self, info: Info) -> User:
        viewer = info.context.viewer
        return User(viewer.id, viewer.name, viewer.roles)

    @strawberry.field(description="A run by its id.")
    async def run(self, info: Info, id: Id) -> Run | None:  # noqa: A002
        run = ids.parse_as(ids.RUN, id)
        return None if run is None else await load(info).run.load(run)

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
        context, reads = info.context, info.context.reads
        asked = given(filter)
        wanted = RunsWanted() if asked is None else asked.wanted()
        size = page_size(first, default=DEFAULT_PAGE, most=context.limits.page)
        place = place_after(given(after), partial(read_place, RUNS))
        page = await reads.page_of_runs(context.scope, wanted, first=size, after=place)
        connection = RunConnection(page, after=place, count=partial(reads.count_runs, context.scope, wanted))
        load(info).know_runs(connection.nodes)
        return connection

    @strawberry.field(description="A step by its id.")
    async def step(self, info: Info, id: Id) -> Step | None:  # noqa: A002
        place = ids.parse_step(id)
        return None if place is None else await load(info).step.load(place)

    @strawberry.field(description="An approval by its id.")
    async def approval(self, info: Info, id: Id) -> Approval | None:  # noqa: A002
        approval = ids.parse_as(ids.APPROVAL, id)
        return None if approval is None else await load(info).approval.load(approval)

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
        context, reads = info.context, info.context.reads
        asked = given(filter)
        wanted = ApprovalsWanted() if asked is None else asked.wanted()
        size = page_size(first, default=DEFAULT_PAGE, most=context.limits.page)
        place = place_after(given(after), partial(read_place, APPROVALS))
        if wanted is None:
            return ApprovalConnection(Page([], has_more=False), [], after=place, count=_none)
        page = await reads.page_of_approvals(
            context.scope, wanted, first=size, after=place, texts=load(info).texts(Approval)
        )
        approvals = await load(info).approvals_from(page.rows)
        return ApprovalConnection(
            page, approvals, after=place, count=partial(reads.count_approvals, context.scope, wanted)
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
        context, reads = info.context, info.context.reads
        size = page_size(first, default=DEFAULT_PAGE, most=context.limits.page)
        place = place_after(given(after), partial(read_place, DEAD_LETTERS))
        page = await reads.page_of_dead_letters(context.scope, first=size, after=place, texts=load(info).texts(Step))
        steps = await load(info).steps_from(page.rows)
        return StepConnection(page, steps, after=place, count=partial(reads.count_dead_letters, context.scope))

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


async def _none() -> int:
    return 0
