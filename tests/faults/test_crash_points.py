"""A process kills itself at a named point, and another one goes on: what must hold then."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from engine.rounds import settling as round_statements
from tests.engine.harness import APPROVE, DID_NOT_HAPPEN, HAPPENED, Running, running, step
from tests.faults.dying import ANSWER, KEY, LISTED, POINTS, ROUNDS, Planner, rounds, tools, watch_rounds
from tests.faults.invariants import check_runs
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


# Rounds


async def resolved(engine: Running, run: UUID, crash: After) -> None:
    """Resolve what is in doubt as it is, until the run has ended."""
    after = 0
    while True:
        event = await engine.until(run, "APPROVAL_REQUIRED", "WORKFLOW_COMPLETE", after=after)
        if event.type == "WORKFLOW_COMPLETE":
            return
        after, doubt = event.seq, await engine.approval(event.approval_id)
        assert doubt["kind"] == "IN_DOUBT"
        happened = f"step {doubt['position']}" in crash.happened()
        child = next(step for step in (await engine.steps(run)).values() if step["position"] == doubt["position"])
        if happened:
            await engine.resolve(doubt, HAPPENED, result={"attempt": 1, "value": LISTED[int(child["index"])]})
        else:
            await engine.resolve(doubt, DID_NOT_HAPPEN)


async def ends_as_it_would_have(engine: Running, run: UUID, crash: After, of: str) -> None:
    """What the rounds come to, whatever was lost on the way."""
    async with asyncio.timeout(2 * SOON_SECONDS):
        await resolved(engine, run, crash)
    each = [{"item": item, "value": item} for item in LISTED]
    steps = await engine.steps(run)
    assert [{"item": got["item"], "value": got["result"]["value"]} for got in steps["each"]["result"]] == each
    assert await engine.states(run) == {
        "one": "SUCCEEDED",
        "each": "SUCCEEDED",
        "never": "SKIPPED CONDITION_FALSE",
        "last": "SUCCEEDED",
        **{f"each[{place}]": "SUCCEEDED" for place in range(len(LISTED))},
    }
    assert (await engine.run(run))["outcome"] == "CLEAN"
    answer = await engine.database.fetchval("SELECT answer::text FROM run_answers WHERE run_id = $1", run)
    assert json.loads(answer) == {"said": LISTED, "never": None}
    happened = Counter(crash.happened())
    children = [happened[f"step {steps[f'each[{place}]']['position']}"] for place in range(len(LISTED))]
    # One call was under way when the process died: it alone may have been repeated, if it may be.
    assert happened.total() - len(happened) <= 1
    assert happened.keys() == {f"step {step['position']}" for step in steps.values() if step["attempt"]}
    assert of == "keyed" or set(children) == {1}
    await check_runs(engine.database, run)


@pytest.mark.parametrize("of", ["keyed", "plain"])
@pytest.mark.parametrize(
    "point", ["store_elaborate 1", "turn 3", "turn 6", "closed_parents 1", "conclude 3", "keep_answers 1"]
)
async def test_rounds_that_are_cut_short_end_as_they_would_have(point: str, of: str, crash: After) -> None:
    await crash.died(point, of)

    async with crash.another() as engine:
        # Under its key: what was not stored is stored now, and what was is found.
        run = await engine.submit(*rounds(of), key=point, answer=ANSWER)
        await ends_as_it_would_have(engine, run, crash, of)
        assert await crash.runs() == [run]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_rounds_that_are_cut_short_after_any_statement_end_as_they_would_have(
    crash: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: Counter[str] = Counter()
    for name in ROUNDS:
        monkeypatch.setattr(round_statements, name, getattr(round_statements, name))
    watch_rounds(lambda name: counted.update([name]))
    async with running(crash.dsn, tools(crash.effects), concurrency=1) as engine:
        await engine.finished(await engine.submit(*rounds("plain"), answer=ANSWER))
    assert set(counted) == set(ROUNDS)

    for point in [f"{name} {number + 1}" for name, times in counted.items() for number in range(times)]:
        crash.effects.unlink(missing_ok=True)
        await crash.died(point, "plain")
        async with crash.another() as engine:
            run = await engine.submit(*rounds("plain"), key=point, answer=ANSWER)
            await ends_as_it_would_have(engine, run, crash, "plain")


def test_every_point_is_died_at() -> None:
    text = Path(__file__).read_text(encoding="utf-8")

    assert [point for point in POINTS if f'"{point}"' not in text] == []
