"""A process that lives is not taken for dead: not when its sign is cut, its links go silent, or PostgreSQL restarts."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from engine.tools import ToolContext
from persistence import workers
from persistence.migrate import migrate
from tests.databases import THROW_AWAY, _place
from tests.engine.harness import PATIENCE_SECONDS, Act, Gate, Running, acting, forever, running, step
from tests.faults.keeper import ROOT, kept_postgres
from tests.faults.proxy import link_to

BROOM: dict[str, Any] = {"sweep_seconds": 0.1, "concurrency": 0}
"""Settings of a process that looks after others, and takes nothing itself."""
_HOLDERS = """
SELECT w.id, w.ended_at IS NOT NULL AS is_dead, l.pid
FROM workers w LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = w.sign::oid
    AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
WHERE w.id = $2
"""


async def sign(observer: Running, worker: Any) -> tuple[bool, int | None]:
    """Whether the worker was declared dead, and the session that holds its sign."""
    row = await observer.database.fetchrow(_HOLDERS, workers.SIGN_SPACE, worker)
    assert row is not None
    return row["is_dead"], row["pid"]


async def worker_of(engine: Running) -> Any:
    """Who the process is."""
    slots = engine.engine._executor._slots
    async with asyncio.timeout(PATIENCE_SECONDS):
        while slots.worker is None:  # noqa: ASYNC110 - the thread tells only the executor
            await asyncio.sleep(0.01)
    return slots.worker.id


async def sweeps(observer: Running, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the observer sweep for so long."""
    scheduler = observer.engine._scheduler
    original = scheduler.sweep
    swept = asyncio.Event()
    end = asyncio.get_running_loop().time() + seconds

    async def sweep() -> None:
        await original()
        if asyncio.get_running_loop().time() > end:
            swept.set()

    monkeypatch.setattr(scheduler, "sweep", sweep)
    async with asyncio.timeout(seconds + PATIENCE_SECONDS):
        await swept.wait()


@asynccontextmanager
async def a_call(engine: Running, act: Act, gate: Gate) -> AsyncGenerator[None]:
    """A call under way for the length of the block, which then ends well, at its first attempt."""
    run = await engine.submit(step("one", act.tool.__name__))
    await act.called()
    yield
    gate.open()
    row = await engine.finished(run)
    assert row["outcome"] == "CLEAN"
    assert "STEP_RETRYING one" not in await engine.story(run)
    assert act.calls == 1


