"""A process kills itself at a named point, and another one goes on: what must hold then."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from tests.engine.harness import APPROVE, HAPPENED, Running, running, step
from tests.faults.dying import KEY, POINTS, Planner, tools
from tests.faults.keeper import ROOT

LEASE_SECONDS = 15
"""Long: what goes on early does so because the life sign is gone."""
SOON_SECONDS = 10.0


class After:
    """What a process left that died at a point, and another one that goes on."""

    def __init__(self, dsn: str, effects: Path) -> None:
        self.dsn = dsn
        self.effects = effects

    async def died(self, point: str, of: str = "keyed") -> None:
        """Let a process work until the point."""
        program = [sys.executable, "-m", "tests.faults.dying", point, of, self.dsn, str(self.effects)]
        process = await asyncio.create_subprocess_exec(*program, cwd=ROOT)
        async with asyncio.timeout(40):
            assert await process.wait() == -signal.SIGKILL

    @asynccontextmanager
    async def another(self) -> AsyncGenerator[Running]:
        """Another process, which sweeps often."""
        async with running(
            self.dsn,
            tools(self.effects),
            planner=Planner(),
            sweep_seconds=0.1,
            lease_seconds=LEASE_SECONDS,
        ) as engine:
            yield engine

    def happened(self) -> dict[str, int]:
        """How often each step's effect happened, by the last part of its key."""
        lines = self.effects.read_text().splitlines() if self.effects.exists() else []
        return dict(Counter(f"step {line.split()[0].rsplit('_', 1)[1]}" for line in lines))

    async def runs(self) -> list[UUID]:
        """The runs that are there."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return [row["id"] for row in await connection.fetch("SELECT id FROM runs")]
        finally:
            await connection.close()


@pytest.fixture
def crash(dsn: str, tmp_path: Path) -> After:
    return After(dsn, tmp_path / "effects")


BEFORE_THE_CALL = ["after the claim"]
WHO_KNOWS = [
    "in the call, before its effect",
    "in the call, after its effect",
    "after the call",
    "before the settle commits",
]


@pytest.mark.parametrize("point", [*BEFORE_THE_CALL, *WHO_KNOWS])
async def test_a_call_that_may_be_repeated_is_made_again_under_its_key(point: str, crash: After) -> None:
    await crash.died(point)

    async with crash.another() as engine:
        (run,) = await crash.runs()
        async with asyncio.timeout(SOON_SECONDS):
            row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        first = [call for call in await engine.calls(run) if call["position"] == 0]
        assert [call["status"] for call in first] == ["FAILED", "SUCCEEDED"]
        assert first[0]["error_code"] == "WORKER_LOST"
        assert await engine.happened(run, "STEP_RETRYING") == [
            await reason(engine, run),
        ]
    happened_before = point not in {"after the claim", "in the call, before its effect"}
    assert crash.happened() == {"step 0": 1 + happened_before, "step 1": 1}


async def reason(engine: Running, run: UUID) -> dict[str, object]:
    """What is told of the one attempt that was lost."""
    (told,) = await engine.happened(run, "STEP_RETRYING")
    assert (told["reason"], told["attempt"], told["code"]) == ("LOST", 1, "WORKER_LOST")
    return told


@pytest.mark.parametrize("point", BEFORE_THE_CALL)
async def test_a_call_that_surely_was_not_made_is_made_without_asking(point: str, crash: After) -> None:
    await crash.died(point, "plain")

    async with crash.another() as engine:
        (run,) = await crash.runs()
        async with asyncio.timeout(SOON_SECONDS):
            row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        assert await engine.approvals(run) == []
        steps = await engine.steps(run)
        assert (steps["one"]["attempt"], steps["one"]["calls"]) == (2, 1)
    assert crash.happened() == {"step 0": 1, "step 1": 1}


@pytest.mark.parametrize("point", ["after the call was noted", *WHO_KNOWS])
async def test_a_call_that_may_have_been_made_waits_for_a_person(point: str, crash: After) -> None:
    await crash.died(point, "plain")
    before = crash.happened()

    async with crash.another() as engine:
        (run,) = await crash.runs()
        async with asyncio.timeout(SOON_SECONDS):
            doubt = await engine.asked(run)

        assert doubt["kind"] == "IN_DOUBT"
        assert crash.happened() == before
        assert (await engine.calls(run))[0]["status"] == "IN_DOUBT"
        await engine.resolve(doubt, HAPPENED)
        assert (await engine.finished(run))["outcome"] == "CLEAN"
    assert crash.happened() == {**before, "step 1": 1}


@pytest.mark.parametrize("of", ["keyed", "plain"])
@pytest.mark.parametrize("point", ["after the settle", "between commit and publish"])
async def test_what_was_settled_is_never_called_again_and_what_follows_goes_on(
    point: str, of: str, crash: After
) -> None:
    await crash.died(point, of)

    async with crash.another() as engine:
        (run,) = await crash.runs()
        async with asyncio.timeout(SOON_SECONDS):
            event = await engine.until(run, "WORKFLOW_COMPLETE", "APPROVAL_REQUIRED")
        if event.type == "APPROVAL_REQUIRED":  # the process died while it called what followed
            await engine.resolve(await engine.approval(event.approval_id), HAPPENED)
        row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        assert [event.type for event in await engine.events(run)].count("STEP_SUCCEEDED") == 2
    if point == "after the settle":
        assert crash.happened() == {"step 0": 1, "step 1": 1}


async def test_a_submit_that_did_not_commit_left_nothing(crash: After) -> None:
    await crash.died("before the submit commits")

    assert await crash.runs() == []
    async with crash.another() as engine:
        run = await engine.submit(step("one", "keyed"), step("two", "keyed", after=["one"]), key=KEY)
        assert (await engine.finished(run))["outcome"] == "CLEAN"
        assert await crash.runs() == [run]


async def test_a_submit_that_committed_is_found_under_its_key(crash: After) -> None:
    await crash.died("after the submit")

    (run,) = await crash.runs()
    async with crash.another() as engine:
        again = await engine.submit(step("one", "keyed"), step("two", "keyed", after=["one"]), key=KEY)
        assert again == run
        async with asyncio.timeout(SOON_SECONDS):
            assert (await engine.finished(run))["outcome"] == "CLEAN"


@pytest.mark.parametrize(
    "point",
    [
        "after the claim of a run to plan",
        "in the middle of planning",
        "before the plan commits",
        "after the plan",
    ],
)
async def test_a_run_is_planned_once_whichever_process_died_over_it(point: str, crash: After) -> None:
    await crash.died(point)

    async with crash.another() as engine:
        (run,) = await crash.runs()
        async with asyncio.timeout(SOON_SECONDS):
            assert (await engine.finished(run))["outcome"] == "CLEAN"

        assert (await engine.story(run)).count("WORKFLOW_PLANNED") == 1
        assert list(await engine.steps(run)) == ["one"]


@pytest.mark.parametrize("point", ["before the decision commits", "before the commit of a rejection"])
async def test_a_decision_that_did_not_commit_was_not_made(point: str, crash: After) -> None:
    await crash.died(point)

    async with crash.another() as engine:
        (run,) = await crash.runs()
        approval = await engine.asked(run)
        assert approval["status"] == "REQUIRED"
        assert crash.happened() == {}
        await engine.decide(approval, APPROVE)
        assert (await engine.finished(run))["outcome"] == "CLEAN"
    assert crash.happened() == {"step 0": 1}


async def test_a_decision_that_committed_counts_and_may_be_repeated(crash: After) -> None:
    await crash.died("after the decision")

    async with crash.another() as engine:
        (run,) = await crash.runs()
        approval = await engine.asked(run)
        await engine.decide(approval, APPROVE)
        async with asyncio.timeout(SOON_SECONDS):
            event = await engine.until(run, "STEP_SUCCEEDED", "STEP_IN_DOUBT")
        # Its own process may have been in the middle of the call when it died.
        assert event.type == "STEP_SUCCEEDED" or crash.happened() in ({}, {"step 0": 1})
        assert (await engine.approvals(run))[0]["status"] == "APPROVED"


def test_every_point_is_died_at() -> None:
    text = Path(__file__).read_text(encoding="utf-8")

    assert [point for point in POINTS if f'"{point}"' not in text] == []
