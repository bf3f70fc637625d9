"""Work put into a database from outside: submitted in one commit, watched until it has ended, checked to be whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from benchmarks.plans import PlanInput, as_plan
from benchmarks.processes import TOKEN
from engine.settings import EngineSettings
from engine.tools import load_registry
from engine.validation import check_plan
from persistence import users
from persistence.broadcast import broadcast_over
from persistence.database import Connection, Database, DatabaseSettings
from persistence.ids import new_id
from persistence.moves import begin
from persistence.states import Risk
from persistence.wakeups import Wakeups

_LOOK_SECONDS = 0.01
"""A hundredth of a hundredth of what is measured; more often, the looking would take a tenth of a core."""
_STEPS_A_STATEMENT = 5_000


class Outside:
    """A process that runs nothing itself: it submits, and looks."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        # A step statement over thousands of rows may take its time; so may the wait between seeding and commit.
        self._database = Database(
            DatabaseSettings(dsn=dsn, connections=4, statement_seconds=300, idle_in_transaction_seconds=300)
        )
        self._wakeups = Wakeups(*broadcast_over(self._database.settings, None))
        self._registry = load_registry(["benchmarks.tools"])
        self._settings = EngineSettings(data_dir=Path("/nowhere"))
        self._user = UUID(int=0)

    async def open(self) -> None:
        """Connect."""
        await self._database.open()
        await self._wakeups.open()
        await self._database.transaction(lambda tx: users.ensure_admin(tx, TOKEN))
        self._user = await self._database.fetchval("SELECT id FROM users WHERE name = $1", users.ADMIN_NAME)

    async def close(self) -> None:
        """Disconnect."""
        await self._wakeups.close()
        await self._database.close()

    async def submit(
        self, plan: PlanInput, times: int, *, before_commit: Callable[[], Awaitable[None]] | None = None
    ) -> list[UUID]:
        """So many runs of this plan, visible to everybody at once, and announced; their ids.

        As `submitWorkflow` stores them, but for the lines of the audit log.
        """
        sound = check_plan(as_plan(plan), self._registry, self._settings, approve_from=Risk.L3)
        runs = [new_id() for _ in range(times)]
        a_group = max(1, _STEPS_A_STATEMENT // len(sound.steps))

        async def write(tx: Connection) -> None:
            for start in range(0, times, a_group):
                group = runs[start : start + a_group]
                await begin.store_runs(
                    tx, [begin.NewRun(run, self._user, None, sound.risk, approve_from=Risk.L3) for run in group]
                )
                await begin.store_steps(tx, [step for run in group for step in sound.for_run(run, self._user)])
            if before_commit is not None:
                await before_commit()

        await self._database.transaction(write)
        self._wakeups.announce(work=True)
        return runs

    async def ended(self, runs: Sequence[UUID]) -> None:
        """Wait until all of these runs have ended, looking at one row every ten milliseconds."""
        async with self._database.connection() as connection:
            while (open_run := await connection.fetchval(_OPEN, runs)) is not None:
                while await connection.fetchval(_IS_OPEN, open_run):  # noqa: ASYNC110 - to listen would cost more
                    await asyncio.sleep(_LOOK_SECONDS)

    async def count(self, runs: Sequence[UUID]) -> dict[str, int]:
        """What is recorded of these runs."""
        row = await self._database.fetchrow(_RECORDED, runs)
        assert row is not None
        return dict(row)

    async def workers(self, number: int) -> None:
        """Wait until so many processes are alive to run steps."""
        while number > await self._database.fetchval(  # noqa: ASYNC110 - they tell nobody
            "SELECT count(*) FROM workers WHERE ended_at IS NULL"
        ):
            await asyncio.sleep(0.02)

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of one statement."""
        return await self._database.fetch(statement, *values)


_OPEN = "SELECT id FROM runs WHERE id = ANY($1::uuid[]) AND finished_at IS NULL LIMIT 1"

_IS_OPEN = "SELECT finished_at IS NULL FROM runs WHERE id = $1"

_RECORDED = """
SELECT
    (SELECT count(*) FROM runs WHERE id = ANY($1::uuid[]) AND state = 'COMPLETED') AS completed,
    (SELECT count(*) FROM tool_calls WHERE run_id = ANY($1::uuid[]) AND status = 'SUCCEEDED') AS calls,
    (SELECT count(*) FROM timeline_events WHERE run_id = ANY($1::uuid[])) AS events
"""


@asynccontextmanager
async def outside(dsn: str) -> AsyncGenerator[Outside]:
    """An outsider on this database for the length of the block."""
    it = Outside(dsn)
    await it.open()
    try:
        yield it
    finally:
        await it.close()


async def check_whole(it: Outside, runs: Sequence[UUID], *, steps: int) -> None:
    """Refuses to count work of which something is not recorded: each call, and each event of chains."""
    found = await it.count(runs)
    # Recorded and planned, then ready, running and succeeded for each step, and complete.
    wanted = {"completed": len(runs), "calls": len(runs) * steps, "events": len(runs) * (3 * steps + 3)}
    if found != wanted:
        raise RuntimeError(f"not all is recorded: {found}, where {wanted} should be")
