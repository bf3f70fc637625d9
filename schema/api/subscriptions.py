"""What can be followed."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from engine.access import may_decide
from persistence import ids
from persistence.reads import RunRow
from persistence.reads.cursors import read_event
from persistence.timeline import Push
from schema.api.context import Context
from schema.api.info import Info, load
from schema.api.types.approvals import Approval
from schema.api.types.base import show
from schema.api.types.connections import After
from schema.api.types.events import TimelineEvent
from schema.api.types.pages import bad_cursor, given, place_after
from schema.shared.faults import NOT_FOUND, UNAUTHENTICATED, RequestError

__all__ = ["Subscription"]


@strawberry.type(description="What can be followed. Each event goes only to who may see it when it comes.")
class Subscription:
    @strawberry.subscription(
        description=(
            "The run's events in order, from `after` (or the first) on: the recorded ones, then the live ones, each "
            "exactly once. It completes after an event that ends the run, unless a later one is recorded (a redriven "
            "run's goes on through WORKFLOW_FAILED)."
        )
    )
    async def timeline(
        self,
        info: Info,
        run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],
        after: After = strawberry.UNSET,
    ) -> AsyncGenerator[TimelineEvent, None]:
        run = await _run(info, run_id)
        seq = place_after(given(after), lambda cursor: read_event(run.id, cursor))
        if seq is not None and seq > run.last_seq:
            raise bad_cursor()
        return _events(info.context, run, seq or 0)

    @strawberry.subscription(
        description=(
            "Every approval that this viewer may decide: those waiting now, then each as it is asked for or changes."
        )
    )
    async def approvals(self, info: Info) -> AsyncGenerator[Approval, None]:
        return _approvals(info)


async def _run(info: Info, run_id: str) -> RunRow:
    run = ids.parse_as(ids.RUN, run_id)
    found = None if run is None else await load(info).run.load(run)
    if found is None:
        raise RequestError("There is no such run.", NOT_FOUND)
    return found


async def _events(context: Context, run: RunRow, after: int) -> AsyncGenerator[TimelineEvent, None]:
    async with aclosing(context.services.timeline.follow(run.id, after, push=_pushing(context))) as events:
        async for event in events:
            _check(context)
            yield TimelineEvent(event)


def _pushing(context: Context) -> Push | None:
    push = context.push
    if push is None:
        return None
    # A viewer who may have no more of them notices when the next one is fetched, and gets an error.
    return lambda row: context.still_allowed() and push(row.memo, lambda: TimelineEvent(row))


async def _approvals(info: Info) -> AsyncGenerator[Approval, None]:
    context = info.context
    separation = context.engine.settings.separation_of_duties
    async with aclosing(context.services.approvals_feed.follow()) as changes:
        async for change in changes:
            if not may_decide(context.viewer, change.submitted_by, separation_of_duties=separation):
                continue
            _check(context)
            context.forget()
            approval = await load(info).approval.load(change.approval)
            if approval is not None:
                yield show(approval, load(info))


def _check(context: Context) -> None:
    if not context.still_allowed():
        raise RequestError("Your token holds no more.", UNAUTHENTICATED)
