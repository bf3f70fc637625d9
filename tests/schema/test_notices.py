"""Notices as clients read them: with their step, and together on the run."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from persistence.states import Risk, Role
from tests.schema.stories import Told
from tests.schema.world import World, person_of, world

ASKED = "query ($id: ID!) { run(id: $id) { notices steps { key notices } } }"


async def told(it: World, run: UUID, notices: dict[int, list[str]]) -> None:
    """The run's first steps succeed, and these have something to say."""
    await it.stories.claim()
    for position, texts in notices.items():
        await it.stories.settle(run, position)
        await it.it.database.execute("INSERT INTO notices VALUES ($1, $2, $3)", run, position, texts)


async def a_run(it: World, steps: int = 3, *, risk: Risk = Risk.L0, by: Any = None) -> UUID:
    return await it.stories.run(person_of(by or it.admin), [Told(f"s{n}", risk=risk) for n in range(steps)])


async def test_a_run_has_those_of_its_steps_in_plan_order(dsn: str):
    async with world(dsn, executes=False) as it:
        run, other = await a_run(it), await a_run(it)
        await told(it, run, {2: ["third"], 0: ["first", "and more"]})

        data = await it.ask(it.admin, ASKED, id=f"run_{run.hex}")
        nothing = await it.ask(it.admin, ASKED, id=f"run_{other.hex}")

        assert data["run"] == {
            "notices": ["first", "and more", "third"],
            "steps": [
                {"key": "s0", "notices": ["first", "and more"]},
                {"key": "s1", "notices": []},
                {"key": "s2", "notices": ["third"]},
            ],
        }
        assert nothing["run"]["notices"] == []


async def test_what_would_hide_in_one_is_shown(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await a_run(it)
        await told(it, run, {0: ["found \u202e1"]})

        data = await it.ask(it.admin, ASKED, id=f"run_{run.hex}")

        assert data["run"]["notices"] == data["run"]["steps"][0]["notices"] == ["found ⟦U+202E⟧1"]


@pytest.mark.parametrize("asked", ["step(id: $id) { notices }", "node(id: $id) { ... on Step { notices } }"])
async def test_a_single_step_has_its_own_too(dsn: str, asked: str):
    async with world(dsn, executes=False) as it:
        run = await a_run(it)
        await told(it, run, {1: ["this"], 2: ["not this"]})

        data = await it.ask(it.admin, f"query ($id: ID!) {{ it: {asked} }}", id=f"step_{run.hex}_1")

        assert data == {"it": {"notices": ["this"]}}


async def test_a_run_shows_a_hundred_and_says_how_many_more_there_are(dsn: str):
    async with world(dsn, executes=False) as it:
        run, full = await a_run(it, 11), await a_run(it, 10)
        for each, steps in ((run, 11), (full, 10)):
            await told(it, each, {n: [f"{n}.{m}" for m in range(10)] for n in range(steps)})

        data = await it.ask(it.admin, ASKED, id=f"run_{run.hex}")
        whole = await it.ask(it.admin, ASKED, id=f"run_{full.hex}")

        hundred = [f"{n}.{m}" for n in range(10) for m in range(10)]
        assert data["run"]["notices"] == [*hundred, "… and 10 more notices, with their steps"]
        assert whole["run"]["notices"] == hundred


@pytest.mark.parametrize("runs", [1, 20])
async def test_they_take_a_statement_for_all_runs_and_one_for_all_steps(dsn: str, runs: int):
    async with world(dsn, executes=False) as it:
        for _ in range(runs):
            await told(it, await a_run(it), {0: ["this"]})
        it.statements.clear()

        data = await it.ask(it.admin, "{ runs(first: 20) { nodes { notices steps { notices } } } }")

        assert [run["notices"] for run in data["runs"]["nodes"]] == [["this"]] * runs
        assert len(it.statements) == 4, it.statements


async def test_others_do_not_see_them(dsn: str):
    async with world(dsn, executes=False) as it:
        somebody, else_ = await it.viewer(Role.SUBMITTER), await it.viewer(Role.SUBMITTER)
        run = await a_run(it, by=somebody)
        await told(it, run, {0: ["private"]})

        assert (await it.ask(somebody, ASKED, id=f"run_{run.hex}"))["run"]["notices"] == ["private"]
        assert (await it.ask(else_, ASKED, id=f"run_{run.hex}"))["run"] is None
