"""Life OS without HTTP: what `lifeos serve` composes, in a process that submits to its own engine. Spoken to by lines.

The parts are those of the product's own, opened with its settings from the environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

import uvloop

from benchmarks.plans import PlanInput, as_plan
from benchmarks.processes import answer_lines
from engine.access import Viewer
from engine.plans import Plan
from engine.runs import Submission
from persistence import users
from persistence.moves.row import RunMark
from persistence.states import Role
from serving.parts import Parts, running_parts
from serving.settings import read_settings


class Inside:
    """Submits, and sees runs end as the process itself does."""

    def __init__(self, parts: Parts, viewer: Viewer) -> None:
        self._engine = parts.engine
        self._viewer = viewer
        self._open: set[UUID] = set()
        self._ended: set[UUID] = set()
        self._all_ended = asyncio.Event()
        parts.wakeups.listen(on_runs=self._on_runs)

    async def one_by_one(self, plan: PlanInput, times: int) -> list[float]:
        """Milliseconds of each run, from the call that submits it to the commit that ends it; nothing else runs."""
        took: list[float] = []
        for _ in range(times):
            began = time.perf_counter()
            await self._run([as_plan(plan)])
            took.append((time.perf_counter() - began) * 1000)
        return took

    async def together(self, plan: PlanInput, times: int) -> float:
        """Milliseconds until so many runs, submitted at once, have all ended."""
        plans: Sequence[Plan] = [as_plan(plan)] * times
        began = time.perf_counter()
        await self._run(plans)
        return (time.perf_counter() - began) * 1000

    async def _run(self, plans: Sequence[Plan]) -> None:
        self._open, self._ended = set(), set()
        self._all_ended.clear()
        # `Submission` wants the input as it came, which counts with an idempotency key alone.
        submitted = await asyncio.gather(
            *(self._engine.submit(self._viewer, Submission(None, plan, None, None, None)) for plan in plans)
        )
        self._open = set(submitted) - self._ended
        if self._open:
            await self._all_ended.wait()

    def _on_runs(self, marks: Sequence[RunMark]) -> None:
        for mark in marks:
            if mark.ended:
                self._ended.add(mark.run)
                self._open.discard(mark.run)
                if not self._open:
                    self._all_ended.set()


async def main() -> None:
    """Open everything, and do what is asked."""
    async with running_parts(read_settings(), executes=True) as parts:
        row = await parts.database.fetchrow("SELECT id FROM users WHERE name = $1", users.ADMIN_NAME)
        assert row is not None
        inside = Inside(parts, Viewer(row["id"], users.ADMIN_NAME, frozenset({Role.ADMIN})))
        # A process is a worker a moment after it has opened.
        await inside.one_by_one({"steps": [{"key": "a", "tool": "noop", "args": {}, "dependsOn": []}]}, 1)
        await answer_lines({"one_by_one": inside.one_by_one, "together": inside.together})


if __name__ == "__main__":
    uvloop.run(main())
