"""The executor as the engine sees it: its parts put together, and its life."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress

from engine.executor.caller import Caller
from engine.executor.calling import Calling
from engine.executor.claiming import Claiming
from engine.executor.outcomes import Stop
from engine.executor.reconciling import Reconciling
from engine.executor.settling import Settling
from engine.executor.slots import Slots
from engine.executor.tasks import Tasks
from engine.local import LocalWorker
from engine.retries import RetryPolicy
from engine.settings import EngineSettings
from engine.tools import Registry
from persistence.database import Database
from persistence.moves.inputs import Claimer
from persistence.moves.row import Advance, RunMark
from persistence.states import RunState
from persistence.wakeups import Wakeups
from persistence.workers import Worker


class Executor(LocalWorker):
    """Runs the steps that this process owns, at most `concurrency` at once (and a tenth more for starved users).

    `caller` makes their calls. `registry` resolves the references of the steps that they free.
    """

    def __init__(
        self, database: Database, registry: Registry, settings: EngineSettings, *, wakeups: Wakeups, caller: Caller
    ) -> None:
        self._grace_seconds = settings.grace_seconds
        self._slots = slots = Slots(settings.concurrency)
        self._tasks = Tasks()
        self._settling = Settling(
            database, registry, settings, slots=slots, wakeups=wakeups, tasks=self._tasks, take=self.take
        )
        policy = RetryPolicy(settings.retry_base_seconds, settings.retry_cap_seconds)
        self._calling = Calling(database, slots, caller, self._settling, self._tasks, policy=policy)
        self._reconciling = Reconciling(database, slots, start=self._calling.start)
        self._claiming = Claiming(
            database, slots, wakeups, take=self._calling.take, reconcile=self._reconciling.reconcile
        )
        wakeups.listen(on_work=self.wake, on_missed=self.wake, on_runs=self._on_runs)

    def open(self) -> None:
        """Begin to claim, as soon as this process is a worker."""
        self._claiming.open()

    def stop_claiming(self) -> None:
        """Take nothing more."""
        self._slots.is_open = False

    async def close(self) -> None:
        """Claim nothing more, let steps finish for the grace time, and hand back the rest."""
        await self._claiming.close()
        await self._wait_until_idle(self._grace_seconds)
        for attempt in tuple(self._slots.running.values()):
            attempt.stop(Stop.HANDED_BACK)
        await self._wait_until_idle(max(1.0, self._grace_seconds / 2))
        self._settling.refuse()
        for attempt in tuple(self._slots.running.values()):
            attempt.drop()
        self._tasks.cancel()
        await self._settling.close()

    async def _wait_until_idle(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._slots.idle.wait()

    @property
    def running(self) -> int:
        """How many steps this process owns at this moment."""
        return len(self._slots.running)

    def wake(self) -> None:
        """Look for due steps now."""
        self._slots.look.set()

    def became(self, worker: Worker) -> None:
        """Work as that worker from now on."""
        self._slots.worker = worker
        self.wake()

    def lost(self, worker: Worker) -> None:
        """The worker's lease is over: its steps are others', so their calls here are stopped."""
        slots = self._slots
        if slots.worker is not None and slots.worker.id == worker.id:
            slots.worker = None
        for attempt in tuple(slots.running.values()):
            if attempt.worker.id == worker.id:
                attempt.stop(Stop.LOST)

    def reserve(self, *, own: int = 0, most: int | None = None) -> AbstractContextManager[Claimer]:
        """The worker with its free slots (at most `most`), which nobody else claims for inside the block."""
        return self._slots.reserve(own=own, most=most)

    def take(self, claimer: Claimer, done: Advance) -> None:
        """Start the steps that a transaction claimed for this process."""
        self._calling.take(claimer, done)

    async def sweep(self) -> None:
        """Stop attempts that are no longer ours, start those that are and that we do not know of."""
        self.wake()
        await self._reconciling.reconcile()

    def _on_runs(self, marks: Sequence[RunMark]) -> None:
        running = self._slots.running
        cancelled = {mark.run for mark in marks if mark.state is RunState.CANCELLED}
        if cancelled and running:
            for attempt in tuple(running.values()):
                if attempt.step.run in cancelled:
                    attempt.stop(Stop.CANCELLED)
