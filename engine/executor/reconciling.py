"""Reconciling: what runs here is compared with what the database says that this process owns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from engine.executor.attempt import Attempt
from engine.executor.outcomes import Stop
from engine.executor.slots import Slots, StepPlace
from persistence import ids
from persistence.database import Database
from persistence.moves.owned import cancelled_runs, owned_steps
from persistence.moves.row import ClaimedStep
from persistence.workers import Worker

log = structlog.get_logger()

_LOOK_AGAIN_SECONDS: Final = 0.05
"""When to look again at steps that seem to be owned and are unknown here."""


class Start(Protocol):
    """Starts owned steps; `may_call` is false when a call may have been made that must not be repeated."""

    def __call__(self, steps: Sequence[ClaimedStep], worker: Worker, *, may_call: bool) -> None:
        """Start them."""
        ...


class Reconciling:
    """Stops the attempts of steps that are no longer owned, and starts the steps that are owned and unknown here.

    A step is owned and unknown when its claim was committed and the answer came late or never. One that a claim still
    under way may bring looks the same, and so does one that ends while we read: a step is started when it was unknown
    before as well, and none of the claims from then is still under way.
    """

    def __init__(self, database: Database, slots: Slots, *, start: Start) -> None:
        self._database = database
        self._slots = slots
        self._start = start
        self._unknown: dict[tuple[UUID, int, int], set[object]] = {}
        """By run, position and attempt: the claims that were under way when the step was first seen."""

    async def reconcile(self) -> None:
        """Compare once. Raises Unavailable."""
        slots, worker = self._slots, self._slots.worker
        if worker is None:
            return
        before, claims = dict(slots.running), set(slots.claims)
        rows = await owned_steps(self._database, worker.id)
        owned = {(each.step.run, each.step.position): each.step for each in rows}
        entered = {(each.step.run, each.step.position) for each in rows if each.entered}
        slots.lost_an_answer = False
        await self._stop_lost(before, owned, worker)
        unknown: dict[tuple[UUID, int, int], set[object]] = {}
        for place, step in owned.items():
            if place in slots.running or place in before or slots.worker is not worker:
                continue
            seen = (*place, step.attempt)
            if seen in self._unknown and not self._unknown[seen] & claims:
                log.info("unknown_step_started", run_id=ids.run_id(step.run), position=place[1], attempt=step.attempt)
                self._start([step], worker, may_call=place not in entered)
            else:
                unknown[seen] = self._unknown.get(seen, claims | slots.claims)
        self._unknown = unknown
        if unknown:
            slots.lost_an_answer = True
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_SECONDS, slots.look.set)

    async def _stop_lost(
        self, before: Mapping[StepPlace, Attempt], owned: Mapping[StepPlace, ClaimedStep], worker: Worker
    ) -> None:
        lost = [
            attempt
            for place, attempt in before.items()
            if attempt.worker.id != worker.id
            or (step := owned.get(place)) is None
            or step.attempt != attempt.step.attempt
        ]
        if not lost:
            return
        cancelled = await cancelled_runs(self._database, [attempt.step.run for attempt in lost])
        for attempt in lost:
            # A step that is neither ours nor cancelled was taken from us, and we have not heard of it yet.
            attempt.stop(Stop.CANCELLED if attempt.step.run in cancelled else Stop.LOST)
