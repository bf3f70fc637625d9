"""Dead letters, and how a person sends them back."""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import Forbidden, InvalidState, NotFound
from engine.tools import InDoubt, ToolError
from persistence.ids import new_id
from persistence.states import Role
from tests.engine.harness import (
    APPROVE,
    DID_NOT_HAPPEN,
    REJECT,
    Act,
    Gate,
    acting,
    forever,
    running,
    step,
)

NO = ToolError("no", retryable=False)


async def test_a_redrive_brings_back_the_step_and_all_that_was_skipped_because_of_it(dsn: str) -> None:
    act = Act("flaky", NO, {"ok": True})
    async with running(dsn, acting(act, Act("noop"))) as it:
        run = await it.submit(
            step("a", "flaky"),
            step("b", after=["a"]),
            step("c", after=["b", "free"]),
            step("free"),
        )
        row = await it.finished(run)
        assert (row["state"], row["error_message"]) == ("FAILED", "1 of 4 steps failed")
        assert (await it.states(run))["c"] == "SKIPPED DEPENDENCY_FAILED"

        last = await it.retry(run, "a", reason="mended")
        row = await it.finished(run, after=last)

        assert (row["state"], row["outcome"], row["error_code"], row["error_message"]) == (
            "COMPLETED",
            "CLEAN",
            None,
            None,
        )
        assert set((await it.states(run)).values()) == {"SUCCEEDED"}
        redriven = await it.happened(run, "STEP_REDRIVEN", "a")
        assert (redriven[0]["reason"], redriven[0]["redrivenBy"]) == ("mended", f"user_{it.admin.id.hex}")


async def test_a_redrive_has_a_fresh_budget_and_goes_on_counting_under_the_same_key(dsn: str) -> None:
    act = Act("flaky", *[OSError("down")] * 5, {"ok": True})
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "flaky"))
        await it.finished(run)
        assert act.calls == 3

        last = await it.retry(run, "a")
        row = await it.finished(run, after=last)

        assert (row["state"], act.calls) == ("COMPLETED", 6)
        assert [context.attempt for context in act.contexts] == [1, 2, 3, 4, 5, 6]
        assert len({context.execution_key for context in act.contexts}) == 1
        assert [call["attempt"] for call in await it.calls(run)] == [1, 2, 3, 4, 5, 6]


async def test_a_redriven_step_may_become_a_dead_letter_again(dsn: str) -> None:
    act = Act("broken", NO, NO, {"ok": True})
    async with running(dsn, acting(act, Act("noop"))) as it:
        run = await it.submit(step("a", "broken"), step("b", after=["a"]))
        await it.finished(run)
        last = await it.retry(run, "a")
        row = await it.finished(run, after=last)
        assert (row["state"], await it.states(run)) == ("FAILED", {"a": "FAILED", "b": "SKIPPED DEPENDENCY_FAILED"})

        last = await it.retry(run, "a")
        row = await it.finished(run, after=last)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")


@pytest.mark.parametrize("first", ["a", "b"])
async def test_below_two_dead_letters_a_step_comes_back_with_the_last_of_them(dsn: str, first: str) -> None:
    act, other = Act("one", NO, {"ok": 1}), Act("two", NO, {"ok": 2})
    second = "b" if first == "a" else "a"
    async with running(dsn, acting(act, other, Act("noop"))) as it:
        run = await it.submit(
            step("a", "one"),
            step("b", "two"),
            step("c", after=["a", "b"], args={"value": {"$jmespath": "[a.ok, b.ok]"}}),
            step("only a", after=["a"]),
        )
        await it.finished(run)

        last = await it.retry(run, first)
        row = await it.finished(run, after=last)
        assert row["state"] == "FAILED"
        assert (await it.states(run))["c"] == "SKIPPED DEPENDENCY_FAILED"
        assert f"STEP_REDRIVEN {first}" in await it.story(run, after=last)
        assert "STEP_REDRIVEN c" not in await it.story(run, after=last)

        last = await it.retry(run, second)
        row = await it.finished(run, after=last)
        assert row["state"] == "COMPLETED"
        assert (await it.steps(run))["c"]["resolved_args"] == {"value": [1, 2]}
        assert (await it.states(run))["only a"] == "SUCCEEDED"


async def test_two_dead_letters_can_be_sent_back_while_the_first_still_runs(dsn: str) -> None:
    gate = Gate({"ok": 1})
    act, other = Act("one", NO, gate), Act("two", NO, {"ok": 2})
    async with running(dsn, acting(act, other, Act("noop"))) as it:
        run = await it.submit(step("a", "one"), step("b", "two"), step("c", after=["a", "b"]))
        await it.finished(run)

        last = await it.retry(run, "a")
        await act.called(2)
        await it.retry(run, "b")
        await it.until(run, "STEP_SUCCEEDED", step="b")
        assert (await it.states(run)) == {"a": "RUNNING", "b": "SUCCEEDED", "c": "PENDING"}
        gate.open()
        row = await it.finished(run, after=last)

        assert row["state"] == "COMPLETED"
        # The run had ended at the first redrive only.
        assert (await it.story(run, after=last)).count("WORKFLOW_RESUMED") == 1


