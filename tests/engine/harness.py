"""An engine over a database of its own, as tests use it: open it, submit, wait for what must happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from engine.access import Viewer
from engine.engine import Engine
from engine.planner import Planner, RulePlanner
from engine.plans import Plan, PlanStep
from engine.runs import Submission
from engine.settings import EngineSettings
from engine.tools import Registry
from persistence import users
from persistence.approvals_feed import ApprovalsFeed
from persistence.broadcast import broadcast_over
from persistence.database import Database, DatabaseSettings
from persistence.ids import new_id
from persistence.reads.rows import EventRow
from persistence.states import Risk, Role
from persistence.timeline import Timeline, events_after
from persistence.wakeups import Wakeups

SETTINGS = EngineSettings(data_dir=Path("/nowhere"), retry_base_seconds=0.01, retry_cap_seconds=0.02, grace_seconds=2)


@dataclass
class Running:
    """An open engine, and what a test needs around it."""

    engine: Engine
    database: Database
    timeline: Timeline
    approvals_feed: ApprovalsFeed
    wakeups: Wakeups
    admin: Viewer

    async def user(self, *roles: Role, name: str | None = None) -> Viewer:
        """A new user with these roles."""
        name = name or f"user-{new_id().hex[-12:]}"

        async def write(tx: Any) -> UUID:
            return await users.create_user(tx, name=name, roles=roles, token=users.new_token())

        return Viewer(await self.database.transaction(write), name, frozenset(roles))

    async def submit(self, *steps: PlanStep, viewer: Viewer | None = None, **more: Any) -> UUID:
        """Submit a plan of these steps."""
        return await self.engine.submit(viewer or self.admin, submission(*steps, **more))

    async def until(self, run: UUID, *types: str, after: int = 0) -> list[EventRow]:
        """Follow the run until an event of one of these types; all events up to it."""
        seen: list[EventRow] = []
        async with asyncio.timeout(20):
            async for event in self.timeline.follow(run, after):
                seen.append(event)
                if event.type in types:
                    return seen
        raise AssertionError(f"none of {types} in {[event.type for event in seen]}")

    async def finished(self, run: UUID) -> dict[str, Any]:
        """Wait until the run has ended; its row."""
        await self.until(run, "WORKFLOW_COMPLETE", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED")
        return await self.run(run)

    async def run(self, run: UUID) -> dict[str, Any]:
        """The run's row."""
        row = await self.database.fetchrow("SELECT * FROM runs WHERE id = $1", run)
        assert row is not None
        return dict(row)

    async def steps(self, run: UUID) -> dict[str, dict[str, Any]]:
        """The run's steps by key."""
        rows = await self.database.fetch("SELECT * FROM steps WHERE run_id = $1 ORDER BY position", run)
        return {row["key"]: dict(row) for row in rows}

    async def calls(self, run: UUID) -> list[dict[str, Any]]:
        """The run's tool calls, in order."""
        rows = await self.database.fetch("SELECT * FROM tool_calls WHERE run_id = $1 ORDER BY position, attempt", run)
        return [dict(row) for row in rows]

    async def approvals(self, run: UUID) -> list[dict[str, Any]]:
        """The run's approvals, oldest first."""
        rows = await self.database.fetch("SELECT * FROM approvals WHERE run_id = $1 ORDER BY created_at, position", run)
        return [dict(row) for row in rows]

    async def events(self, run: UUID) -> list[EventRow]:
        """The run's events so far."""
        return await events_after(self.database, run, 0, at_most=10_000)


def submission(*steps: PlanStep, key: str | None = None, approve_from: Risk | None = None) -> Submission:
    """A submission of a plan."""
    plan = Plan(tuple(steps))
    return Submission(None, plan, key, approve_from, {"plan": repr(plan)})


def intent(text: str) -> Submission:
    """A submission of a sentence."""
    return Submission(text, None, None, None, {"intent": text})


def step(
    key: str, tool: str = "noop", *, after: Sequence[str] = (), args: Mapping[str, Any] | None = None, **more: Any
) -> PlanStep:
    """A step of a plan."""
    return PlanStep(key=key, tool=tool, args=args or {}, depends_on=tuple(after), **more)


@asynccontextmanager
async def running(
    dsn: str,
    registry: Registry,
    *,
    settings: EngineSettings = SETTINGS,
    planner: Planner | None = None,
    executes: bool = True,
    **changes: Any,
) -> AsyncGenerator[Running]:
    """An engine over this database, open for the length of the block."""
    settings = replace(settings, **changes)
    connections = DatabaseSettings(dsn=dsn, connections=6)
    database, work = Database(connections), Database(connections)
    await database.open()
    await work.open()
    broadcast, backend = broadcast_over(connections, None)
    wakeups = Wakeups(broadcast, backend)
    timeline = Timeline(database, wakeups)
    feed = ApprovalsFeed(database, wakeups)
    engine = Engine(
        database=database,
        work=work,
        registry=registry,
        planner=planner or RulePlanner(),
        settings=settings,
        wakeups=wakeups,
        timeline=timeline,
        approvals_feed=feed,
        executes=executes,
    )
    await wakeups.open()
    await database.transaction(lambda tx: users.ensure_admin(tx, "test-admin-token"))
    row = await database.fetchrow("SELECT id, name FROM users WHERE name = 'admin'")
    assert row is not None
    engine.open()
    try:
        yield Running(
            engine, database, timeline, feed, wakeups, Viewer(row["id"], row["name"], frozenset({Role.ADMIN}))
        )
    finally:
        timeline.close()
        await feed.close()
        await engine.close()
        await wakeups.close()
        await work.close()
        await database.close()
