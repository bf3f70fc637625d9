"""The exact events of the common stories, in order."""

from __future__ import annotations

from engine.tools import InDoubt, ToolError
from tests.engine.harness import (
    APPROVE,
    DID_NOT_HAPPEN,
    HAPPENED,
    REJECT,
    Act,
    Gate,
    acting,
    forever,
    running,
    step,
)

BEGIN = ["WORKFLOW_STARTED", "WORKFLOW_PLANNED"]


def ran(key: str) -> list[str]:
    return [f"STEP_READY {key}", f"STEP_RUNNING {key}", f"STEP_SUCCEEDED {key}"]


async def test_a_chain_has_its_events_step_by_step(dsn: str) -> None:
    async with running(dsn, acting(Act("noop"))) as it:
        run = await it.submit(step("a"), step("b", after=["a"]), step("c", after=["b"]))

        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")
        assert await it.story(run) == [*BEGIN, *ran("a"), *ran("b"), *ran("c"), "WORKFLOW_COMPLETE"]


async def test_an_approval_has_its_events_from_the_question_to_the_call(dsn: str) -> None:
    async with running(dsn, acting(Act("pay", risk="L3"))) as it:
        run = await it.submit(step("a", "pay"))
        await it.decide(await it.asked(run), APPROVE)

        await it.finished(run)

        assert await it.story(run) == [
            *BEGIN,
            "STEP_BLOCKED a",
            "APPROVAL_REQUIRED a",
            "WORKFLOW_WAITING_APPROVAL",
            "APPROVAL_APPROVED a",
            "STEP_READY a",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_run_does_not_wait_as_long_as_another_branch_can_move(dsn: str) -> None:
    gate = Gate()
    async with running(dsn, acting(Act("pay", risk="L3"), Act("slow", gate))) as it:
        run = await it.submit(step("a", "pay"), step("b", "slow"))
        approval = await it.asked(run)
        await it.until(run, "STEP_RUNNING", step="b")

        assert (await it.run(run))["state"] == "EXECUTING"
        gate.open()
        await it.until(run, "WORKFLOW_WAITING_APPROVAL")
        assert (await it.run(run))["state"] == "WAITING_APPROVAL"
        await it.decide(approval, APPROVE)
        await it.finished(run)

        assert await it.story(run) == [
            *BEGIN,
            "STEP_BLOCKED a",
            "STEP_READY b",
            "APPROVAL_REQUIRED a",
            "STEP_RUNNING b",
            "STEP_SUCCEEDED b",
            "WORKFLOW_WAITING_APPROVAL",
            "APPROVAL_APPROVED a",
            "STEP_READY a",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_run_that_ends_straight_from_waiting_does_not_resume(dsn: str) -> None:
    async with running(dsn, acting(Act("pay", risk="L3"), Act("noop"))) as it:
        run = await it.submit(step("a", "pay"), step("b", after=["a"]))
        await it.decide(await it.asked(run), REJECT)

        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "PARTIAL")
        assert await it.story(run) == [
            *BEGIN,
            "STEP_BLOCKED a",
            "APPROVAL_REQUIRED a",
            "WORKFLOW_WAITING_APPROVAL",
            "APPROVAL_REJECTED a",
            "STEP_SKIPPED a",
            "STEP_SKIPPED b",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_retry_has_one_event_and_none_when_its_time_comes(dsn: str) -> None:
    async with running(dsn, acting(Act("flaky", ToolError("not now"), {"ok": True}))) as it:
        run = await it.submit(step("a", "flaky"))

        await it.finished(run)

        assert await it.story(run) == [
            *BEGIN,
            "STEP_READY a",
            "STEP_RUNNING a",
            "STEP_RETRYING a",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_failure_is_a_dead_letter_and_all_below_it_is_skipped(dsn: str) -> None:
    broken = Act("broken", ToolError("never", retryable=False))
    async with running(dsn, acting(broken, Act("noop"))) as it:
        run = await it.submit(step("a", "broken"), step("b", after=["a"]), step("c", after=["b"]))

        row = await it.finished(run)

        assert (row["state"], row["outcome"], row["error_code"]) == ("FAILED", "FAILED", "STEP_FAILED")
        assert await it.story(run) == [
            *BEGIN,
            "STEP_READY a",
            "STEP_RUNNING a",
            "STEP_FAILED a",
            "STEP_DEAD_LETTERED a",
            "STEP_SKIPPED b",
            "STEP_SKIPPED c",
            "WORKFLOW_FAILED",
        ]


async def test_a_cancellation_ends_the_timeline(dsn: str) -> None:
    async with running(dsn, acting(Act("slow", forever), Act("pay", risk="L3"), Act("noop"))) as it:
        run = await it.submit(step("a", "slow"), step("b", "pay"), step("c", after=["a", "b"]))
        await it.until(run, "STEP_RUNNING")

        await it.cancel(run)

        assert await it.story(run) == [
            *BEGIN,
            "STEP_READY a",
            "STEP_BLOCKED b",
            "APPROVAL_REQUIRED b",
            "STEP_RUNNING a",
            "APPROVAL_CANCELLED b",
            "STEP_CANCELLED a",
            "STEP_CANCELLED b",
            "STEP_CANCELLED c",
            "WORKFLOW_CANCELLED",
        ]


async def test_a_redrive_tells_what_comes_back_and_then_that_the_run_goes_on(dsn: str) -> None:
    flaky = Act("flaky", ToolError("never", retryable=False), {"ok": True})
    async with running(dsn, acting(flaky, Act("noop"))) as it:
        run = await it.submit(step("a", "flaky"), step("b", after=["a"]), step("c", after=["b"]))
        await it.finished(run)

        last = await it.retry(run, "a")
        await it.finished(run, after=last)

        assert await it.story(run, after=last) == [
            "STEP_REDRIVEN a",
            "STEP_REDRIVEN b",
            "STEP_REDRIVEN c",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            *ran("b"),
            *ran("c"),
            "WORKFLOW_COMPLETE",
        ]


async def test_a_gated_redrive_asks_without_repeating_that_the_step_is_blocked(dsn: str) -> None:
    pay = Act("pay", ToolError("never", retryable=False), {"ok": True}, risk="L3")
    async with running(dsn, acting(pay)) as it:
        run = await it.submit(step("a", "pay"))
        await it.decide(await it.asked(run), APPROVE)
        await it.finished(run)

        last = await it.retry(run, "a")
        await it.decide(await it.asked(run, times=2), APPROVE)
        await it.finished(run, after=last)

        assert await it.story(run, after=last) == [
            "STEP_REDRIVEN a",
            "APPROVAL_REQUIRED a",
            "WORKFLOW_RESUMED",
            "WORKFLOW_WAITING_APPROVAL",
            "APPROVAL_APPROVED a",
            "STEP_READY a",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_doubt_has_events_for_its_question_and_its_answer(dsn: str) -> None:
    unsure = Act("unsure", InDoubt("no answer"), {"ok": True}, risk="L1", idempotent=False)
    async with running(dsn, acting(unsure, Act("noop"))) as it:
        run = await it.submit(step("a", "unsure"), step("b", after=["a"]))
        await it.resolve(await it.asked(run), HAPPENED, result={"ok": True})

        await it.finished(run)

        assert await it.story(run) == [
            *BEGIN,
            "STEP_READY a",
            "STEP_RUNNING a",
            "STEP_IN_DOUBT a",
            "APPROVAL_REQUIRED a",
            "WORKFLOW_WAITING_APPROVAL",
            "APPROVAL_APPROVED a",
            "STEP_SUCCEEDED a",
            "STEP_READY b",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING b",
            "STEP_SUCCEEDED b",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_call_that_did_not_happen_is_ready_again(dsn: str) -> None:
    unsure = Act("unsure", InDoubt("no answer"), {"ok": True}, risk="L1", idempotent=False)
    async with running(dsn, acting(unsure)) as it:
        run = await it.submit(step("a", "unsure"))
        await it.resolve(await it.asked(run), DID_NOT_HAPPEN)

        await it.finished(run)

        assert (await it.story(run))[-6:] == [
            "APPROVAL_APPROVED a",
            "STEP_READY a",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            "WORKFLOW_COMPLETE",
        ]
