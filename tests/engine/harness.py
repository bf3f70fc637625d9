"""An engine over a database of its own, as tests use it: open it, submit, wait for what must happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from engine.access import Viewer
from engine.engine import Engine
from engine.planner import Planner, RulePlanner
from engine.plans import Plan, PlanStep
from engine.runs import Submission
from engine.settings import EngineSettings
from engine.tools import Registry, ToolContext, tool
from engine.unset import UNSET
from persistence import users
from persistence.approvals_feed import ApprovalsFeed
from persistence.broadcast import broadcast_over
from persistence.database import Database, DatabaseSettings
from persistence.ids import new_id
from persistence.reads.rows import EventRow
from persistence.states import ApprovalDecision, InDoubtResolution, Risk, Role, UserKind
from persistence.timeline import Timeline, events_after
from persistence.wakeups import Wakeups
from tests.engine.soundness import assert_sound
from tests.lending import LastingDatabase

SETTINGS = EngineSettings(data_dir=Path("/nowhere"), retry_base_seconds=0.01, retry_cap_seconds=0.02, grace_seconds=2)
APPROVE, REJECT = ApprovalDecision.APPROVE, ApprovalDecision.REJECT
HAPPENED, DID_NOT_HAPPEN, ABANDON = InDoubtResolution
T = TypeVar("T")
ENDINGS = ("WORKFLOW_COMPLETE", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED")
PATIENCE_SECONDS = 20


@dataclass
class Running:
    """An open engine, and what a test needs around it."""

    engine: Engine
    database: Database
    timeline: Timeline
    approvals_feed: ApprovalsFeed
    wakeups: Wakeups
    admin: Viewer

    async def user(self, *roles: Role, name: str | None = None, kind: UserKind = UserKind.PERSON) -> Viewer:
        """A new user with these roles."""
        name = name or f"user-{new_id().hex[-12:]}"

        async def write(tx: Any) -> UUID:
            return await users.create_user(tx, name=name, roles=roles, token=users.new_token(), kind=kind)

        return Viewer(await self.database.transaction(write), name, frozenset(roles), kind)

    async def submit(self, *steps: PlanStep, viewer: Viewer | None = None, **more: Any) -> UUID:
        """Submit a plan of these steps."""
        return await self.engine.submit(viewer or self.admin, submission(*steps, **more))

    async def until(self, run: UUID, *types: str, step: str | None = None, times: int = 1, after: int = 0) -> EventRow:
        """Follow the run until an event of one of these types (of this step), or the so many-th one of them."""
        position = None if step is None else (await self.steps(run))[step]["position"]
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async for event in self.timeline.follow(run, after):
                    after = event.seq
                    seen.append(event.type)
                    if event.type in types and position in (None, event.position):
                        times -= 1
                        if times == 0:
                            return event
                if seen and seen[-1] in ENDINGS:
                    raise AssertionError(f"no {types} of {step} in {seen}")

    async def finished(self, run: UUID, *, after: int = 0) -> dict[str, Any]:
        """Wait until the run has ended (by an event after this one); its row."""
        await self.until(run, *ENDINGS, after=after)
        return await self.run(run)

    async def asked(self, run: UUID, step: str | None = None, *, times: int = 1) -> dict[str, Any]:
        """Wait until a person is asked (about this step; for the so many-th time); the approval."""
        event = await self.until(run, "APPROVAL_REQUIRED", step=step, times=times)
        return await self.approval(event.approval_id)

    async def approval(self, approval: UUID | None) -> dict[str, Any]:
        """The approval's row, its JSON read."""
        row = await self.database.fetchrow("SELECT * FROM approvals WHERE id = $1", approval)
        assert row is not None
        return _read(row, "proposed_args", "edited_args")

    async def decide(
        self,
        approval: Mapping[str, Any],
        decision: ApprovalDecision,
        *,
        viewer: Viewer | None = None,
        reason: str | None = None,
        digest: str | None = None,
        edited: object = UNSET,
    ) -> None:
        """Decide an approval."""
        await self.engine.decide(
            viewer or self.admin, approval["id"], decision, reason=reason, args_digest=digest, edited_args=edited
        )

    async def resolve(
        self,
        approval: Mapping[str, Any],
        resolution: InDoubtResolution,
        *,
        viewer: Viewer | None = None,
        result: object = UNSET,
        reason: str | None = None,
    ) -> None:
        """Say of a call in doubt whether it happened."""
        await self.engine.resolve_in_doubt(
            viewer or self.admin, approval["id"], resolution, result=result, reason=reason
        )

    async def retry(self, run: UUID, step: str, *, viewer: Viewer | None = None, reason: str | None = None) -> int:
        """Send a dead letter back; the last seq before it."""
        row, steps = await self.run(run), await self.steps(run)
        await self.engine.retry(viewer or self.admin, run, steps[step]["position"], reason=reason)
        return row["last_seq"]

    async def cancel(self, run: UUID, *, viewer: Viewer | None = None, reason: str | None = None) -> None:
        """Cancel the run."""
        await self.engine.cancel(viewer or self.admin, run, reason=reason)

    async def story(self, run: UUID, *, after: int = 0) -> list[str]:
        """The run's events, one line each: the type, and the step's key."""
        keys = {step["position"]: key for key, step in (await self.steps(run)).items()}
        return [
            event.type if event.position is None else f"{event.type} {keys[event.position]}"
            for event in await self.events(run)
            if event.seq > after
        ]

    async def happened(self, run: UUID, kind: str, step: str | None = None) -> list[dict[str, Any]]:
        """The metadata of the run's events of this type (about this step), in order."""
        position = None if step is None else (await self.steps(run))[step]["position"]
        return [
            json.loads(event.metadata)
            for event in await self.events(run)
            if event.type == kind and position in (None, event.position)
        ]

    async def run(self, run: UUID) -> dict[str, Any]:
        """The run's row."""
        row = await self.database.fetchrow("SELECT * FROM runs WHERE id = $1", run)
        assert row is not None
        return dict(row)

    async def steps(self, run: UUID) -> dict[str, dict[str, Any]]:
        """The run's steps by key."""
        rows = await self.database.fetch("SELECT * FROM steps WHERE run_id = $1 ORDER BY position", run)
        return {row["key"]: _read(row, "args", "resolved_args", "result") for row in rows}

    async def states(self, run: UUID) -> dict[str, str]:
        """The states of the run's steps, with the reason of the skipped ones."""
        return {
            key: f"{step['state']} {step['skip_reason']}" if step["skip_reason"] else step["state"]
            for key, step in (await self.steps(run)).items()
        }

    async def calls(self, run: UUID) -> list[dict[str, Any]]:
        """The run's tool calls, in order."""
        rows = await self.database.fetch("SELECT * FROM tool_calls WHERE run_id = $1 ORDER BY position, attempt", run)
        return [_read(row, "args", "result") for row in rows]

    async def approvals(self, run: UUID) -> list[dict[str, Any]]:
        """The run's approvals, oldest first."""
        rows = await self.database.fetch("SELECT * FROM approvals WHERE run_id = $1 ORDER BY created_at, position", run)
        return [_read(row, "proposed_args", "edited_args") for row in rows]

    async def when(self, look: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T:
        """Look until it holds: for what no event tells of."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds(seen := await look()):  # noqa: ASYNC110 - what we wait for is in the database
                await asyncio.sleep(0)
        return seen

    async def waiting_for_locks(self, sessions: int = 1) -> None:
        """Wait until so many sessions of this database wait for somebody's lock."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sessions > await self.database.fetchval(  # noqa: ASYNC110 - nobody tells us of other sessions' locks
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
            ):
                await asyncio.sleep(0)

    async def events(self, run: UUID) -> list[EventRow]:
        """The run's events so far."""
        return await events_after(self.database, run, 0, at_most=10_000)


