"""Timelines written by others, and those who follow them in this process."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from persistence.approvals_feed import ApprovalsFeed
from persistence.broadcast import PostgresBackend, broadcast_over
from persistence.database import Database, DatabaseSettings
from persistence.moves.row import RunMark
from persistence.reads.rows import EventRow
from persistence.states import EventType, RunState
from persistence.timeline import Timeline
from persistence.wakeups import Wakeups

_WRITE = """
WITH grown AS (
    UPDATE runs SET last_seq = last_seq + $2 WHERE id = $1 RETURNING last_seq, moved_at)
INSERT INTO timeline_events (run_id, seq, type, message, metadata, created_at)
SELECT $1, last_seq - $2 + n, $3, 'event ' || (last_seq - $2 + n), '{}', moved_at
FROM grown, generate_series(1, $2::int) AS n
"""


async def write_events(
    database: Database, run: UUID, count: int = 1, kind: EventType = EventType.STEP_READY
) -> RunMark:
    """So many events at the end of the run's timeline, in one commit, which nobody is told of; the mark to tell."""
    async with database.connection() as connection, connection.transaction():
        await connection.execute(_WRITE, run, count, kind)
        seq = await connection.fetchval("SELECT last_seq FROM runs WHERE id = $1", run)
    return RunMark(run, seq, RunState.EXECUTING, 0, judged=False)


@dataclass(frozen=True, slots=True)
class Listening:
    """One process's ears: its wake-ups, and what is fed by them."""

    wakeups: Wakeups
    backend: PostgresBackend
    timeline: Timeline
    approvals: ApprovalsFeed


@asynccontextmanager
async def listening(database: Database, *, opened: bool = True) -> AsyncGenerator[Listening]:
    """A process that listens, for the length of the block; one that is not `opened` hears nothing of others."""
    broadcast, backend = broadcast_over(DatabaseSettings(dsn=database.settings.dsn), None)
    assert backend is not None
    wakeups = Wakeups(broadcast, backend)
    timeline, approvals = Timeline(database, wakeups), ApprovalsFeed(database, wakeups)
    if opened:
        await wakeups.open()
    try:
        yield Listening(wakeups, backend, timeline, approvals)
    finally:
        timeline.close()
        await approvals.close()
        if opened:
            await wakeups.close()


async def take(events: AsyncGenerator[EventRow], count: int, *, seconds: float = 10) -> list[int]:
    """The seqs of the next `count` events."""
    seqs: list[int] = []
    async with asyncio.timeout(seconds):
        while len(seqs) < count:
            seqs.append((await anext(events)).seq)
    return seqs


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is watched is not ours to change
            await asyncio.sleep(0.001)


async def until_waiting(ears: Listening, followers: int) -> None:
    """Return when so many follow timelines, and each of them waits for news."""

    def waiters() -> int:
        feeds: Any = ears.timeline._feeds  # pyright: ignore[reportPrivateUsage]
        return sum(len(feed.waiting) for feed in feeds.values())

    await until(lambda: ears.timeline.followers == waiters() == followers)
