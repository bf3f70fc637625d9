"""Following runs live: every event once, in order, read from the database after a cursor, whatever wakes us.

Per run with followers there is one feed, which reads each new event once and shares it. A follower has a cursor
and nothing else: one that falls behind the feed's short memory reads from the table at its own pace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from persistence import ids
from persistence.database import Database, Unavailable
from persistence.moves.row import RunMark
from persistence.reads.rows import EventRow
from persistence.states import ENDING_EVENTS, EventType
from persistence.supervisor import failed, known
from persistence.wakeups import Wakeups

log = structlog.get_logger()

_PAGE: Final = 500
_REMEMBERED: Final = 512
_BREATH: Final = 32
"""After so many replayed events a follower gives way: a loop that never waits would freeze the whole server."""

_AWAY_SECONDS: Final = 0.2
_PUSHING: Final = known("timeline-push")

_AFTER = """
SELECT run_id, seq, type, position, approval_id, message, metadata::text, created_at
FROM timeline_events WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""


async def events_after(database: Database, run: UUID, seq: int, *, at_most: int = _PAGE) -> list[EventRow]:
    """The run's events after `seq`, in order, `at_most` of them."""
    return [EventRow(*row) for row in await database.fetch(_AFTER, run, seq, at_most)]


Push = Callable[[EventRow], bool]
"""Hands an event on at once; False when that can't be done now: then the follower fetches it. Must not block."""


class _Follower:
    """How far a follower has come. `ended`: whether the event there ends the run; None when that is not known."""

    __slots__ = ("cursor", "ended", "push")

    def __init__(self, cursor: int, push: Push | None) -> None:
        self.cursor = cursor
        self.ended = None if cursor > 0 else False
        self.push = push

    def passed(self, event: EventRow) -> None:
        self.cursor, self.ended = event.seq, event.type in ENDING_EVENTS

    def take(self, events: Sequence[EventRow]) -> bool:
        """Push these events; False when the follower has to fetch the rest, or the end, by itself."""
        push = self.push
        if push is None:
            return False
        for event in events:
            if event.seq > self.cursor:
                if event.seq != self.cursor + 1 or event.type in ENDING_EVENTS or not push(event):
                    return False
                self.cursor = event.seq
        return True


