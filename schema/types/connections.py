"""Connections: lists in pages, newest first, that can say how many there are in all."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101, D102

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry

from persistence.reads import ApprovalRow, Page, Place, RunRow, StepRow
from persistence.reads.cursors import APPROVALS, DEAD_LETTERS, RUNS, write_place
from schema.types.approvals import Approval
from schema.types.base import described
from schema.types.pages import PageInfo, page_info
from schema.types.runs import Run
from schema.types.steps import Step

__all__ = ["After", "ApprovalConnection", "First", "RunConnection", "StepConnection"]

Count = Callable[[], Awaitable[int]]
"""Counts all that match; asked only when a client wants to know."""

First = Annotated[int | None, strawberry.argument(description="How many entries at most.")]
After = Annotated[str | None, strawberry.argument(description="The cursor of the entry to go on from.")]

_TOTAL = "How many match, on all pages."


@strawberry.type(description="A run and its place in the list.")
class RunEdge:
    cursor: str = described("Where it stands.")
    node: Run = described("The run.")


@strawberry.type(description="A page of runs.")
class RunConnection:
    edges: list[RunEdge] = described("The runs with their cursors.")
    nodes: list[Run] = described("The runs.")
    page_info: PageInfo = described("Where this page stands.")

    count: strawberry.Private[Count]

    def __init__(self, page: Page[RunRow], *, after: Place | None, count: Count) -> None:
        self.nodes = [Run(row) for row in page.rows]
        cursors = [write_place(RUNS, Place(row.created_at, row.id)) for row in page.rows]
        self.edges = [RunEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, self.nodes, strict=True)]
        self.page_info = page_info(cursors, has_more=page.has_more, after=after)
        self.count = count

    @strawberry.field(description=_TOTAL)
    async def total_count(self) -> int:
        return await self.count()


@strawberry.type(description="An approval and its place in the list.")
class ApprovalEdge:
    cursor: str = described("Where it stands.")
    node: Approval = described("The approval.")


@strawberry.type(description="A page of approvals.")
class ApprovalConnection:
    edges: list[ApprovalEdge] = described("The approvals with their cursors.")
    nodes: list[Approval] = described("The approvals.")
    page_info: PageInfo = described("Where this page stands.")

    count: strawberry.Private[Count]

    def __init__(self, page: Page[ApprovalRow], nodes: list[Approval], *, after: Place | None, count: Count) -> None:
        self.nodes = nodes
        cursors = [write_place(APPROVALS, Place(row.created_at, row.id)) for row in page.rows]
        self.edges = [ApprovalEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, self.nodes, strict=True)]
        self.page_info = page_info(cursors, has_more=page.has_more, after=after)
        self.count = count

    @strawberry.field(description=_TOTAL)
    async def total_count(self) -> int:
        return await self.count()


@strawberry.type(description="A step and its place in the list.")
class StepEdge:
    cursor: str = described("Where it stands.")
    node: Step = described("The step.")


@strawberry.type(description="A page of steps.")
class StepConnection:
    edges: list[StepEdge] = described("The steps with their cursors.")
    nodes: list[Step] = described("The steps.")
    page_info: PageInfo = described("Where this page stands.")

    count: strawberry.Private[Count]

    def __init__(self, page: Page[StepRow], nodes: list[Step], *, after: Place | None, count: Count) -> None:
        self.nodes = nodes
        cursors = [
            write_place(DEAD_LETTERS, Place(row.finished_at or row.created_at, row.run_id, row.position))
            for row in page.rows
        ]
        self.edges = [StepEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, self.nodes, strict=True)]
        self.page_info = page_info(cursors, has_more=page.has_more, after=after)
        self.count = count

    @strawberry.field(description=_TOTAL)
    async def total_count(self) -> int:
        return await self.count()
