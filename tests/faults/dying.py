"""A process with a real engine that kills itself, as by kill -9, at a named point of its work.

Run as `python -m tests.faults.dying POINT DSN EFFECTS`. The points are put around the engine's own calls of the layer
below from here; the product knows nothing of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from engine import planning
from engine.executor import calling, settling
from engine.phrases import SpeakableTool
from engine.planner import PlanningContext
from engine.plans import Plan
from engine.tools import Registry, ToolContext, tool
from engine.verbs import begin, decide, submit
from persistence import broadcast
from persistence.moves import begin as beginning
from persistence.moves import planning as runs_to_plan
from tests.engine.harness import APPROVE, REJECT, Running, intent, running, step

KEY: Final = "pressed twice"
SENTENCE: Final = "plan groceries"


# What the process works on


def tools(effects: Path, dies: Callable[[str], None] = lambda _: None) -> Registry:
    """The tools of both processes: an effect is a line in the file, written at once."""

    def happen(ctx: ToolContext) -> dict[str, Any]:
        dies("in the call, before its effect")
        with effects.open("a") as file:
            file.write(f"{ctx.execution_key} {ctx.attempt}\n")
        dies("in the call, after its effect")
        return {"attempt": ctx.attempt}

    @tool("L1", idempotent=True)
    async def keyed(ctx: ToolContext, value: Any = None) -> Any:
        return happen(ctx)

    @tool("L2", idempotent=False)
    async def plain(ctx: ToolContext, value: Any = None) -> Any:
        return happen(ctx)

    @tool("L3", idempotent=False)
    async def gated(ctx: ToolContext, value: Any = None) -> Any:
        return happen(ctx)

    return Registry.of(keyed, plain, gated)


class Planner:
    """Plans one step for any sentence."""

    def __init__(self, dies: Callable[[str], None] = lambda _: None) -> None:
        self._dies = dies

    async def plan(self, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
        self._dies("in the middle of planning")
        return Plan((step("one", "keyed"),))


async def _runs(engine: Running, of: str) -> None:
    await engine.submit(step("one", of), step("two", of, after=["one"]), key=KEY)


async def _plans(engine: Running, _: str) -> None:
    await engine.engine.submit(engine.admin, intent(SENTENCE))


async def _decides(engine: Running, _: str) -> None:
    run = await engine.submit(step("one", "gated"))
    await engine.decide(await engine.asked(run), APPROVE)


async def _rejects(engine: Running, _: str) -> None:
    run = await engine.submit(step("one", "gated"))
    await engine.decide(await engine.asked(run), REJECT)


# Where it dies

Patch = Callable[[Callable[..., Any]], Callable[..., Any]]


def die(*_: object) -> None:
    """End at once, as the kernel would: nothing is flushed, closed or told."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Die instead of this call."""

    async def wrapped(*_: Any, **__: Any) -> Any:
        die()

    return wrapped


def at_once(_original: Callable[..., None]) -> Callable[..., None]:
    """Die in place of this call, which is a plain one."""

    def wrapped(*_: Any, **__: Any) -> None:
        die()

    return wrapped


def after(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Die once this call is done."""

    async def wrapped(*given: Any, **more: Any) -> Any:
        await original(*given, **more)
        die()

    return wrapped


def after_some(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Die once this call has brought something."""

    async def wrapped(*given: Any, **more: Any) -> Any:
        found = await original(*given, **more)
        if getattr(found, "claimed", found):
            die()
        return found

    return wrapped


def before_its_commit(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Die when everything is written and nothing is committed, in the statement's own transaction or a greater one."""

    async def wrapped(connection: Any, *given: Any, **more: Any) -> Any:
        async with connection.transaction():
            await original(connection, *given, **more)
            die()

    return wrapped


Scenario = Callable[[Running, str], Awaitable[None]]

POINTS: Final[Mapping[str, tuple[Scenario, ModuleType | type | None, str, Patch | None]]] = {
    "after the claim": (_runs, calling.Calling, "_begin", at_once),
    "after the call was noted": (_runs, calling, "enter", after),
    "in the call, before its effect": (_runs, None, "", None),
    "in the call, after its effect": (_runs, None, "", None),
    "after the call": (_runs, settling, "succeed", before),
    "before the settle commits": (_runs, settling, "succeed", before_its_commit),
    "after the settle": (_runs, settling, "succeed", after),
    "between commit and publish": (_runs, broadcast.PostgresBackend, "publish", before),
    "before the submit commits": (_runs, begin, "submit", before_its_commit),
    "after the submit": (_runs, submit.Submitting, "_store", after),
    "in the middle of planning": (_plans, None, "", None),
    "after the claim of a run to plan": (_plans, runs_to_plan, "claim_planning", after_some),
    "before the plan commits": (_plans, beginning, "store_steps", before_its_commit),
    "after the plan": (_plans, planning.Planning, "_store", after),
    "before the decision commits": (_decides, decide, "approve_as_proposed", before_its_commit),
    "after the decision": (_decides, decide, "approve_as_proposed", after),
    "before the commit of a rejection": (_rejects, decide, "settle", before_its_commit),
}
"""By name: what the process does, and around which call of the engine it dies how."""


async def main(point: str, of: str, dsn: str, effects: Path) -> None:
    """Work until the point."""
    scenario, owner, name, patch = POINTS[point]
    if owner is not None and patch is not None:
        setattr(owner, name, patch(getattr(owner, name)))

    def dies(where: str) -> None:
        if where == point:
            die()

    async with running(dsn, tools(effects, dies), planner=Planner(dies)) as engine:
        await scenario(engine, of)
        await asyncio.sleep(20)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