async def test_what_was_skipped_by_a_rejection_stays_skipped(dsn: str) -> None:
    act, pay = Act("flaky", NO, {"ok": True}), Act("pay", risk="L3")
    async with running(dsn, acting(act, pay, Act("noop"))) as it:
        run = await it.submit(
            step("a", "flaky"), step("p", "pay"), step("both", after=["a", "p"]), step("below a", after=["a"])
        )
        approval = await it.asked(run)
        await it.until(run, "STEP_SKIPPED", step="both")
        await it.decide(approval, REJECT)
        await it.finished(run)

        last = await it.retry(run, "a")
        row = await it.finished(run, after=last)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "PARTIAL")
        assert await it.states(run) == {
            "a": "SUCCEEDED",
            "p": "SKIPPED REJECTED",
            "both": "SKIPPED DEPENDENCY_FAILED",
            "below a": "SUCCEEDED",
        }


async def test_a_gated_step_below_a_redriven_one_is_asked_about_when_its_turn_comes(dsn: str) -> None:
    act, pay = Act("flaky", NO, {"to": "Ann"}), Act("pay", risk="L3")
    async with running(dsn, acting(act, pay)) as it:
        run = await it.submit(step("a", "flaky"), step("p", "pay", args={"value": {"$jmespath": "a.to"}}, after=["a"]))
        await it.finished(run)

        last = await it.retry(run, "a")
        approval = await it.asked(run)
        assert approval["proposed_args"] == {"value": "Ann"}
        await it.decide(approval, APPROVE)

        assert (await it.finished(run, after=last))["state"] == "COMPLETED"


async def test_a_redriven_execution_has_three_calls_again_and_one_more_for_each_that_did_not_happen(dsn: str) -> None:
    act = Act("pay", NO, InDoubt("?"), OSError("down"), risk="L3", idempotent=False)
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "pay"))
        await it.decide(await it.asked(run), APPROVE)
        await it.finished(run)
        last = await it.retry(run, "a")
        await it.decide(await it.asked(run, times=2), APPROVE)
        await it.resolve(await it.asked(run, times=3), DID_NOT_HAPPEN)

        await it.finished(run, after=last)

        assert act.calls == 1 + 1 + 3


async def test_only_a_dead_letter_is_sent_back(dsn: str) -> None:
    gate = Gate()
    acts = acting(Act("noop"), Act("slow", gate), Act("broken", NO), Act("pay", risk="L3"), Act("hang", forever))
    async with running(dsn, acts) as it:
        run = await it.submit(
            step("done"),
            step("running", "slow"),
            step("pending", after=["running"]),
            step("blocked", "pay"),
            step("dead", "broken"),
            step("skipped", after=["dead"]),
        )
        await it.until(run, "STEP_SKIPPED")
        await it.until(run, "STEP_SUCCEEDED", step="done")

        for key in ("done", "running", "pending", "blocked", "skipped"):
            with pytest.raises(InvalidState):
                await it.retry(run, key)
        await it.cancel(run)
        with pytest.raises(InvalidState):
            await it.retry(run, "dead")
        gate.open()


async def test_a_dead_letter_is_sent_back_once(dsn: str) -> None:
    gate = Gate()
    act = Act("flaky", NO, gate)
    async with running(dsn, acting(act)) as it, running(dsn, acting(act)) as other:
        run = await it.submit(step("a", "flaky"))
        await it.finished(run)

        answers = await asyncio.gather(*(each.retry(run, "a") for each in [it, other] * 5), return_exceptions=True)

        assert sum(isinstance(answer, InvalidState) for answer in answers) == 9
        assert len(await it.happened(run, "STEP_REDRIVEN")) == 1
        gate.open()
        await it.until(run, "WORKFLOW_COMPLETE")


async def test_who_may_send_back_is_the_contracts_table(dsn: str) -> None:
    async with running(dsn, acting(Act("broken", NO), Act("pay", risk="L3"))) as it:
        owner, stranger = await it.user(Role.SUBMITTER), await it.user(Role.SUBMITTER)
        approver = await it.user(Role.APPROVER)
        run = await it.submit(step("a", "broken"), step("p", "pay"), viewer=owner)
        await it.until(run, "STEP_DEAD_LETTERED")

        with pytest.raises(NotFound):
            await it.retry(run, "a", viewer=stranger)
        with pytest.raises(Forbidden):
            await it.retry(run, "a", viewer=approver)
        with pytest.raises(NotFound):
            await it.engine.retry(it.admin, run, 99, reason=None)
        with pytest.raises(NotFound):
            await it.engine.retry(it.admin, new_id(), 0, reason=None)
        await it.retry(run, "a", viewer=owner)
        await it.until(run, "STEP_DEAD_LETTERED", times=2)
        await it.retry(run, "a", viewer=it.admin)


async def test_a_redrive_while_others_still_wait_resumes_the_run(dsn: str) -> None:
    act = Act("flaky", NO, {"ok": True})
    async with running(dsn, acting(act, Act("pay", risk="L3"))) as it:
        run = await it.submit(step("a", "flaky"), step("p", "pay"))
        await it.until(run, "WORKFLOW_WAITING_APPROVAL")

        last = await it.retry(run, "a")
        await it.until(run, "WORKFLOW_WAITING_APPROVAL", after=last)

        assert await it.story(run, after=last) == [
            "STEP_REDRIVEN a",
            "WORKFLOW_RESUMED",
            "STEP_RUNNING a",
            "STEP_SUCCEEDED a",
            "WORKFLOW_WAITING_APPROVAL",
        ]
