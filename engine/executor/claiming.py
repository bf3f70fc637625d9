"""Claiming: a loop takes due steps as long as slots are free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from engine.executor.fairness import Alarm, Debounce, Starvation
from engine.executor.slots import Slots
from persistence.database import Database, Unavailable
from persistence.moves.claim import claim
from persistence.moves.inputs import Claimer
from persistence.moves.row import Advance
from persistence.supervisor import Background
from persistence.wakeups import Wakeups

log = structlog.get_logger()

_SOON_SECONDS: Final = 0.002
"""When to look again for steps of runs that were busy a moment ago; ever later while they stay so."""

_LATEST_SECONDS: Final = 0.05
"""When to look again at the latest while runs are held for long."""

_AWAY_SECONDS: Final = 0.2


class Claiming:
    """Fills the free slots of this process whenever somebody wakes it."""

    def __init__(
        self,
        database: Database,
        slots: Slots,
        wakeups: Wakeups,
        *,
        take: Callable[[Claimer, Advance], None],
        reconcile: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._slots = slots
        self._wakeups = wakeups
        self._take = take
        self._reconcile = reconcile
        self._debounce = Debounce(slots.limit, self.wake)
        self._starvation = Starvation(slots.limit, self.wake)
        # One timer, however often others wake us meanwhile: each would go on for ever beside the first.
        self._again = Alarm(self.wake)
        self._again_seconds = _SOON_SECONDS
        self._loop = Background("claimer", self._claim_on, again=self.wake)

    def open(self) -> None:
        """Begin to claim, as soon as this process is a worker."""
        self._slots.is_open = True
        self._loop.open()

    async def close(self) -> None:
        """Claim nothing more; returns when no claim is under way here."""
        self._slots.is_open = False
        await self._loop.close()

    def wake(self) -> None:
        """Look for due steps now."""
        self._slots.look.set()

    async def _claim_on(self) -> None:
        look = self._slots.look
        while True:
            await look.wait()
            look.clear()
            try:
                if self._slots.lost_an_answer:
                    await self._reconcile()
                await self._claim_all()
            except Unavailable as error:
                # What the database did with our last statement is unknown: it may have claimed for us.
                self._slots.lost_an_answer = True
                log.warning("claim_waits_for_the_database", error=str(error))
                await asyncio.sleep(_AWAY_SECONDS)
                self.wake()

    async def _claim_all(self) -> None:
        slots = self._slots
        if slots.has_backlog and self._debounce.holds_back(len(slots.running)):
            return
        slots.has_backlog = False
        self._debounce.reset()
        is_full = True
        while True:
            with slots.reserve(wakes=False) as claimer:
                if claimer.slots == 0:
                    slots.has_backlog = True  # whatever ends next looks again
                    break
                is_full = False
                async with self._database.connection() as connection:
                    done = await claim(connection, claimer)
                self._take(claimer, done)
            self._wakeups.announce(done.marks)
            if len(done.claimed) < claimer.slots:
                self._look_again_after(done)
                return
        if is_full:
            await self._claim_for_starved_users()

    async def _claim_for_starved_users(self) -> None:
        """With all slots taken, begin a step for each user who has none here, up to a tenth beyond the limit."""
        if not self._starvation.is_due():
            return
        with self._slots.reserve(beyond=self._starvation.beyond, wakes=False) as claimer:
            if claimer.slots == 0:
                return
            served = {attempt.step.user for attempt in self._slots.running.values()}
            async with self._database.connection() as connection:
                done = await claim(connection, claimer, but_of=served, each=1)
            self._take(claimer, done)
        self._wakeups.announce(done.marks)
        self._look_again_after(done)

    def _look_again_after(self, done: Advance) -> None:
        """Soon, if there were steps of runs that another transaction held."""
        is_stuck = done.busy and not done.claimed
        self._again_seconds = min(self._again_seconds * 2, _LATEST_SECONDS) if is_stuck else _SOON_SECONDS
        if done.busy:
            self._again.set(self._again_seconds)
