"""A run whose row somebody holds for long: others go on, and nobody asks for it hundreds of times a second."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from engine.executor import claiming
from persistence.database import Database, DatabaseSettings
from persistence.moves.locks import lock_runs
from tests.engine.harness import PATIENCE_SECONDS, Act, acting, running, step


async def test_a_held_run_is_asked_for_ever_more_rarely_and_taken_when_it_is_free(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: asyncio.Queue[float] = asyncio.Queue()
    original = claiming.claim

    async def claim(*given: Any) -> Any:
        done = await original(*given)
        if done.busy:
            asked.put_nowait(time.monotonic())
        return done

    async def times(number: int) -> list[float]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [await asked.get() for _ in range(number)]

    act = Act("noop")
    holder = Database(DatabaseSettings(dsn=dsn))
    await holder.open()
    async with running(dsn, acting(act), executes=False) as api:
        held = await api.submit(step("one"))
        async with holder.connection() as connection, connection.transaction():
            await lock_runs(connection, [held])
            monkeypatch.setattr(claiming, "claim", claim)
            async with running(dsn, acting(act), sweep_seconds=60):
                # Each of these wakes the claimer, which must not leave one more timer running beside the first.
                for _ in range(6):
                    other = await api.submit(step("one"))
                    assert (await api.finished(other))["outcome"] == "CLEAN"
                await times(asked.qsize() + 1)
                # Pauses of 2, 4, 8, 16, 32 and then 50 ms: none is shorter than asked for.
                seen = await times(16)
                assert seen[-1] - seen[0] > 0.3
                await connection.execute("COMMIT; BEGIN")

                assert (await api.finished(held))["outcome"] == "CLEAN"
    await holder.close()
