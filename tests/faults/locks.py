"""Races staged by watching locks: one side holds, the other is seen waiting, and only then does the first let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from persistence.database import Connection
from persistence.moves.locks import lock_runs
from tests.persistence.stage import Stage


async def waiting(stage: Stage, sessions: int = 1, *, or_done: asyncio.Task[Any] | None = None) -> None:
    """Return when so many sessions of this database wait for a lock, or when `or_done` needs none."""
    async with stage.database.connection() as connection, asyncio.timeout(10):
        while True:
            count = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if count == sessions or (or_done is not None and or_done.done()):
                return
            await asyncio.sleep(0.002)


@asynccontextmanager
async def transaction(stage: Stage) -> AsyncGenerator[Connection]:
    """A transaction that commits at the end of the block."""
    async with stage.database.connection() as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def holding(stage: Stage, *runs: UUID) -> AsyncGenerator[Connection]:
    """A transaction that holds these runs and commits at the end of the block."""
    async with transaction(stage) as tx:
        await lock_runs(tx, runs)
        yield tx


async def deadlocks(stage: Stage) -> int:
    """How many deadlocks this database has seen, whoever resolved them."""
    async with stage.database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    return await stage.database.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
