"""A run whose row somebody holds for long: others go on, and nobody asks for it hundreds of times a second."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from engine import executor
from persistence.database import Database, DatabaseSettings
from persistence.transitions.locks import lock_runs
from tests.engine.harness import PATIENCE_SECONDS, Act, acting, running, step


async def test_a_held_run_is_asked_for_ever_more_rarely_and_taken_when_it_is_free(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    eight = asyncio.Event()
    original = executor.claim

    async def claim(*given: Any) -> Any:
        done = await original(*given)
        if done.busy:
            times.append(time.monotonic())
            if len(times) == 8:
                eight.set()
        return done

    act = Act("noop")
    holder = Database(DatabaseSettings(dsn=dsn))
    await holder.open()
    async with running(dsn, acting(act), executes=False) as api:
        held = await api.submit(step("one"))
        async with holder.connection() as connection, connection.transaction():
            await lock_runs(connection, [held])
            monkeypatch.setattr(executor, "claim", claim)
            async with running(dsn, acting(act), sweep_seconds=60):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await eight.wait()
                assert times[-1] - times[0] > 0.12
                other = await api.submit(step("one"))
                assert (await api.finished(other))["outcome"] == "CLEAN"
                await connection.execute("COMMIT; BEGIN")

                assert (await api.finished(held))["outcome"] == "CLEAN"
    await holder.close()
