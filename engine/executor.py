"""The hot loop: claim, call, settle.

Each process has one. It claims due steps while it has free slots, calls their tools concurrently, and settles outcomes
in groups: while one group commits, the next one gathers. The transaction that settles also claims what it made ready,
so a chain costs one commit a step. Everything it knows it can lose: the database decides what it still owns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

import structlog

from engine.attempt import Attempt, Calling, Stop
from engine.gather import Gather
from engine.resolving import resolutions
from engine.runs import LocalWorker, gate_policy
from engine.settings import EngineSettings
from engine.tools import Registry
from persistence import ids
from persistence.database import Connection, Database, Unavailable
from persistence.moves.claim import Entry, claim, enter
from persistence.moves.inputs import NOBODY, Claimer, Outcome
from persistence.moves.locks import lock_runs
from persistence.moves.owned import cancelled_runs, owned_steps
from persistence.moves.references import freed_references
from persistence.moves.row import Advance, ClaimedStep, RunMark
from persistence.moves.settle import SettleFree, advance, advance_free
from persistence.moves.succeed import is_success, succeed
from persistence.notices import keep_notices, notices_of
from persistence.states import RunState, StepState
from persistence.supervisor import Background
from persistence.wakeups import Wakeups
from persistence.workers import Worker

log = structlog.get_logger()

_OUTCOMES_A_GROUP = 500
_AGAIN_SECONDS = 0.002
"""When to look again for steps of runs that were busy a moment ago; ever later while they stay so."""

_LOOK_AGAIN_SECONDS = 0.05
"""When to look again at steps that seem to be ours without our knowing, or whose runs are held for long."""

_BEYOND = 10
"""Of so many slots, one more is there for people who have no step running."""

_NEWCOMERS_SECONDS = 0.05
"""How soon after a look for people who have no step running comes the next one, at the earliest."""

_PATIENCE_SECONDS = 0.02
"""How long a few free slots wait for more of them, while steps wait in numbers."""


class Executor(LocalWorker):
    """Runs the steps that this process owns, at most `concurrency` at once."""

    def __init__(
        self, database: Database, registry: Registry, settings: EngineSettings, *, wakeups: Wakeups, calling: Calling
    ) -> None:
        self._database = database
        self._registry = registry
        self._settings = settings
        self._wakeups = wakeups
        self._gate = gate_policy(settings)
        self._worker: Worker | None = None
        self._running: dict[tuple[UUID, int], Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._reserved = 0
        self._claims: set[object] = set()
        self._strays: dict[tuple[UUID, int, int], set[object]] = {}
        self._claiming = self._closed = False
        self._more = False
        self._hurries = False
        self._patience: asyncio.TimerHandle | None = None
        self._stray = False
        self._again = _AGAIN_SECONDS
        self._newcomers_at = 0.0
        self._looks_again_at_newcomers = False
        self._asks_again: asyncio.TimerHandle | None = None
        self._claimer = Background("claimer", self._claim_on, again=self.wake)
        # Two at once, of half the slots each: while the database writes one group, the other one's tools are called.
        a_group = min(_OUTCOMES_A_GROUP, max(1, settings.concurrency // 2))
        self._settling = Gather(self._settle, at_most=a_group, writers=2, name="settle")
        self._entering = Gather(self._enter, at_most=_OUTCOMES_A_GROUP, name="enter")
        self._calling = calling
        wakeups.listen(on_work=self.wake, on_missed=self.wake, on_runs=self._on_runs)

    # What the process does with it

    def open(self) -> None:
        """Begin to claim, as soon as this process is a worker."""
        self._claiming = True
        self._claimer.open()

    def stop_claiming(self) -> None:
        """Take nothing more."""
        self._claiming = False

    async def close(self) -> None:
        """Claim nothing more, let steps finish for the grace time, and hand back the rest."""
        self._claiming = False
        await self._claimer.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.grace_seconds):
                await self._idle.wait()
        for attempt in tuple(self._running.values()):
            attempt.stop(Stop.HANDED_BACK)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(1.0, self._settings.grace_seconds / 2)):
                await self._idle.wait()
        self._closed = True
        for attempt in tuple(self._running.values()):
            attempt.drop()
        for task in tuple(self._tasks):
            task.cancel()
        await self._settling.close()

    @property
    def running(self) -> int:
        """How many steps this process owns at this moment."""
        return len(self._running)

    def wake(self) -> None:
        """Look for due steps now."""
        self._due.set()

    def became(self, worker: Worker) -> None:
        """Work as that worker from now on."""
        self._worker = worker
        self.wake()

    def lost(self, worker: Worker) -> None:
        """The worker's lease is over: its steps are others', so their calls here are stopped."""
        if self._worker is not None and self._worker.id == worker.id:
            self._worker = None
        for attempt in tuple(self._running.values()):
            if attempt.worker.id == worker.id:
                attempt.stop(Stop.LOST)

    @contextmanager
    def reserve(
        self, *, own: int = 0, beyond: int = 0, most: int | None = None, wakes: bool = True
    ) -> Generator[Claimer]:
        """The process as a worker with its free slots, which no other transaction claims for meanwhile.

        With `beyond` so many more than there are, and never more than `most`. When they are free again, and somebody
        has looked for some in vain, the next claim is made, unless that is who asks.
        """
        if self._worker is None or not self._claiming:
            yield NOBODY
            return
        if self._more and own > 0:
            # Others wait: of the slots that end here, one goes through the queue, where everybody has a turn.
            own -= 1
        # Steps whose runs were busy keep their slots a little longer, and those that follow may have them already.
        slots = max(0, self._settings.concurrency + beyond - len(self._running) - self._reserved + own)
        if most is not None:
            slots = min(slots, most)
        more = max(0, slots - own)
        self._reserved += more
        claim = object()
        self._claims.add(claim)
        try:
            yield Claimer(self._worker.id, slots)
        finally:
            self._claims.discard(claim)
            self._reserved -= more
            if wakes and more and self._more:
                self._due.set()

    def take(self, claimer: Claimer, done: Advance) -> None:
        """Start the steps that a transaction claimed for this process."""
        worker = self._worker
        if worker is None or worker.id != claimer.worker:
            return  # claimed under a lease that is over by now: others take them
        if done.claimed:
            self._start(done.claimed, worker)

    async def sweep(self) -> None:
        """Stop attempts that are no longer ours, start those that are and that we do not know of."""
        self.wake()
        await self._reconcile()

    # Claiming

    async def _claim_on(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                if self._stray:
                    await self._reconcile()
                await self._claim_all()
            except Unavailable as error:
                # What the database did with our last statement is unknown: it may have claimed for us.
                self._stray = True
                log.warning("claim_waits_for_the_database", error=str(error))
                await asyncio.sleep(0.2)
                self.wake()

    async def _claim_all(self) -> None:
        if self._more and not self._hurries and not self._has_room():
            # With a backlog, slots are filled by the dozen: a claim for each one would cost a commit each.
            if self._patience is None:
                self._patience = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._hurry)
            return
        self._more = self._hurries = False
        is_first = True
        while True:
            with self.reserve(wakes=False) as claimer:
                if claimer.slots == 0:
                    self._more = True  # what ends next looks again
                    break
                is_first = False
                async with self._database.connection() as connection:
                    done = await claim(connection, claimer)
                self.take(claimer, done)
            self._wakeups.announce(done.marks)
            if len(done.claimed) < claimer.slots:
                self._look_again_at(done)
                return
        if is_first:
            await self._claim_for_newcomers()

    async def _claim_for_newcomers(self) -> None:
        """With all slots taken, begin a step for each person who has none here, up to a tenth beyond the limit.

        Who has submitted thousands of long steps would hold everybody else up until one of them ends.
        """
        beyond = self._settings.concurrency // _BEYOND
        if beyond == 0 or self._looks_again_at_newcomers:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._newcomers_at:
            # Short steps come here at each one's end: not all of them need to look.
            self._looks_again_at_newcomers = True
            loop.call_at(self._newcomers_at, self._look_at_newcomers)
            return
        self._newcomers_at = loop.time() + _NEWCOMERS_SECONDS
        with self.reserve(beyond=beyond, wakes=False) as claimer:
            if claimer.slots == 0:
                return
            people = {attempt.step.user for attempt in self._running.values()}
            async with self._database.connection() as connection:
                done = await claim(connection, claimer, but_of=people, each=1)
            self.take(claimer, done)
        self._wakeups.announce(done.marks)
        self._look_again_at(done)

    def _look_at_newcomers(self) -> None:
        self._looks_again_at_newcomers = False
        self.wake()

    def _look_again_at(self, done: Advance) -> None:
        """Soon, if there were steps of runs that somebody held."""
        self._again = min(self._again * 2, _LOOK_AGAIN_SECONDS) if done.busy and not done.claimed else _AGAIN_SECONDS
        if done.busy and self._asks_again is None:
            # One timer, however often others wake us meanwhile: each would go on for ever beside the first.
            self._asks_again = asyncio.get_running_loop().call_later(self._again, self._ask_again)

    def _has_room(self) -> bool:
        return len(self._running) <= self._settings.concurrency * 3 // 4

    def _hurry(self) -> None:
        self._patience = None
        self._hurries = True
        self.wake()

    def _ask_again(self) -> None:
        self._asks_again = None
        self.wake()

    def _later(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.wake)

    def _on_runs(self, marks: Sequence[RunMark]) -> None:
        cancelled = {mark.run for mark in marks if mark.state is RunState.CANCELLED}
        if cancelled and self._running:
            for attempt in tuple(self._running.values()):
                if attempt.step.run in cancelled:
                    attempt.stop(Stop.CANCELLED)

    async def _reconcile(self) -> None:
        """Hold what we run against what the database says that we own."""
        worker = self._worker
        if worker is None:
            return
        before, claims = dict(self._running), set(self._claims)
        rows = await owned_steps(self._database, worker.id)
        owned = {(each.step.run, each.step.position): each.step for each in rows}
        entered = {(each.step.run, each.step.position) for each in rows if each.entered}
        self._stray = False
        gone = [
            attempt
            for place, attempt in before.items()
            if attempt.worker.id != worker.id
            or (step := owned.get(place)) is None
            or step.attempt != attempt.step.attempt
        ]
        if gone:
            cancelled = await cancelled_runs(self._database, [attempt.step.run for attempt in gone])
            for attempt in gone:
                # What is neither ours nor cancelled was taken from us, and we have not heard of it yet.
                attempt.stop(Stop.CANCELLED if attempt.step.run in cancelled else Stop.LOST)
        # A claim that is still under way may bring what looks like a stray, and what ends while we read looks like one
        # too: only what was one before, and no claim from then can still bring, is taken.
        strays: dict[tuple[UUID, int, int], set[object]] = {}
        for place, step in owned.items():
            if place in self._running or place in before or self._worker is not worker:
                continue
            seen = (*place, step.attempt)
            if seen in self._strays and not self._strays[seen] & claims:
                log.info("stray_step", run_id=ids.run_id(step.run), position=step.position, attempt=step.attempt)
                self._start([step], worker, may_call=place not in entered)
            else:
                strays[seen] = self._strays.get(seen, claims | self._claims)
        self._strays = strays
        if strays:
            self._stray = True
            self._later(_LOOK_AGAIN_SECONDS)

    # Calling

    def _start(self, steps: Iterable[ClaimedStep], worker: Worker, *, may_call: bool = True) -> None:
        started: list[Attempt] = []
        for step in steps:
            attempt = Attempt(step, worker, self._registry.get(step.tool), self._calling, self._ended)
            self._running[step.run, step.position] = attempt
            started.append(attempt)
        self._idle.clear()
        if not may_call:
            # A call that must not be repeated, and that this process entered and knows nothing of, is in doubt.
            for attempt in started:
                self._give_up(attempt)
            return
        for attempt in started:
            self._begin(attempt)
        # Once every call has had its first turn: those that have ended by then need no timer.
        asyncio.get_running_loop().call_soon(_watch, started)

    def _begin(self, attempt: Attempt) -> None:
        if attempt.prepare():
            if attempt.step.idempotent:
                attempt.call()
            else:
                self._spawn(self._enter_and_call(attempt))

    async def _enter_and_call(self, attempt: Attempt) -> None:
        try:
            allowed = await self._may_enter(attempt.step)
        except asyncio.CancelledError:
            return  # the process ends; what it owns is taken from it
        except Exception:
            log.exception("attempt_failed", run_id=ids.run_id(attempt.step.run), step_id=attempt.step_id)
            self._give_up(attempt)
            return
        if allowed:
            attempt.call()
            asyncio.get_running_loop().call_soon(attempt.watch)
        else:
            attempt.refuse()

    def _ended(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if outcome is None:
            self._done(attempt)
        else:
            self._settle_soon(attempt, outcome)

    def _done(self, attempt: Attempt) -> None:
        place = (attempt.step.run, attempt.step.position)
        if self._running.get(place) is attempt:
            del self._running[place]
        if not self._running:
            self._idle.set()
        if self._more:
            self._due.set()
        if attempt.left is not None:
            self._spawn(self._listen_to(attempt))

    async def _listen_to(self, attempt: Attempt) -> None:
        """Keep the late word of a call that was left behind."""
        try:
            word = await attempt.late_word()
            if word is not None:
                self._settle_soon(attempt, word, is_late=True)
        except Exception:
            log.exception("late_word_lost", step_id=attempt.step_id)

    def _give_up(self, attempt: Attempt) -> None:
        """A fault of ours kept an outcome from being recorded: say so, and never call again because of it."""
        attempt.drop()
        self._settle_soon(attempt, attempt.gave_up(), gave_up=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _may_enter(self, step: ClaimedStep) -> bool:
        again = False
        while True:
            worker = self._worker
            if worker is None:
                return False
            try:
                return await self._entering.add(Entry(step, worker.id, again=again))
            except Unavailable as error:
                # It may be noted already, by us, and the call is not made yet.
                again = True
                log.warning("enter_waits_for_the_database", error=str(error))
                await asyncio.sleep(0.2)

    async def _enter(self, entries: Sequence[Entry]) -> Sequence[bool]:
        async with self._database.connection() as connection:
            allowed = await enter(connection, entries)
        return [(entry.step.run, entry.step.position) in allowed for entry in entries]

    # Settling

    def _settle_soon(self, attempt: Attempt, outcome: Outcome, pause: float = 0.05, **what: bool) -> None:
        if not self._closed:
            self._settling.tell(outcome, partial(self._settled, attempt, outcome, pause, **what))

    def _settled(
        self,
        attempt: Attempt,
        outcome: Outcome,
        pause: float,
        answer: Exception | None,
        *,
        is_late: bool = False,
        gave_up: bool = False,
    ) -> None:
        match answer:
            case None if is_late:
                pass
            case None:
                self._done(attempt)
            case Unavailable():
                # Told again under the same attempt: if it was committed, the second time moves nothing.
                self._stray = True
                log.warning("settle_waits_for_the_database", error=str(answer), step=attempt.step_id)
                again = partial(
                    self._settle_soon, attempt, outcome, min(1.0, pause * 2), is_late=is_late, gave_up=gave_up
                )
                asyncio.get_running_loop().call_later(pause, again)
            case _ if is_late:
                log.error("late_word_lost", step_id=attempt.step_id, exc_info=answer)
            case _ if gave_up:
                log.error("giving_up_failed", step_id=attempt.step_id, exc_info=answer)
                self._done(attempt)
            case _:
                log.error(
                    "attempt_failed",
                    run_id=ids.run_id(attempt.step.run),
                    step_id=attempt.step_id,
                    exc_info=answer,
                )
                self._give_up(attempt)

    async def _settle(self, outcomes: Sequence[Outcome]) -> Sequence[None]:
        # Alone in their runs, and with no references to resolve, most groups are one statement.
        successes, others, rest = self._sorted(outcomes)
        for write, group in ((succeed, successes), (advance_free, others)):
            if group:
                busy = await self._settle_free(write, group)
                rest += [outcome for outcome in group if outcome.run in busy]
        if rest:
            await self._settle_locked(rest)
        for outcome in outcomes:
            if outcome.enters is StepState.READY and outcome.delay_seconds > 0:
                self._later(outcome.delay_seconds)
        return [None] * len(outcomes)

    def _sorted(self, outcomes: Iterable[Outcome]) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
        successes: list[Outcome] = []
        others: list[Outcome] = []
        feeding: list[Outcome] = []  # and those with notices, which take a statement more
        for outcome in outcomes:
            if self._feeds(outcome) or outcome.notices:
                feeding.append(outcome)
            else:
                (successes if is_success(outcome) else others).append(outcome)
        return successes, others, feeding

    async def _settle_free(self, write: SettleFree, outcomes: Sequence[Outcome]) -> set[UUID]:
        # The steps that end here give their slots to those that follow.
        with self.reserve(own=self._slots_of(outcomes)) as claimer:
            async with self._database.connection() as connection:
                done = await write(connection, outcomes, claimer=claimer, gate=self._gate)
            self._settled_as(outcomes, claimer, done)
        return done.busy

    async def _settle_locked(self, outcomes: Sequence[Outcome]) -> None:
        feeding = [outcome for outcome in outcomes if self._feeds(outcome)]
        results = {(outcome.run, outcome.position): outcome.result for outcome in feeding}

        async def write(tx: Connection) -> Advance:
            await lock_runs(tx, (outcome.run for outcome in outcomes))
            freed = await freed_references(tx, feeding) if feeding else []
            found = await resolutions(
                freed,
                results,
                self._registry,
                max_bytes=self._settings.max_json_bytes,
                notices_of=partial(notices_of, tx, about=outcomes),
            )
            done = await advance(tx, outcomes, resolutions=found, claimer=claimer, gate=self._gate)
            await keep_notices(tx, (outcome for place, outcome in enumerate(outcomes) if place in done.accepted))
            return done

        with self.reserve(own=self._slots_of(outcomes)) as claimer:
            done = await self._database.transaction(write)
            self._settled_as(outcomes, claimer, done)

    def _settled_as(self, outcomes: Iterable[Outcome], claimer: Claimer, done: Advance) -> None:
        """Free the slots of what was settled, start what was claimed, and tell."""
        for outcome in outcomes:
            if self._runs(outcome) and outcome.run not in done.busy:
                del self._running[outcome.run, outcome.position]
        self.take(claimer, done)
        self._wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))

    def _runs(self, outcome: Outcome) -> bool:
        """Whether the outcome is that of a step which takes a slot here."""
        attempt = self._running.get((outcome.run, outcome.position))
        return attempt is not None and attempt.step.attempt == outcome.attempt

    def _slots_of(self, outcomes: Sequence[Outcome]) -> int:
        return sum(map(self._runs, outcomes))

    def _feeds(self, outcome: Outcome) -> bool:
        """Whether the outcome may free a step with references."""
        if outcome.enters is not StepState.SUCCEEDED:
            return False
        attempt = self._running.get((outcome.run, outcome.position))
        return attempt is None or attempt.step.feeds


def _watch(attempts: Iterable[Attempt]) -> None:
    for attempt in attempts:
        attempt.watch()
