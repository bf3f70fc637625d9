"""A statement is done, and its answer is lost with the connection: nobody knows, and nothing is done twice for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from engine.errors import InvalidState
from engine.planner import Unplannable
from engine.tools import InDoubt, ToolError
from persistence.database import Unavailable
from persistence.moves.functions import APPROVE_ONE, SUCCEED_ONE
from tests.engine.harness import (
    APPROVE,
    DID_NOT_HAPPEN,
    HAPPENED,
    PATIENCE_SECONDS,
    REJECT,
    Act,
    Running,
    acting,
    forever,
    intent,
    running,
    step,
)
from tests.faults.dying import Planner
from tests.faults.proxy import Proxy, Wanted, commits, link_to, says

CLAIM = says("picked AS MATERIALIZED")
SETTLE = says(SUCCEED_ONE.name)
APPROVAL = says(APPROVE_ONE.name)
NOTE = says("SET entered_at = clock_timestamp()")
DECISION = commits("UPDATE approvals SET status = $2")
OFTEN: dict[str, Any] = {"sweep_seconds": 0.1}


@asynccontextmanager
async def losing(proxy: Proxy, statement: Wanted) -> AsyncGenerator[None]:
    """Within the block the answer to one such statement is lost; it must have been, by the end."""
    proxy.loses = statement
    yield
    async with asyncio.timeout(PATIENCE_SECONDS):
        await proxy.lost.wait()


@dataclass
class Two:
    """A person's process, and one that runs steps over a link that loses answers."""

    api: Running
    worker: Running
    proxy: Proxy
    act: Act


@pytest.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    async with link_to(dsn) as link:
        yield link


@asynccontextmanager
async def two(dsn: str, proxy: Proxy, act: Act) -> AsyncGenerator[Two]:
    async with (
        running(dsn, acting(act), executes=False) as api,
        running(proxy.dsn, acting(act), **OFTEN) as worker,
    ):
        # A first run, so that the statements that follow are those of the second.
        first = await api.submit(step("first"))
        await api.finished(first)
        act.contexts.clear()
        yield Two(api, worker, proxy, act)


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("statement", [CLAIM, SETTLE], ids=["claim", "settle"])
async def test_a_step_whose_claim_or_settlement_was_done_unheard_is_called_once(
    statement: Wanted,
    idempotent: bool,  # noqa: FBT001 - a case
    dsn: str,
    proxy: Proxy,
) -> None:
    act = Act("noop", idempotent=idempotent)
    async with two(dsn, proxy, act) as they:
        async with losing(proxy, statement):
            run = await they.api.submit(step("one"), step("two", after=["one"]))
            row = await they.api.finished(run)

        assert row["outcome"] == "CLEAN"
        assert act.calls == 2
        assert [call["status"] for call in await they.api.calls(run)] == ["SUCCEEDED", "SUCCEEDED"]


async def test_a_call_whose_note_was_made_unheard_is_made_once_and_is_no_doubt(dsn: str, proxy: Proxy) -> None:
    act = Act("noop", idempotent=False)
    async with two(dsn, proxy, act) as they:
        async with losing(proxy, NOTE):
            run = await they.api.submit(step("one"))
            row = await they.api.finished(run)

        assert row["outcome"] == "CLEAN"
        assert act.calls == 1
        assert await they.api.approvals(run) == []


async def test_results_settled_unheard_reach_those_that_refer_to_them(dsn: str, proxy: Proxy) -> None:
    act = Act("noop", {"n": 7})
    async with two(dsn, proxy, act) as they:
        async with losing(proxy, commits("outcome AS MATERIALIZED")):
            run = await they.api.submit(step("one"), step("two", after=["one"], args={"value": {"$jmespath": "one.n"}}))
            await they.api.finished(run)

        assert act.args[-2:] == [None, 7]
        assert act.calls == 2


async def test_a_submission_recorded_unheard_is_the_same_when_repeated(dsn: str, proxy: Proxy) -> None:
    act = Act("noop")
    async with running(proxy.dsn, acting(act), **OFTEN) as engine:
        async with losing(proxy, says("submission AS MATERIALIZED")):
            with pytest.raises(Unavailable):
                await engine.submit(step("one"), key="once")
        run = await engine.submit(step("one"), key="once")
        row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        assert await engine.database.fetchval("SELECT count(*) FROM runs") == 1
        assert act.calls == 1


