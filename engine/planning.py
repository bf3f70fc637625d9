"""Plans the runs that came with an intent: work like any other, under a lease, so that nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from engine.errors import InvalidPlan
from engine.planner import Planner, PlanningContext, Unplannable
from engine.runs import LocalWorker, gate_policy
from engine.settings import EngineSettings
from engine.tools import Registry
from engine.validation import SoundPlan, check_plan
from engine.values import dotted
from persistence import ids
from persistence.database import Connection, Database, Unavailable
from persistence.states import Risk, RunState
from persistence.transitions import begin
from persistence.transitions.advance import Advance, RunMark
from persistence.wakeups import Wakeups
from persistence.workers import Worker

log = structlog.get_logger()

_AT_ONCE = 8


def planning_context(settings: EngineSettings) -> PlanningContext:
    """Now, in the time zone that people's days and times are meant in."""
    return PlanningContext(datetime.now(UTC).astimezone(settings.time_zone), max_steps=settings.max_plan_steps)


class Planning:
    """Claims QUEUED runs, asks the planner, and stores what it finds, or why it can't."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        planner: Planner,
        settings: EngineSettings,
        *,
        wakeups: Wakeups,
        local: LocalWorker,
    ) -> None:
        self._database = database
        self._registry = registry
        self._planner = planner
        self._settings = settings
        self._wakeups = wakeups
        self._local = local
        self._gate = gate_policy(settings)
        self._worker: Worker | None = None
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        wakeups.listen(on_work=self.wake, on_missed=self.wake)

    def open(self) -> None:
        """Begin to plan, as soon as this process is a worker."""
        self._task = asyncio.create_task(self._plan_on(), name="planning")

    async def close(self) -> None:
        """Stop; runs in the middle of it go back to the queue with the worker's end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._worker is not None:
            with suppress(Unavailable):
                async with self._database.connection() as connection:
                    await begin.release_planning(connection, [self._worker.id])

    def wake(self) -> None:
        """Look for QUEUED runs now."""
        self._look.set()

    def became(self, worker: Worker) -> None:
        """Work as that worker from now on."""
        self._worker = worker
        self.wake()

    def lost(self, worker: Worker) -> None:
        """The worker's lease is over: what it planned is refused by the write."""
        if self._worker is not None and self._worker.id == worker.id:
            self._worker = None

    async def _plan_on(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                while await self._plan_some():
                    pass
            except Unavailable as error:
                log.warning("planning_waits_for_the_database", error=str(error))
                await asyncio.sleep(0.2)
                self.wake()
            except Exception:
                log.exception("planning_failed")
                await asyncio.sleep(1)

    async def _plan_some(self) -> bool:
        worker = self._worker
        if worker is None:
            return False
        async with self._database.connection() as connection:
            claimed = await begin.claim_planning(connection, worker.id, at_most=_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for run in claimed:
                tasks.create_task(self._plan(run, worker))
        return len(claimed) == _AT_ONCE

    async def _plan(self, run: begin.ClaimedRun, worker: Worker) -> None:
        try:
            sound = await self._planned(run)
        except Unplannable as error:
            await self._refuse(run, worker, "UNPLANNABLE_INTENT", str(error))
        except InvalidPlan as error:
            faults = "; ".join(f"{dotted(fault.path)}: {fault.message}" for fault in error.faults[:5])
            await self._refuse(run, worker, "INVALID_PLAN", f"the planner's plan can't be run: {faults}")
        except TimeoutError:
            message = f"planning took longer than {self._settings.planning_seconds:g} s"
            await self._refuse(run, worker, "PLANNING_TIMEOUT", message)
        except Exception:
            log.exception("planner_failed", run_id=ids.run_id(run.id))
            await self._refuse(run, worker, "PLANNER_FAILED", "the planner failed; the server's log says more")
        else:
            await self._store(run, worker, sound)

    async def _planned(self, run: begin.ClaimedRun) -> SoundPlan:
        async with asyncio.timeout(self._settings.planning_seconds):
            plan = await self._planner.plan(run.intent, self._registry, planning_context(self._settings))
        return check_plan(plan, self._registry, self._settings, approve_from=Risk(run.approve_from))

    async def _store(self, run: begin.ClaimedRun, worker: Worker, sound: SoundPlan) -> None:
        async def write(tx: Connection) -> Advance:
            if not await begin.hold_planning(tx, run, worker.id, risk=sound.risk):
                return Advance()
            return await begin.store_steps(tx, sound.for_run(run.id), claimer=claimer, gate=self._gate)

        with self._local.reserve() as claimer:
            done = await self._database.transaction(write)
            self._local.take(claimer, done)
        self._wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))

    async def _refuse(self, run: begin.ClaimedRun, worker: Worker, code: str, message: str) -> None:
        async def write(tx: Connection) -> int | None:
            return await begin.fail_planning(tx, run, worker.id, code=code, message=message[:4000])

        seq = await self._database.transaction(write)
        if seq is not None:
            self._wakeups.announce([RunMark(run.id, seq, RunState.FAILED, 0, judged=False)])