class _Feed:
    """The last events of one run, read once for all of its followers."""

    def __init__(self, run: UUID) -> None:
        self.run = run
        self.followers = 0
        self.known = 0
        """The last event that was announced or read."""
        self.reached: int | None = None
        """The last event, as a read found it that nothing has been heard after; None when that is not known."""
        self.recent: deque[EventRow] = deque(maxlen=_REMEMBERED)
        self.heard = 0
        """How often there was news."""
        self.waiting: dict[_Follower, asyncio.Future[None]] = {}
        self.pushing: asyncio.Task[None] | None = None
        self.reading = asyncio.Lock()
        self._missed = 0

    def tell(self, seq: int) -> None:
        self.known = max(self.known, seq)

    def miss(self) -> None:
        """Anything may have happened."""
        self._missed += 1
        self.reached = None

    async def wait(self, follower: _Follower, heard: int) -> None:
        """Wait for news since `heard`, unless it is pushed."""
        if self.heard == heard:
            self.waiting[follower] = news = asyncio.get_running_loop().create_future()
            try:
                await news
            finally:
                self.waiting.pop(follower, None)

    def release(self, *followers: _Follower) -> None:
        """Let these fetch what is new."""
        for follower in followers:
            news = self.waiting.pop(follower, None)
            if news is not None and not news.done():
                news.set_result(None)

    def is_current(self, cursor: int) -> bool:
        """Whether a read after the cursor would find nothing."""
        return self.reached is not None and cursor >= self.reached >= self.known

    async def read(self, database: Database, cursor: int) -> list[EventRow]:
        """The events after the cursor, remembered where they follow on those that are."""
        missed = self._missed
        events = await events_after(database, self.run, cursor)
        end = events[-1].seq if events else cursor
        if events:
            self.known = max(self.known, end)
            if not self.recent or self.recent[-1].seq + 1 == events[0].seq:
                self.recent.extend(events)
        if len(events) < _PAGE and missed == self._missed:
            self.reached = end if self.reached is None else max(self.reached, end)
        return events

    def after(self, seq: int) -> list[EventRow] | None:
        """The remembered events after `seq`; None when the memory starts later."""
        if not self.recent or seq < self.recent[0].seq - 1:
            return None
        first = seq - self.recent[0].seq + 1
        return [self.recent[index] for index in range(first, len(self.recent))]


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
                self._wake(feed)

    def _on_missed(self) -> None:
        for feed in self._feeds.values():
            feed.miss()
            self._wake(feed)

    async def sweep(self) -> None:
        """Wake the feeds whose runs moved without a wake-up."""
        if not self._feeds:
            return
        rows = await self._database.fetch("SELECT id, last_seq FROM runs WHERE id = ANY($1::uuid[])", list(self._feeds))
        for row in rows:
            feed = self._feeds.get(row["id"])
            if feed is not None and row["last_seq"] > max(feed.known, feed.reached or 0):
                feed.tell(row["last_seq"])
                self._wake(feed)

    def close(self) -> None:
        """End every follower: the process is stopping, and clients go on elsewhere from their cursors."""
        self._closing = True
        for feed in self._feeds.values():
            feed.heard += 1
            feed.release(*feed.waiting)

    async def follow(self, run: UUID, after: int, *, push: Push | None = None) -> AsyncGenerator[EventRow]:
        """The run's events after `after`: the recorded ones, then each as it is committed, exactly once and in order.

        Ends after an event that ends the run, unless a later one is recorded, and when the process stops. While the
        database is away it waits.

        With `push`, what comes while the follower waits is handed to that instead, in the same order and once: to wake
        a task for each of a thousand followers costs much more than to write to their sockets. It gives back no event
        that ends the run.
        """
        feed = self._feeds.get(run)
        if feed is None:
            feed = self._feeds[run] = _Feed(run)
        feed.followers += 1
        try:
            follower, given = _Follower(after, push), 0
            while not self._closing:
                # Taken before the read: what is committed after it is news.
                heard = feed.heard
                events = await self._next(feed, follower.cursor)
                for event in events or ():
                    yield event
                    follower.passed(event)
                    given += 1
                    if given % _BREATH == 0:
                        await asyncio.sleep(0)
                if events != []:
                    continue
                if follower.ended is None:
                    follower.ended = await self._has_ended(run, follower.cursor)
                if follower.ended:
                    return
                if follower.ended is False:
                    await feed.wait(follower, heard)
        finally:
            feed.followers -= 1
            if feed.followers == 0 and self._feeds.get(run) is feed:
                del self._feeds[run]

    def _wake(self, feed: _Feed) -> None:
        feed.heard += 1
        if feed.pushing is not None or not feed.waiting:
            return
        if any(follower.push for follower in feed.waiting):
            feed.pushing = asyncio.create_task(self._push(feed), name=_PUSHING)
        else:
            feed.release(*feed.waiting)

    async def _push(self, feed: _Feed) -> None:
        """Hand new events to the waiting followers; those that can't take them that way fetch them."""
        try:
            while feed.waiting:
                heard = feed.heard
                events = await self._next(feed, min(follower.cursor for follower in feed.waiting))
                if events:
                    await self._push_these(feed, events)
                elif events is not None and feed.heard == heard:
                    return
        except Exception as error:  # noqa: BLE001 - logged and counted
            failed(_PUSHING, error, run_id=ids.run_id(feed.run))
            feed.release(*feed.waiting)
        finally:
            feed.pushing = None

    async def _push_these(self, feed: _Feed, events: Sequence[EventRow]) -> None:
        for number, follower in enumerate(tuple(feed.waiting), start=1):
            # A follower that left while other tasks ran takes no more events.
            if follower in feed.waiting and not follower.take(events):
                feed.release(follower)
            if number % _BREATH == 0:
                await asyncio.sleep(0)

    async def _next(self, feed: _Feed, cursor: int) -> list[EventRow] | None:
        """The events after the cursor; empty when there are none yet, None when the database did not answer."""
        remembered = feed.after(cursor)
        if remembered:
            return remembered
        if feed.is_current(cursor):
            return []
        try:
            return await self._read(feed, cursor)
        except Unavailable as error:
            return await self._wait_for_the_database(error)

    async def _read(self, feed: _Feed, cursor: int) -> list[EventRow]:
        if feed.recent and cursor < feed.recent[-1].seq:
            # Behind the memory: read alone, as far as the page goes.
            return await events_after(self._database, feed.run, cursor)
        async with feed.reading:
            # Somebody may have read while we waited for our turn.
            remembered = feed.after(cursor)
            if remembered or feed.is_current(cursor):
                return remembered or []
            return await feed.read(self._database, cursor)

    async def _has_ended(self, run: UUID, cursor: int) -> bool | None:
        """Whether the event at the cursor ends the run; None when the database did not say."""
        try:
            kind = await self._database.fetchval(
                "SELECT type FROM timeline_events WHERE run_id = $1 AND seq = $2", run, cursor
            )
        except Unavailable as error:
            return await self._wait_for_the_database(error)
        return kind is not None and EventType(kind) in ENDING_EVENTS

    async def _wait_for_the_database(self, error: Unavailable) -> None:
        log.warning("timeline_waits_for_the_database", error=str(error))
        await asyncio.sleep(_AWAY_SECONDS)
