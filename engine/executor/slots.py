"""The slots of this process: the steps that it owns, and how many more it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeAlias
from uuid import UUID

from engine.executor.attempt import Attempt
from persistence.moves.inputs import NOBODY, Claimer, Outcome
from persistence.workers import Worker

StepPlace: TypeAlias = tuple[UUID, int]
"""A step's run, and its position in it."""


class Slots:
    """What this process runs, at most `limit` steps at once, and the claims that are under way for the free ones."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.worker: Worker | None = None
        """The worker that this process is at the moment; none while its lease is over."""

        self.running: dict[StepPlace, Attempt] = {}
        self.claims: set[object] = set()
        """One entry for each claim that is under way."""

        self.is_open = False
        """Whether steps may be claimed."""

        self.has_backlog = False
        """Steps wait that found no free slot: whatever frees one lets the claimer look again."""

        self.lost_an_answer = False
        """The database did not answer a statement that may have claimed: steps may be owned that are unknown here."""

        self.look = asyncio.Event()
        """Set when a claim may find something."""

        self.idle = asyncio.Event()
        self.idle.set()
        self._reserved = 0

    @contextmanager
    def reserve(
        self, *, own: int = 0, beyond: int = 0, most: int | None = None, wakes: bool = True
    ) -> Generator[Claimer]:
        """The worker with its free slots, which no other transaction claims for inside the block.

        `own` are slots that the caller is about to free; `beyond` are added to the limit; never more than `most` are
        reserved. After the block the claimer looks again if steps had found no slot; `wakes` is false where the claimer
        itself reserves them.
        """
        worker = self.worker
        if worker is None or not self.is_open:
            yield NOBODY
            return
        if self.has_backlog and own > 0:
            # Others wait: of the slots that end here, one goes through the queue, where every user has a turn.
            own -= 1
        # Steps whose runs were busy keep their slots a little longer, and those that follow may have them already.
        slots = max(0, self.limit + beyond - len(self.running) - self._reserved + own)
        if most is not None:
            slots = min(slots, most)
        more = max(0, slots - own)
        self._reserved += more
        claim = object()
        self.claims.add(claim)
        try:
            yield Claimer(worker.id, slots)
        finally:
            self.claims.discard(claim)
            self._reserved -= more
            if wakes and more and self.has_backlog:
                self.look.set()

    def add(self, attempt: Attempt) -> None:
        """The attempt takes a slot."""
        self.running[attempt.step.run, attempt.step.position] = attempt
        self.idle.clear()

    def free(self, attempt: Attempt) -> None:
        """The attempt gives its slot back, unless a later one of the same step has it by now."""
        place = (attempt.step.run, attempt.step.position)
        if self.running.get(place) is attempt:
            del self.running[place]
        if not self.running:
            self.idle.set()
        if self.has_backlog:
            self.look.set()

    def holds(self, outcome: Outcome) -> bool:
        """Whether the outcome is that of a step which has a slot here."""
        attempt = self.running.get((outcome.run, outcome.position))
        return attempt is not None and attempt.step.attempt == outcome.attempt
