"""Random plans with everything that plans can say, run by the engine and by the reference: they end alike.

LIFEOS_PLANS=n runs n times as many, other ones each time, and looks for the smallest that ends otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.errors import InvalidState
from engine.runs import Submission
from engine.tools import Registry, ToolError, tool
from tests.engine.harness import APPROVE, ENDINGS, PATIENCE_SECONDS, REJECT, Running, running
from tests.engine.reference import (
    ECHO,
    ITEM,
    Expression,
    Meaning,
    Script,
    Sketch,
    either,
    length,
    member,
    named,
    negated,
    plan_of,
    results_of,
)
from tests.faults.invariants import check_runs

LENGTH = int(os.environ.get("LIFEOS_PLANS", "0"))
STEPS = 12
LONGEST = 4
"""How many entries the lists have at most that a call gives."""
AT_ONCE = 4
"""How many of the plans run side by side."""

# Plans

LISTS: list[Any] = [[], [1], [1, None, "x"], [[1], [2, 3]], [{"result": 1}, {"result": []}, {}], ["a"] * LONGEST]
VALUES: list[Any] = [None, False, 0, "", "text", {}, {"n": [1, 2]}]


@dataclass(frozen=True)
class Story:
    """A plan, its answer, and how its calls end; `retries` choose the dead letters that are sent back afterwards."""

    sketches: list[Sketch]
    answer: dict[str, Expression] | None
    fails: frozenset[str]
    flaky: frozenset[str]
    rejects: frozenset[str]
    retries: list[int]

    def script(self) -> Script:
        """The script, to be changed."""
        return Script(set(self.fails), set(self.flaky), set(self.rejects))


@st.composite
def expressions(draw: st.DrawFn, keys: list[str], given: list[Sketch], *, of_item: bool = False) -> Expression:
    """Something about the results of these steps (or of the entry of the list), of which these are known."""
    key = draw(st.sampled_from(keys))
    found = ITEM if of_item and draw(st.booleans()) else named(key)
    shape = draw(st.sampled_from(["itself"] * 4 + ["member", "results", "results", "length", "not", "either"]))
    match shape:
        case "member" if found is ITEM:
            return member(found, "result")
        case "member" if not any(each.key == key and each.for_each for each in given):
            return member(found, "n")  # which no list has
        case "member" | "results":
            return results_of(named(key))
        case "length":
            return length(found)
        case "not":
            return negated(found)
        case "either":
            return either(found, named(draw(st.sampled_from(keys))))
        case _:
            return found


@st.composite
def lists(draw: st.DrawFn, keys: list[str], given: list[Sketch]) -> Expression:
    """What is most often a list."""
    likely = [each.key for each in given if each.key in keys and (each.for_each or isinstance(each.gives, list))]
    if likely and draw(st.sampled_from([True] * 9 + [False])):
        return named(draw(st.sampled_from(likely)))
    return draw(expressions(keys, given))


@st.composite
def sketches(draw: st.DrawFn) -> list[Sketch]:
    """Up to a dozen steps in a random shape."""
    found: list[Sketch] = []
    reach: list[set[str]] = []
    for place in range(draw(st.sampled_from([1, 3, 5, 7, 9, 10, 11, STEPS]))):
        # Near ones more often, or a dozen steps would have no depth.
        near = st.sampled_from(range(max(0, place - 5), place)) if place else st.nothing()
        before = sorted(draw(st.lists(near, max_size=3, unique=True))) if place else []
        ends = draw(st.sampled_from([0, 0, 0, 1, 2])) if before else 0
        depends_on, after = before[ends:], before[:ends]
        below = set[str]().union(*(reach[each] | {f"s{each}"} for each in depends_on))
        reach.append(below)
        keys = sorted(below | {f"s{each}" for each in after})
        expands = bool(keys) and draw(st.sampled_from([False, False, True]))
        may_refer = expands or (bool(keys) and draw(st.booleans()))
        found.append(
            Sketch(
                key=f"s{place}",
                depends_on=tuple(f"s{each}" for each in depends_on),
                after=tuple(f"s{each}" for each in after),
                when=draw(expressions(keys, found))
                if keys and draw(st.sampled_from([False, False, False, True]))
                else None,
                for_each=draw(lists(keys, found)) if expands else None,
                most=draw(st.sampled_from([None] * 7 + [2])),
                tolerates=draw(st.booleans()),
                parallel=draw(st.sampled_from([None, 1, 2])),
                delay=draw(st.sampled_from([None, None, None, 0.01])),
                asks=draw(st.sampled_from([False, False, False, True])),
                value=draw(expressions(keys, found, of_item=expands)) if may_refer else None,
                gives=draw(st.sampled_from([ECHO] * 3 + LISTS * 2 + VALUES)),
            )
        )
    return found


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A plan and what becomes of its calls."""
    steps = draw(sketches())
    keys = [sketch.key for sketch in steps]
    calls = {
        sketch.key: [sketch.key]
        if sketch.for_each is None
        # The first entries more often: most lists are short.
        else [f"{sketch.key}[{place}]" for place in (0, 0, 0, 1, 1, *range(LONGEST))]
        for sketch in steps
    }
    some = st.frozensets(st.sampled_from([key for keys in calls.values() for key in keys]), max_size=3)
    asked = [key for sketch in steps if sketch.asks for key in calls[sketch.key]]
    rejected = draw(st.frozensets(st.sampled_from(asked), max_size=2)) if asked else frozenset[str]()
    answered = draw(st.lists(expressions(keys, steps), max_size=2))
    answer = {f"a{place}": each for place, each in enumerate(answered)} or None
    return Story(steps, answer, draw(some), draw(some), rejected, draw(st.lists(st.integers(0, 99), max_size=3)))


