"""Following runs live: every event once, in order, read from the database after a cursor, whatever wakes us.

Per run with followers there is one feed, which reads each new event once and shares it. A follower has a cursor
and nothing else: one that falls behind the feed's short memory reads from the table at its own pace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Final
from uuid import UUID

import structlog

from persistence.database import Database, Unavailable
from persistence.reads.rows import EventRow
from persistence.states import ENDING_EVENTS, EventType
from persistence.transitions.advance import RunMark
from persistence.wakeups import Wakeups

log = structlog.get_logger()

_PAGE: Final = 500
_REMEMBERED: Final = 512
_BREATH: Final = 32
"""After so many replayed events a follower gives way: a loop that never waits would freeze the whole server."""

_AFTER = """
SELECT run_id, seq, type, position, approval_id, message, metadata::text, created_at
FROM timeline_events WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""


async def events_after(database: Database, run: UUID, seq: int, *, at_most: int = _PAGE) -> list[EventRow]:
    """The run's events after `seq`, in order, `at_most` of them."""
    return [EventRow(*row) for row in await database.fetch(_AFTER, run, seq, at_most)]


class _Feed:
    """The last events of one run, read once for all who follow it."""

    def __init__(self, run: UUID) -> None:
        self.run = run
        self.followers = 0
        self.known = 0
        self.recent: deque[EventRow] = deque(maxlen=_REMEMBERED)
        self.news = asyncio.Event()
        self.reading = asyncio.Lock()

    def tell(self, seq: int) -> None:
        self.known = max(self.known, seq)
        # Everybody who waits now is released; who comes later waits for the next news.
        self.news.set()
        self.news = asyncio.Event()

    def after(self, seq: int) -> list[EventRow] | None:
        """What is remembered after `seq`; None when the memory starts later."""
        if not self.recent or seq < self.recent[0].seq - 1:
            return None
        first = seq - self.recent[0].seq + 1
        return [self.recent[place] for place in range(first, len(self.recent))]


class Timeline:
    """The feeds of this process. `sweep` finds what lost wake-ups would have announced."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._feeds: dict[UUID, _Feed] = {}
        self._closing = False
        wakeups.listen(on_runs=self._on_runs, on_missed=self._on_missed)

    @property
    def followers(self) -> int:
        """How many follow some run at this moment."""
        return sum(feed.followers for feed in self._feeds.values())

    def _on_runs(self, marks: Sequence[RunMark]) -> None:
        if not self._feeds:
            return
        for mark in marks:
            feed = self._feeds.get(mark.run)
            if feed is not None:
                feed.tell(mark.seq)

    def _on_missed(self) -> None:
        for feed in self._feeds.values():
            feed.tell(feed.known + 1)

    async def sweep(self) -> None:
        """Wake the feeds whose runs have moved on without a word."""
        if not self._feeds:
            return
        rows = await self._database.fetch("SELECT id, last_seq FROM runs WHERE id = ANY($1::uuid[])", list(self._feeds))
        for row in rows:
            feed = self._feeds.get(row["id"])
            if feed is not None and (not feed.recent or row["last_seq"] > feed.recent[-1].seq):
                feed.tell(row["last_seq"])

    def close(self) -> None:
        """End every follower: the process is stopping, and clients go on elsewhere from their cursors."""
        self._closing = True
        for feed in self._feeds.values():
            feed.tell(feed.known)

    async def follow(self, run: UUID, after: int) -> AsyncGenerator[EventRow]:
        """The run's events after `after`: the recorded ones, then each as it is committed, exactly once and in order.

        Ends after an event that ends the run, unless a later one is recorded, and when the process stops. While the
        database is away it waits.
        """
        feed = self._feeds.get(run)
        if feed is None:
            feed = self._feeds[run] = _Feed(run)
        feed.followers += 1
        try:
            cursor, ended, given = after, False, 0
            while not self._closing:
                # Taken before the read: what is committed after it sets this very event.
                news = feed.news
                events = await self._next(feed, cursor)
                for event in events:
                    yield event
                    cursor, ended = event.seq, event.type in ENDING_EVENTS
                    given += 1
                    if given % _BREATH == 0:
                        await asyncio.sleep(0)
                if events:
                    continue
                if ended or await self._has_ended(run, cursor):
                    return
                await news.wait()
        finally:
            feed.followers -= 1
            if feed.followers == 0 and self._feeds.get(run) is feed:
                del self._feeds[run]

    async def _next(self, feed: _Feed, cursor: int) -> list[EventRow]:
        remembered = feed.after(cursor)
        if remembered:
            return remembered
        if remembered is not None and feed.known > 0 and cursor >= feed.known:
            return []
        try:
            return await self._read(feed, cursor)
        except Unavailable as error:
            log.warning("timeline_waits_for_the_database", error=str(error))
            await asyncio.sleep(0.2)
            return []

    async def _read(self, feed: _Feed, cursor: int) -> list[EventRow]:
        tail = feed.recent[-1].seq if feed.recent else None
        if tail is not None and cursor < tail:
            # Behind the memory: read alone, as far as the page goes.
            return await events_after(self._database, feed.run, cursor)
        async with feed.reading:
            remembered = feed.after(cursor)
            if remembered:  # somebody read while we waited for our turn
                return remembered
            events = await events_after(self._database, feed.run, cursor)
            if events and (not feed.recent or feed.recent[-1].seq + 1 == events[0].seq):
                feed.recent.extend(events)
            if events:
                feed.known = max(feed.known, events[-1].seq)
            return events

    async def _has_ended(self, run: UUID, cursor: int) -> bool:
        """Whether a follower that starts behind an ended run's last event has nothing to wait for."""
        if cursor == 0:
            return False
        try:
            kind = await self._database.fetchval(
                "SELECT type FROM timeline_events WHERE run_id = $1 AND seq = $2", run, cursor
            )
        except Unavailable:
            return False
        return kind is not None and EventType(kind) in ENDING_EVENTS
