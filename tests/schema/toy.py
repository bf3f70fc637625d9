"""A small schema with everything the protocol half has to cope with, and nothing of the engine."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import ID, Private
from strawberry.types import Info

from schema.fast.execution import Memo
from schema.fast.pipeline import Schema
from schema.fast.scalars import JSON
from schema.shared.faults import FORBIDDEN, NOT_FOUND, RequestError


class DatabaseAway(Exception):
    """What the toy's resolvers raise when its database is away."""


@strawberry.enum
class State(Enum):
    """Deliberately not named after the values."""

    RUNNING = "running"
    DONE = "done"


@strawberry.interface
class Node:
    id: ID


@strawberry.type
class Owner:
    name: str
    age: int | None = None


@strawberry.type
class Item(Node):
    number: int
    title: str | None
    weight: float
    ready: bool
    state: State
    past: list[State]
    tags: list[str]
    created_at: datetime
    args: JSON
    owner: Owner | None = None
    parts: list["Item"] = field(default_factory=list)

    @strawberry.field
    def shout(self) -> str:
        return (self.title or "nothing").upper()

    @strawberry.field
    async def later(self, times: int = 1) -> str:
        await asyncio.sleep(0)
        return (self.title or "nothing") * times

    @strawberry.field
    def secret(self) -> str:
        raise RuntimeError("SELECT password FROM users -- /etc/passwd")

    @strawberry.field
    def items(self, first: int = 20) -> "Items":
        return Items(nodes=[make_item(n) for n in range(min(first, 3))])

    @strawberry.field
    def log(self, first: int = 100) -> "Items":
        return Items(nodes=[])


@strawberry.type
class Edge:
    cursor: str
    node: Item


@strawberry.type
class PageInfo:
    has_next_page: bool


@strawberry.type
class Items:
    nodes: list[Item]

    @strawberry.field
    def edges(self) -> list[Edge]:
        return [Edge(cursor=str(node.number), node=node) for node in self.nodes]

    @strawberry.field
    def page_info(self) -> PageInfo:
        return PageInfo(has_next_page=False)


def make_item(number: int = 1, **changes: Any) -> Item:
    values: dict[str, Any] = {
        "id": ID(f"item_{number}"),
        "number": number,
        "title": f"Item {number}",
        "weight": number / 2,
        "ready": number % 2 == 0,
        "state": State.RUNNING,
        "past": [State.DONE, State.RUNNING],
        "tags": ["a", "ü"],
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "args": {"n": number, "deep": [1, {"x": None}]},
        "owner": Owner(name="Ada", age=36),
    }
    return Item(**{**values, **changes})


@strawberry.type
class Event:
    seq: int
    message: str
    item: Item
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    memo: Private[Memo] = field(default_factory=dict, repr=False, compare=False)

    @strawberry.field
    def seen_by(self, info: Info[Any, None]) -> str:
        context = info.context
        context.calls.append(self.seq)
        return context.viewer.id


@strawberry.input
class Order:
    title: str
    count: int = 1
    args: JSON | None = None


@dataclass
class Viewer:
    id: str
    scope: str = "all"


@dataclass
class Context:
    viewer: Viewer
    toy: "Toy"
    calls: list[int] = field(default_factory=list)

    @property
    def scope(self) -> str:
        return self.viewer.scope


@dataclass
class Toy:
    """What the resolvers share with the tests."""

    written: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    closed_now: asyncio.Event = field(default_factory=asyncio.Event)
    shared: list[Event] = field(default_factory=lambda: [make_event(n) for n in range(1, 4)])


def make_event(seq: int) -> Event:
    return Event(seq=seq, message=f"event {seq}", item=make_item(seq))


def toy_of(info: Info[Any, None]) -> Toy:
    return info.context.toy


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    def echo(self, value: JSON | None = None, text: str | None = None, number: int | None = None) -> JSON:
        return JSON(value if value is not None else text if text is not None else number)

    @strawberry.field
    def when(self, at: datetime) -> datetime:
        return at

    @strawberry.field
    def pick(self, state: State) -> State:
        return state

    @strawberry.field
    def viewer(self, info: Info[Any, None]) -> str:
        return info.context.viewer.id

    @strawberry.field
    def items(self, first: int = 20) -> Items:
        if first > 100:
            raise RequestError("first is at most 100.", "BAD_USER_INPUT")
        return Items(nodes=[make_item(n) for n in range(first)])

    @strawberry.field
    def all(self) -> list[Item]:
        return [make_item(n) for n in range(3)]

    @strawberry.field
    def node(self, id: ID) -> Node | None:  # noqa: A002 - the argument's name
        return make_item(int(id.removeprefix("item_"))) if id.startswith("item_") else None

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("postgresql://me:password@host/db in /srv/app.py")

    @strawberry.field
    def forbidden(self) -> str | None:
        raise RequestError("You may not.", FORBIDDEN)

    @strawberry.field
    def away(self) -> str:
        raise DatabaseAway("connection to 10.0.0.1 refused")

    @strawberry.field
    async def slow(self) -> str:
        await asyncio.Event().wait()
        return "never"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def order(self, info: Info[Any, None], input: Order) -> str:  # noqa: A002 - the argument's name
        toy_of(info).written.append(input.title)
        return f"{input.count} {input.title}"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: Info[Any, None], to: int = 3, size: int = 0) -> AsyncGenerator[str, None]:
        toy = toy_of(info)
        toy.opened += 1
        try:
            for n in range(1, to + 1):
                yield str(n) + "x" * size
        finally:
            toy.closed += 1
            toy.closed_now.set()

    @strawberry.subscription
    async def wait(self, info: Info[Any, None]) -> AsyncGenerator[str, None]:
        toy = toy_of(info)
        toy.opened += 1
        try:
            yield "waiting"
            await toy.go_on.wait()
            yield "done"
        finally:
            toy.closed += 1
            toy.closed_now.set()

    @strawberry.subscription
    async def events(self, info: Info[Any, None], after: int = 0) -> AsyncGenerator[Event, None]:
        for event in toy_of(info).shared:
            if event.seq > after:
                yield event

    @strawberry.subscription
    async def missing(self) -> AsyncGenerator[str, None]:
        raise RequestError("There is no such run.", NOT_FOUND)
        yield ""

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[str, None]:
        yield "fine"
        raise RuntimeError("secret of /srv/app.py")

    @strawberry.subscription
    async def loses_database(self) -> AsyncGenerator[str, None]:
        yield "fine"
        raise DatabaseAway("connection to 10.0.0.1 refused")


def make_schema(**options: Any) -> Schema:
    return Schema(Query, Mutation, Subscription, types=[Item], unavailable=(DatabaseAway,), **options)