@pytest.mark.parametrize(
    "statement",
    [says("SET state = 'PLANNING'"), commits("INSERT INTO steps"), commits("SET state = 'FAILED', outcome")],
    ids=["claim", "plan", "refusal"],
)
async def test_a_run_that_was_claimed_planned_or_refused_unheard_is_planned_once(
    statement: Wanted, dsn: str, proxy: Proxy
) -> None:
    sentence = "do what no tool can" if statement("COMMIT;", ["SET state = 'FAILED', outcome"]) else "plan groceries"
    async with two_planning(dsn, proxy) as they:
        async with losing(proxy, statement):
            run = await they.api.engine.submit(they.api.admin, intent(sentence))
            await they.api.finished(run)

        story = await they.api.story(run)
        assert (await they.api.run(run))["error_code"] in {None, "UNPLANNABLE_INTENT"}
        assert story.count("WORKFLOW_PLANNED") == (sentence == "plan groceries")
        assert sum(line in {"WORKFLOW_COMPLETE", "WORKFLOW_FAILED"} for line in story) == 1


@asynccontextmanager
async def two_planning(dsn: str, proxy: Proxy) -> AsyncGenerator[Two]:
    act = Act("keyed")

    class Either(Planner):
        async def plan(self, intent: str, tools: Any, context: Any) -> Any:
            if "no tool" in intent:
                raise Unplannable(((intent, "no tool can"),))
            return await super().plan(intent, tools, context)

    async with (
        running(dsn, acting(act), executes=False) as api,
        running(proxy.dsn, acting(act), planner=Either(), **OFTEN) as worker,
    ):
        yield Two(api, worker, proxy, act)


@pytest.mark.parametrize(("decision", "statement"), [(APPROVE, APPROVAL), (REJECT, DECISION)], ids=["yes", "no"])
async def test_a_decision_made_unheard_stands_when_repeated(
    decision: Any, statement: Wanted, dsn: str, proxy: Proxy
) -> None:
    act = Act("noop", risk="L3", idempotent=True)
    async with running(proxy.dsn, acting(act), **OFTEN) as engine:
        run = await engine.submit(step("one"))
        approval = await engine.asked(run)
        async with losing(proxy, statement):
            with pytest.raises(Unavailable):
                await engine.decide(approval, decision)
        await engine.decide(approval, decision)
        await engine.finished(run)

        assert act.calls == (decision is APPROVE)
        story = await engine.story(run)
        assert sum(line.startswith(("APPROVAL_APPROVED", "APPROVAL_REJECTED")) for line in story) == 1


@pytest.mark.parametrize("resolution", [HAPPENED, DID_NOT_HAPPEN])
async def test_a_doubt_resolved_unheard_stays_resolved_when_repeated(resolution: Any, dsn: str, proxy: Proxy) -> None:
    act = Act("noop", InDoubt("who knows"), {"ok": True}, risk="L2", idempotent=False)
    async with running(proxy.dsn, acting(act), **OFTEN) as engine:
        run = await engine.submit(step("one"))
        doubt = await engine.asked(run)
        async with losing(proxy, DECISION):
            with pytest.raises(Unavailable):
                await engine.resolve(doubt, resolution)
        await engine.resolve(doubt, resolution)
        row = await engine.finished(run)

        assert row["outcome"] == "CLEAN"
        assert act.calls == 1 + (resolution is DID_NOT_HAPPEN)


async def test_a_cancellation_made_unheard_succeeds_when_repeated_and_stops_the_call(dsn: str, proxy: Proxy) -> None:
    act = Act("noop", forever)
    async with running(proxy.dsn, acting(act), **OFTEN) as engine:
        run = await engine.submit(step("one"))
        await act.called()
        async with losing(proxy, commits("'WORKFLOW_CANCELLED'")):
            with pytest.raises(Unavailable):
                await engine.cancel(run)
        await engine.cancel(run)
        await engine.finished(run)

        assert (await engine.story(run)).count("WORKFLOW_CANCELLED") == 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await engine.calls(run))[0]["status"] == "STARTED":  # noqa: ASYNC110 - it comes after the run's end
                await asyncio.sleep(0.02)


async def test_a_retry_made_unheard_is_made_and_another_one_refused(dsn: str, proxy: Proxy) -> None:
    act = Act("noop", ToolError("never", retryable=False), forever)
    async with running(proxy.dsn, acting(act), **OFTEN) as engine:
        run = await engine.submit(step("one"))
        await engine.finished(run)
        async with losing(proxy, commits("STEP_REDRIVEN")):
            with pytest.raises(Unavailable):
                await engine.retry(run, "one")
        await act.called(2)

        with pytest.raises(InvalidState):
            await engine.retry(run, "one")
        assert (await engine.story(run)).count("STEP_REDRIVEN one") == 1
        await engine.cancel(run)