def _read(row: Mapping[str, Any], *columns: str) -> dict[str, Any]:
    return {
        name: json.loads(value) if name in columns and value is not None else value for name, value in dict(row).items()
    }


class Act:
    """A tool that plays a script, call by call: an exception is raised, a function is called, all else is returned.

    The last word of the script stands for every call after it too. `contexts` and `args` are those of the calls so far.
    """

    def __init__(self, name: str, *script: object, risk: str = "L0", **declared: Any) -> None:
        self.contexts: list[ToolContext] = []
        self.args: list[object] = []
        self._script = script or ({"ok": True},)
        self._arrived = asyncio.Event()

        async def play(ctx: ToolContext, value: Any = None) -> Any:
            number = len(self.contexts)
            self.contexts.append(ctx)
            self.args.append(value)
            self._arrived.set()
            word = self._script[min(number, len(self._script) - 1)]
            if isinstance(word, BaseException):
                raise word
            if callable(word):
                done = word(ctx)
                return await done if isinstance(done, Awaitable) else done
            return word

        play.__name__ = play.__qualname__ = name
        self.tool: Callable[..., Any] = tool(risk, **declared)(play)

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self.contexts)

    async def called(self, times: int = 1) -> None:
        """Wait until it was called so often."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.calls < times:
                self._arrived.clear()
                await self._arrived.wait()


class Gate:
    """What a script waits at until the test opens it."""

    def __init__(self, result: object = None) -> None:
        self._open = asyncio.Event()
        self._result = result

    async def __call__(self, _ctx: ToolContext) -> object:
        await self._open.wait()
        return self._result

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()


async def forever(_ctx: ToolContext) -> object:
    """A script's word that never ends by itself."""
    return await asyncio.Event().wait()


def acting(*acts: Act) -> Registry:
    """The registry of these acts."""
    return Registry.of(*(act.tool for act in acts))


def submission(
    *steps: PlanStep, key: str | None = None, approve_from: Risk | None = None, answer: Any = None
) -> Submission:
    """A submission of a plan."""
    plan = Plan(tuple(steps), answer)
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
    lock_seconds: float = 5,
    **changes: Any,
) -> AsyncGenerator[Running]:
    """An engine over this database, open for the length of the block; what it leaves behind must be sound."""
    settings = replace(settings, **changes)
    connections = DatabaseSettings(dsn=dsn, connections=6, lock_seconds=lock_seconds)
    database, work = LastingDatabase(connections), LastingDatabase(connections)
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
    await assert_sound(dsn)
