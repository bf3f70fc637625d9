"""Following approvals across runs: each one that is asked for or changes, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from persistence.database import Database, Unavailable
from persistence.moves.row import RunMark
from persistence.supervisor import Background
from persistence.wakeups import Wakeups

log = structlog.get_logger()

_OVERLAP: Final = timedelta(seconds=30)
"""Longer than any transaction of ours may last: a change that was committed late is still found by its time."""

_MOST_WAITING: Final = 1000


@dataclass(frozen=True, slots=True)
class ApprovalChange:
    """An approval that was opened or changed; its run's submitter decides which users may see it."""

    approval: UUID
    run: UUID
    submitted_by: UUID
    status: str


# Looked up for each approval: a join would read the whole history of runs for a handful of approvals.
_SUBMITTER = "(SELECT submitted_by FROM runs r WHERE r.id = a.run_id)"

_MOVED = f"""
SELECT a.id, a.run_id, {_SUBMITTER}, a.status, a.moved_at
FROM approvals a WHERE a.moved_at > $1 ORDER BY a.moved_at, a.id
"""
_OPEN = f"""
SELECT a.id, a.run_id, {_SUBMITTER}, a.status
FROM approvals a WHERE a.status = 'REQUIRED' ORDER BY a.created_at, a.id
"""


class ApprovalsFeed:
    """One reader for all followers of approvals in this process; `sweep` finds changes whose wake-ups were lost."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._followers: set[asyncio.Queue[ApprovalChange | None]] = set()
        self._seen: dict[tuple[UUID, str], datetime] = {}
        self._since: datetime | None = None
        self._look = asyncio.Event()
        self._starting = asyncio.Lock()
        self._reader = Background("approvals-feed", self._read_on, again=self._look.set)
        self._closing = False
        wakeups.listen(on_runs=self._on_runs, on_missed=self._look.set)

    @property
    def followers(self) -> int:
        """How many follow at this moment."""
        return len(self._followers)

    def _on_runs(self, marks: Sequence[RunMark]) -> None:
        if self._followers and any(mark.judged for mark in marks):
            self._look.set()

    def sweep(self) -> None:
        """Look again, whether or not anybody said so."""
        if self._followers:
            self._look.set()

    async def close(self) -> None:
        """End every follower."""
        self._closing = True
        for queue in self._followers:
            _end(queue)
        await self._reader.close()

    async def follow(self) -> AsyncGenerator[ApprovalChange]:
        """The approvals open now, then each as it is asked for or changes.

        One that changes while it is first read may come twice, with the same status. Raises Unavailable at the start
        only. A follower that falls too far behind is ended, and starts again with the open approvals.
        """
        queue: asyncio.Queue[ApprovalChange | None] = asyncio.Queue(_MOST_WAITING + 1)
        async with self._starting:
            await self._start()
            self._followers.add(queue)
        try:
            for row in await self._database.fetch(_OPEN):
                yield ApprovalChange(*row)
            while not self._closing:
                change = await queue.get()
                if change is None:
                    return
                yield change
        finally:
            self._followers.discard(queue)

    async def _start(self) -> None:
        self._reader.open()
        if not self._followers:
            # There was no follower: the open approvals include every change so far.
            self._since = await self._database.fetchval("SELECT clock_timestamp()")
            self._seen = {(row[0], row[3]): row[4] for row in await self._database.fetch(_MOVED, self._floor())}

    def _floor(self) -> datetime:
        assert self._since is not None
        return self._since - _OVERLAP

    async def _read_on(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            since = self._since
            if not self._followers or since is None:
                continue
            try:
                rows = await self._database.fetch(_MOVED, self._floor())
            except Unavailable as error:
                log.warning("approvals_wait_for_the_database", error=str(error))
                continue
            for approval, run, submitted_by, status, moved_at in rows:
                # Never back: an earlier change was sent already, or was there before the first follower came.
                since = max(since, moved_at)
                if (approval, status) in self._seen:
                    continue
                # Send before remembering: an error in between must not leave a remembered change that was never sent.
                self._tell(ApprovalChange(approval, run, submitted_by, status))
                self._seen[approval, status] = moved_at
            if self._since is not None:
                self._since = max(self._since, since)
            floor = self._floor()
            self._seen = {key: moved_at for key, moved_at in self._seen.items() if moved_at > floor}

    def _tell(self, change: ApprovalChange) -> None:
        for queue in self._followers:
            if queue.qsize() < _MOST_WAITING:
                queue.put_nowait(change)
            else:
                _end(queue)


def _end(queue: asyncio.Queue[ApprovalChange | None]) -> None:
    # The last place is kept for this, and once is enough.
    if not queue.full():
        queue.put_nowait(None)