# The engine's side


class Actors:
    """The tools: their calls follow the script of the story that they belong to."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        """By story and key."""
        self._gives: dict[str, dict[str, Any]] = {}

        @tool("L0", idempotent=True, max_attempts=3)
        async def act(story: str, me: str, at: int | None = None, value: Any = None) -> Any:
            return self._play(story, me, at, value)

        @tool("L3", idempotent=True, max_attempts=3)
        async def ask(story: str, me: str, at: int | None = None, value: Any = None) -> Any:
            return self._play(story, me, at, value)

        self.registry = Registry.of(act, ask)

    def enter(self, name: str, story: Story) -> Script:
        """Play this story under this name; its script, which may be changed."""
        self.scripts[name] = story.script()
        self._gives[name] = {sketch.key: sketch.gives for sketch in story.sketches}
        return self.scripts[name]

    def _play(self, story: str, me: str, at: int | None, value: Any) -> Any:
        key, script = me if at is None else f"{me}[{at}]", self.scripts[story]
        self.calls[story, key] += 1
        if key in script.fails:
            message = "for good"
            raise ToolError(message, retryable=False)
        if key in script.flaky and self.calls[story, key] == 1:
            message = "not the first time"
            raise ToolError(message)
        gives = self._gives[story][me]
        return value if gives == ECHO else gives


class Plays:
    """An engine, and the stories that it is told."""

    def __init__(self, it: Running, actors: Actors) -> None:
        self._it = it
        self._actors = actors
        self._told = 0

    async def tell(self, *stories: Story) -> None:
        """Let the engine run all of these side by side, and the reference each of them."""
        async with asyncio.TaskGroup() as group:
            for story in stories:
                self._told += 1
                group.create_task(self._tell(f"story {self._told}", story))

    async def _tell(self, name: str, story: Story) -> None:
        script = self._actors.enter(name, story)
        plan = plan_of(name, story.sketches, story.answer)
        run = await self._it.engine.submit(self._it.admin, Submission(None, plan, None, None, name))
        await self._decide_until_the_end(run, script)
        meaning = Meaning(story.sketches, story.answer, script)
        calls: Counter[str] = Counter()
        try:
            self._count(meaning, script, calls)
            await self._compare(run, name, meaning, calls)
            for choice in story.retries:
                if dead := meaning.dead_letters():
                    await self._retry(run, dead[choice % len(dead)], meaning, script)
                    self._count(meaning, script, calls)
                    await self._compare(run, name, meaning, calls)
        except AssertionError as error:
            error.add_note(f"{story}\n" + "\n".join(await self._it.story(run)))
            raise

    async def _decide_until_the_end(self, run: UUID, script: Script, after: int = 0) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async for event in self._it.timeline.follow(run, after):
                    after = event.seq
                    if event.type == "APPROVAL_REQUIRED":
                        approval = await self._it.approval(event.approval_id)
                        keys = {row["position"]: key for key, row in (await self._it.steps(run)).items()}
                        no = keys[approval["position"]] in script.rejects
                        await self._it.decide(approval, REJECT if no else APPROVE)
                    if event.type in ENDINGS:
                        return

    async def _retry(self, run: UUID, key: str, meaning: Meaning, script: Script) -> None:
        """Send a dead letter back: its calls succeed from now on, unless nothing would change."""
        script.fails -= {key, *meaning.children(key)}
        if not meaning.retry(key):
            with pytest.raises(InvalidState):
                await self._it.retry(run, key)
            return
        after = await self._it.retry(run, key)
        await self._decide_until_the_end(run, script, after)

    def _count(self, meaning: Meaning, script: Script, calls: Counter[str]) -> None:
        """Each call that was made since the last time was made once, and once more where it failed the first time."""
        for key in meaning.made:
            calls[key] += 1 + (calls[key] == 0 and key in script.flaky and key not in script.fails)
        meaning.made.clear()

    async def _compare(self, run: UUID, name: str, meaning: Meaning, calls: Counter[str]) -> None:
        steps = await self._it.steps(run)
        assert {key: step["state"] for key, step in steps.items()} == {
            key: step.state for key, step in meaning.steps.items()
        }
        assert {key: _plain(step["result"]) for key, step in steps.items()} == {
            key: step.result for key, step in meaning.steps.items()
        }
        for key, step in steps.items():
            ended = meaning.steps[key]
            assert step["skip_reason"] in (ended.reasons or {None}), f"{key}: {step['skip_reason']}"
            assert step["error_code"] == ended.code, f"{key}: {step['error_code']}"
            assert step["dead_lettered"] == ended.is_dead_letter
        row = await self._it.run(run)
        assert (row["state"], row["outcome"]) == (meaning.state, meaning.outcome)
        answer = await self._it.database.fetchrow("SELECT * FROM run_answers WHERE run_id = $1", run)
        said = (
            (None, None) if answer is None else (_plain(json.loads(answer["answer"] or "null")), answer["error_code"])
        )
        assert said == meaning.answer()
        assert calls == Counter({key: times for (told, key), times in self._actors.calls.items() if told == name})
        await check_runs(self._it.database, run)


def _plain(result: Any) -> Any:
    """A result, with the code alone of each error that is listed somewhere in it."""
    if isinstance(result, list):
        return [_plain(each) for each in cast("list[Any]", result)]
    if isinstance(result, dict):
        entries = cast("dict[str, Any]", result)
        return {name: each["code"] if name == "error" else _plain(each) for name, each in entries.items()}
    return result


def tell(dsn: str, *, examples: int, seed: bool, engines: int = 1) -> None:
    """Tell the engine so many groups of stories, the same ones each time unless others are asked for.

    With several engines, all of them make the calls, as several processes would.
    """
    with asyncio.Runner() as runner:
        actors = Actors()
        openings = [running(dsn, actors.registry) for _ in range(engines)]
        plays, *_ = [Plays(runner.run(opening.__aenter__()), actors) for opening in openings]

        @settings(
            derandomize=seed,
            database=None,
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            phases=[Phase.generate] if seed else [Phase.generate, Phase.shrink],
        )
        @given(st.lists(stories(), min_size=AT_ONCE, max_size=AT_ONCE))
        def one(group: list[Story]) -> None:
            runner.run(plays.tell(*group))

        try:
            one()
        finally:
            for opening in openings:
                runner.run(opening.__aexit__(None, None, None))


@pytest.mark.timeout(120)
def test_the_engine_ends_random_plans_as_the_reference_does(dsn: str) -> None:
    tell(dsn, examples=24, seed=True)


@pytest.mark.slow
@pytest.mark.timeout(600 + 600 * LENGTH)
def test_two_engines_end_many_random_plans_as_the_reference_does(dsn: str) -> None:
    tell(dsn, examples=80 * max(1, LENGTH), seed=not LENGTH, engines=2)