async def test_a_process_whose_life_sign_is_cut_takes_it_again_before_it_is_missed(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    act = Act("noop", gate, idempotent=False, risk="L1")
    async with running(dsn, acting(act), sweep_seconds=60) as engine, running(dsn, acting(), **BROOM) as observer:
        worker = await worker_of(engine)
        async with a_call(engine, act, gate):
            _, before = await sign(observer, worker)
            await observer.database.execute("SELECT pg_terminate_backend($1)", before)
            await sweeps(observer, monkeypatch, 2)

            is_dead, now = await sign(observer, worker)
            assert not is_dead
            assert now not in {None, before}


async def test_a_process_whose_links_went_silent_keeps_its_lease_over_new_ones(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = 4.5
    gate = Gate()
    act = Act("noop", gate, idempotent=False, risk="L1")
    async with (
        link_to(dsn) as proxy,
        running(dsn, acting(), **BROOM) as observer,
        running(proxy.dsn, acting(act), sweep_seconds=0.5, lease_seconds=lease) as engine,
    ):
        worker = await worker_of(engine)
        async with a_call(engine, act, gate):
            _, before = await sign(observer, worker)
            proxy.silence()
            await sweeps(observer, monkeypatch, 1.5 * lease)

            is_dead, now = await sign(observer, worker)
            assert not is_dead
            assert now not in {None, before}
            # What was silent would keep the engine's own statements waiting for their time-outs.
            proxy.cut()


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_restart_of_postgresql_costs_no_process_its_steps(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    act = Act("noop", gate, idempotent=False, risk="L1")
    with tempfile.TemporaryDirectory(dir=_place()) as folder:
        async with kept_postgres(Path(folder), {**THROW_AWAY, "synchronous_commit": "on"}) as keeper:
            await migrate(keeper.dsn)
            async with (
                running(keeper.dsn, acting(), **BROOM) as observer,
                running(keeper.dsn, acting(act), sweep_seconds=0.1) as engine,
            ):
                worker = await worker_of(engine)
                async with a_call(engine, act, gate):
                    await keeper.stop(how)
                    await asyncio.sleep(1.2)  # how long it is away
                    await keeper.start()
                    await sweeps(observer, monkeypatch, 2.5)

                    is_dead, now = await sign(observer, worker)
                    assert not is_dead
                    assert now is not None


# What the life sign's own thread meets


class Odd:
    """A verb of `persistence.workers` that goes wrong in an odd way, once for each error."""

    def __init__(self, original: Any, *errors: Exception) -> None:
        self._original = original
        self._errors = list(errors)
        self.met = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def __call__(self, *given: Any, **more: Any) -> Any:
        if self._errors:
            error = self._errors.pop(0)
            if not self._errors:
                self._loop.call_soon_threadsafe(self.met.set)
            raise error
        return await self._original(*given, **more)


@pytest.mark.parametrize("verb", ["register", "extend", "take_sign"])
async def test_whatever_the_driver_raises_the_process_stays_a_worker(
    verb: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As asyncpg does when a session is terminated in the middle of a statement.
    error = asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress")
    odd = Odd(getattr(workers, verb), error, error)
    act = Act("noop")
    async with running(dsn, acting(act), executes=False) as observer:
        monkeypatch.setattr(workers, verb, odd)
        async with running(dsn, acting(act), sweep_seconds=0.1, lease_seconds=1.5) as engine:
            if verb == "take_sign":
                _, held = await sign(observer, await worker_of(engine))
                await observer.database.execute("SELECT pg_terminate_backend($1)", held)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await odd.met.wait()

            run = await observer.submit(step("one"))

            assert (await observer.finished(run))["state"] == "COMPLETED"
            assert act.calls == 1


async def test_a_loop_that_is_busy_for_longer_than_a_lease_loses_nothing(dsn: str) -> None:
    lease = 1.5

    async def hog(_ctx: ToolContext) -> object:
        time.sleep(2 * lease)  # noqa: ASYNC251 - it is what somebody's tool does: everything in this loop stands still
        return {"ok": True}

    act = Act("noop", hog, idempotent=False, risk="L1")
    async with a_sweeper(dsn), running(dsn, acting(act), sweep_seconds=60, lease_seconds=lease) as engine:
        run = await engine.submit(step("one"))
        row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        assert [line for line in await engine.story(run) if "RETRYING" in line or "DOUBT" in line] == []
        assert await engine.database.fetchval("SELECT count(*) FROM workers WHERE ended_at IS NOT NULL") == 0
        assert act.calls == 1


@asynccontextmanager
async def a_sweeper(dsn: str) -> AsyncGenerator[None]:
    """Another process that would rescue what seems dead."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.sweeper", dsn, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"sweeping\n"
    yield
    process.terminate()
    await process.wait()


async def test_a_process_that_can_not_renew_stops_its_steps_before_its_lease_ends(dsn: str) -> None:
    stopped: list[datetime] = []
    is_stopped = asyncio.Event()

    async def wait(ctx: ToolContext) -> None:
        try:
            await forever(ctx)
        finally:
            stopped.append(datetime.now(UTC))
            is_stopped.set()

    act = Act("noop", wait, idempotent=False, risk="L1")
    async with link_to(dsn) as proxy, running(dsn, acting(act), executes=False) as observer:
        async with running(proxy.dsn, acting(act), sweep_seconds=60, lease_seconds=3) as engine:
            worker = await worker_of(engine)
            run = await observer.submit(step("one"))
            await act.called()
            row = "SELECT lease_until FROM workers WHERE id = $1"
            before = await observer.database.fetchval(row, worker)
            # Just renewed: all of a period passes until it is tried again, and all that is tried after that hangs.
            await observer.when(lambda: observer.database.fetchval(row, worker), lambda now: now > before)
            proxy.freeze()

            async with asyncio.timeout(PATIENCE_SECONDS):
                await is_stopped.wait()

            assert stopped[0] < await observer.database.fetchval(row, worker)
            proxy.thaw()
            proxy.cut()
        await observer.cancel(run)
