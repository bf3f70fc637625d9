"""A real engine over a real database, asked through the schema as a client would."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from engine.access import Viewer
from engine.tools import InDoubt, Registry, ToolContext, ToolError, tool
from persistence.database import Database
from persistence.reads import Reads
from schema.api.context import Services
from schema.api.schema import build_schema, default_limits
from schema.fast.limits import Limits
from schema.fast.pipeline import Schema
from schema.shared.jsontext import encode
from tests.engine.harness import Running, running
from tests.schema.stories import Person, Stories


@tool(risk="L0")
async def note(ctx: ToolContext, text: str = "hello") -> dict[str, str]:
    """Writes a note."""
    if text != "hello":
        ctx.notice(f"noted: {text}")
    return {"text": text}


@tool(risk="L3")
async def pay(ctx: ToolContext, amount: int, currency: Literal["EUR", "USD"] = "EUR") -> dict[str, int]:
    """Pays."""
    return {"paid": amount}


@tool(risk="L0")
async def fail(ctx: ToolContext) -> None:
    """Fails for good."""
    raise ToolError("It broke", retryable=False)


@tool(risk="L3")
async def vanish(ctx: ToolContext) -> None:
    """Leaves everybody in doubt."""
    raise InDoubt("The line went dead")


TOOLS = Registry.of(note, pay, fail, vanish)


class Counting(Database):
    """A database that keeps the statements that went through it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.settings)
        self._pool, self._at_hand = database._pool, database._at_hand
        self.statements: list[str] = []

    async def fetch(self, statement: str, *values: Any) -> Any:
        self.statements.append(statement)
        return await super().fetch(statement, *values)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        self.statements.append(statement)
        return await super().fetchval(statement, *values)


@dataclass
class World:
    it: Running
    schema: Schema
    services: Services
    counting: Counting
    stories: Stories
    refused: set[Any] = field(default_factory=set)

    @property
    def admin(self) -> Viewer:
        return self.it.admin

    @property
    def statements(self) -> list[str]:
        return self.counting.statements

    async def viewer(self, *roles: Any, name: str | None = None, **more: Any) -> Viewer:
        return await self.it.user(*roles, name=name, **more)

    async def answer(self, viewer: Viewer, query: str, **variables: Any) -> Any:
        context = self.services.context(viewer)
        result = await self.schema.execute(query, variable_values=variables, context_value=context)
        result.data = read_back(result.data)
        return result

    async def ask(self, viewer: Viewer, query: str, **variables: Any) -> Any:
        """The data of an operation that has to succeed."""
        result = await self.answer(viewer, query, **variables)
        assert not result.errors, result.errors
        return result.data

    async def refusal(self, viewer: Viewer, query: str, **variables: Any) -> Any:
        """The code of an operation's one error."""
        result = await self.answer(viewer, query, **variables)
        assert len(result.errors or []) == 1, result
        return result.errors[0].extensions["code"]

    async def follow(self, viewer: Viewer, query: str, **variables: Any) -> AsyncGenerator[Any, None]:
        """The answers of a subscription."""
        answers = await self.schema.stream(
            query, variable_values=variables, context_value=self.services.context(viewer)
        )
        async for result in answers:
            result.data = read_back(result.data)
            yield result


def read_back(data: Any) -> Any:
    """An answer's data as a client reads it."""
    return orjson.loads(encode(data))


def person_of(viewer: Viewer) -> Person:
    return Person(viewer.id, viewer.name, sorted(viewer.roles))


@asynccontextmanager
async def world(
    dsn: str, *, executes: bool = True, limits: Limits | None = None, tools: Registry = TOOLS, **settings: Any
) -> AsyncGenerator[World]:
    async with running(dsn, tools, executes=executes, **settings) as it:
        counting = Counting(it.database)
        refused: set[Any] = set()
        limits = limits or default_limits()
        services = Services(
            engine=it.engine,
            reads=Reads(counting),
            timeline=it.timeline,
            approvals_feed=it.approvals_feed,
            limits=limits,
            may_go_on=lambda viewer: viewer.id not in refused,
        )
        yield World(it, build_schema(limits=limits), services, counting, Stories(it.database), refused)
