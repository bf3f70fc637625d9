"""A process with a real engine that kills itself, as by kill -9, at a named point of its work.

Run as `python -m tests.faults.dying POINT OF DSN EFFECTS`. The points are put around the engine's own calls of the
layer below from here; the product knows nothing of them. `NAME 3` is a point, too: after the third call of that
statement of the rounds that settle a run with a list, a condition and an answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from engine import planning
from engine.executor import calling, settling
from engine.phrases import SpeakableTool
from engine.planner import PlanningContext
from engine.plans import Plan, PlanStep
from engine.rounds import settling as round_statements
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

    def happen(ctx: ToolContext, value: Any = None) -> dict[str, Any]:
        dies("in the call, before its effect")
        with effects.open("a") as file:
            file.write(f"{ctx.execution_key} {ctx.attempt}\n")
        dies("in the call, after its effect")
        return {"attempt": ctx.attempt, "value": value}

    @tool("L1", idempotent=True)
    async def keyed(ctx: ToolContext, value: Any = None) -> Any:
        return happen(ctx, value)

    @tool("L2", idempotent=False)
    async def plain(ctx: ToolContext, value: Any = None) -> Any:
        return happen(ctx, value)

    @tool("L3", idempotent=False)
    async def gated(ctx: ToolContext, value: Any = None) -> Any:
        return happen(ctx, value)

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


Scenario = Callable[[Running, str], Awaitable[None]]

LISTED: Final = ["a", "b", "c"]


def rounds(of: str) -> tuple[PlanStep, ...]:
    """A plan with a list, whose children are calls of `of`, a condition that does not hold, and a step after both."""
    return (
        step("one", "keyed", args={"value": LISTED}),
        step(
            "each",
            of,
            after=["one"],
            args={"value": {"$jmespath": "item"}},
            for_each={"$jmespath": "one.value"},
            max_parallel=2,
        ),
        step("never", "keyed", after=["one"], when={"$jmespath": "!(one.value)"}),
        PlanStep("last", "keyed", depends_on=("each",), after=("never",)),
    )


ANSWER: Final = {"said": {"$jmespath": "each[].result.value"}, "never": {"$jmespath": "never.value"}}


ROUNDS: Final = (
    "store_elaborate",
    "elaborate_runs",
    "waiting_for_nothing",
    "freed_steps",
    "turn",
    "closed_parents",
    "share_places",
    "conclude",
    "answers_of",
    "keep_answers",
)
"""The statements of a run's rounds, by the functions that make them."""


def watch_rounds(seen: Callable[[str], None]) -> None:
    """Tell of each statement of the rounds once it is done."""

    def watched(name: str, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wrapped(*given: Any, **more: Any) -> Any:
            found = await original(*given, **more)
            seen(name)
            return found

        return wrapped

    for name in ROUNDS:
        setattr(round_statements, name, watched(name, getattr(round_statements, name)))


def _die_in_rounds(point: str) -> Scenario:
    name, number = point.split()
    counted: Counter[str] = Counter()

    def seen(statement: str) -> None:
        counted[statement] += 1
        if (statement, counted[statement]) == (name, int(number)):
            die()

    async def work(engine: Running, of: str) -> None:
        await engine.submit(*rounds(of), key=point, answer=ANSWER)

    watch_rounds(seen)
    return work


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
    if point in POINTS:
        scenario, owner, name, patch = POINTS[point]
        if owner is not None and patch is not None:
            setattr(owner, name, patch(getattr(owner, name)))
    else:
        scenario = _die_in_rounds(point)

    def dies(where: str) -> None:
        if where == point:
            die()

    # One call at a time, where what is settled together decides how many statements there are.
    slots: dict[str, Any] = {} if point in POINTS else {"concurrency": 1}
    async with running(dsn, tools(effects, dies), planner=Planner(dies), **slots) as engine:
        await scenario(engine, of)
        await asyncio.sleep(20)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
