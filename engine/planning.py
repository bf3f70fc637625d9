"""Plans the runs that came with an intent: work like any other, under a lease, so that nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog

from engine.access import literals_of
from engine.errors import InvalidPlan
from engine.local import LocalWorker
from engine.planner import Planner, PlanningContext, Unplannable
from engine.planner.asking import ask
from engine.rounds import Rules, start_elaborate
from engine.settings import EngineSettings, gate_policy
from engine.tools import Registry
from engine.validation import SoundPlan, check_plan_aside
from engine.values import dotted, storable
from persistence import ids
from persistence.database import Connection, Database, Unavailable
from persistence.moves import begin, planning
from persistence.moves.origins import store_origins
from persistence.moves.row import Advance, RunMark
from persistence.states import Risk, RunState, UserKind
from persistence.supervisor import Background
from persistence.wakeups import Wakeups
from persistence.workers import Worker

log = structlog.get_logger()

_AT_ONCE = 64
"""How many runs a process plans at the same time: planners mostly wait for somebody else's answer."""


def planning_context(settings: EngineSettings) -> PlanningContext:
    """Now, in the time zone that people's days and times are meant in."""
    return PlanningContext(datetime.now(UTC).astimezone(settings.time_zone), max_steps=settings.max_plan_steps)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a run will have no plan."""

    code: str
    message: str


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
        self._looking = Background("planning", self._plan_on, again=self.wake)
        self._plans: dict[asyncio.Task[None], UUID] = {}
        wakeups.listen(on_plans=self.wake, on_missed=self.wake)

    def open(self) -> None:
        """Begin to plan, as soon as this process is a worker."""
        self._looking.open()

    async def close(self) -> None:
        """Stop; runs in the middle of it go back to the queue with the worker's end."""
        await self._looking.close()
        tasks = tuple(self._plans)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._worker is not None:
            with suppress(Unavailable):
                async with self._database.connection() as connection:
                    await planning.release_planning(connection, [self._worker.id])
                self._wakeups.announce(plans=True)

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
                await self._plan_some()
            except Unavailable as error:
                log.warning("planning_waits_for_the_database", error=str(error))
                await asyncio.sleep(0.2)
                self.wake()

    async def _plan_some(self) -> None:
        worker, free = self._worker, _AT_ONCE - len(self._plans)
        if worker is None or free <= 0:
            return  # the next plan that ends looks again
        async with self._database.connection() as connection:
            claimed = await planning.claim_planning(
                connection, worker.id, at_most=free, known=tuple(self._plans.values())
            )
        for run in claimed:
            task = asyncio.create_task(self._plan(run, worker), name="plan")
            self._plans[task] = run.id
            task.add_done_callback(self._planned_one)

    def _planned_one(self, task: asyncio.Task[None]) -> None:
        if len(self._plans) >= _AT_ONCE:
            self.wake()
        self._plans.pop(task, None)

    async def _plan(self, run: planning.ClaimedRun, worker: Worker) -> None:
        found = await self._answer(run)
        # Nobody else plans the run as long as this worker lives: what was found must be written down.
        while self._worker is worker:
            try:
                if isinstance(found, SoundPlan):
                    await self._store(run, worker, found)
                else:
                    await self._refuse(run, worker, found)
            except Unavailable as error:
                log.warning("plan_waits_for_the_database", run_id=ids.run_id(run.id), error=str(error))
                await asyncio.sleep(0.2)
            except Exception:
                log.exception("plan_not_stored", run_id=ids.run_id(run.id))
                if isinstance(found, _Refusal):
                    return
                found = _Refusal("INTERNAL", "the plan could not be stored; the server's log says why")
            else:
                return

    async def _answer(self, run: planning.ClaimedRun) -> SoundPlan | _Refusal:
        """A plan that may be run, or why there is none: whatever a planner does, its run learns of it."""
        limit = asyncio.timeout(self._settings.planning_seconds)
        try:
            async with limit:
                plan = await ask(self._planner, run.intent, self._registry, planning_context(self._settings))
            return await check_plan_aside(
                plan,
                self._registry,
                self._settings,
                approve_from=Risk(run.approve_from),
                literals=literals_of(UserKind(run.kind)),
            )
        except Unplannable as error:
            return _Refusal("UNPLANNABLE_INTENT", str(error))
        except InvalidPlan as error:
            faults = "; ".join(f"{dotted(fault.path)}: {fault.message}" for fault in error.faults[:5])
            return _Refusal("INVALID_PLAN", f"the planner's plan can't be run: {faults}")
        except BaseException as error:
            if limit.expired() and isinstance(error, TimeoutError):
                return _Refusal("PLANNING_TIMEOUT", f"planning took longer than {self._settings.planning_seconds:g} s")
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # it is us who stop
            log.exception("planner_failed", run_id=ids.run_id(run.id))
            return _Refusal("PLANNER_FAILED", "the planner failed; the server's log says more")

    async def _store(self, run: planning.ClaimedRun, worker: Worker, sound: SoundPlan) -> None:
        async def write(tx: Connection) -> Advance:
            if not await planning.hold_planning(tx, run, worker.id, risk=sound.risk):
                return Advance()
            if sound.is_elaborate:
                rules = Rules(self._registry, self._settings)
                return await start_elaborate(tx, rules, run.id, run.submitted_by, sound)
            await store_origins(tx, run.id, sound.origins)
            return await begin.store_steps(
                tx, sound.for_run(run.id, run.submitted_by), claimer=claimer, gate=self._gate
            )

        with self._local.reserve() as claimer:
            done = await self._database.transaction(write)
            self._local.take(claimer, done)
        self._wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))

    async def _refuse(self, run: planning.ClaimedRun, worker: Worker, why: _Refusal) -> None:
        async def write(tx: Connection) -> int | None:
            return await planning.fail_planning(tx, run, worker.id, code=why.code, message=storable(why.message[:4000]))

        seq = await self._database.transaction(write)
        if seq is not None:
            self._wakeups.announce([RunMark(run.id, seq, RunState.FAILED, 0, judged=False)])
