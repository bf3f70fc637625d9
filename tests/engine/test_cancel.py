"""Cancelling: everything unfinished ends in one transaction, and running calls are told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.errors import AlreadyDecided, Forbidden, InvalidState, NotFound
from engine.tools import InDoubt, Registry, ToolContext, ToolError, tool
from persistence.ids import new_id
from persistence.states import Role
from tests.engine.harness import APPROVE, Act, Gate, acting, forever, running, step


async def test_everything_unfinished_is_cancelled_at_one_moment(dsn: str) -> None:
    acts = acting(
        Act("noop"),
        Act("hang", forever),
        Act("pay", risk="L3"),
        Act("unsure", InDoubt("?"), risk="L1", idempotent=False),
        Act("broken", ToolError("no", retryable=False)),
        Act("later", ToolError("wait", retry_after=60)),
    )
    async with running(dsn, acts) as it:
        run = await it.submit(
            step("done"),
            step("running", "hang"),
            step("pending", after=["running"]),
            step("blocked", "pay"),
            step("in doubt", "unsure"),
            step("failed", "broken"),
            step("skipped", after=["failed"]),
            step("ready", "later"),
        )
        for kind, key in (
            ("STEP_SUCCEEDED", "done"),
            ("STEP_RUNNING", "running"),
            ("STEP_IN_DOUBT", "in doubt"),
            ("STEP_SKIPPED", "skipped"),
            ("STEP_RETRYING", "ready"),
        ):
            await it.until(run, kind, step=key)
        before = (await it.run(run))["last_seq"]

        await it.cancel(run, reason="enough")

        row = await it.run(run)
        assert (row["state"], row["outcome"]) == ("CANCELLED", "CANCELLED")
        assert await it.states(run) == {
            "done": "SUCCEEDED",
            "running": "CANCELLED",
            "pending": "CANCELLED",
            "blocked": "CANCELLED",
            "in doubt": "CANCELLED",
            "failed": "FAILED",
            "skipped": "SKIPPED DEPENDENCY_FAILED",
            "ready": "CANCELLED",
        }
        told = [event for event in await it.events(run) if event.seq > before]
        assert len({event.created_at for event in told}) == 1
        assert told[-1].type == "WORKFLOW_CANCELLED"
        assert [each["status"] for each in await it.approvals(run)] == ["CANCELLED", "CANCELLED"]
        (end,) = await it.happened(run, "WORKFLOW_CANCELLED")
        assert (end["reason"], end["cancelledBy"]) == ("enough", f"user_{it.admin.id.hex}")
        assert await it.happened(run, "STEP_CANCELLED", "running") == [{"wasRunning": True}]
        assert await it.happened(run, "STEP_CANCELLED", "pending") == [{"wasRunning": False}]


async def test_cancelling_again_succeeds_and_changes_nothing(dsn: str) -> None:
    async with running(dsn, acting(Act("hang", forever))) as it:
        run = await it.submit(step("a", "hang"))
        await it.cancel(run)
        before = await it.run(run)

        await it.cancel(run)

        assert await it.run(run) == before


async def test_what_has_ended_is_not_cancelled(dsn: str) -> None:
    async with running(dsn, acting(Act("noop"), Act("broken", ToolError("no", retryable=False)))) as it:
        for name, state in (("noop", "COMPLETED"), ("broken", "FAILED")):
            run = await it.submit(step("a", name))
            await it.finished(run)

            with pytest.raises(InvalidState) as refused:
                await it.cancel(run)

            assert refused.value.state == state


async def test_the_approvals_of_a_cancelled_run_can_not_be_decided(dsn: str) -> None:
    act = Act("pay", risk="L3")
    async with running(dsn, acting(act)) as it:
        run = await it.submit(step("a", "pay"))
        approval = await it.asked(run)
        await it.cancel(run)

        with pytest.raises(AlreadyDecided) as refused:
            await it.decide(approval, APPROVE)

        assert (refused.value.status, refused.value.decided_by) == ("CANCELLED", None)
        assert act.calls == 0


async def test_who_may_cancel_is_the_contracts_table(dsn: str) -> None:
    async with running(dsn, acting(Act("pay", risk="L3"))) as it:
        owner, stranger = await it.user(Role.SUBMITTER), await it.user(Role.SUBMITTER)
        approver = await it.user(Role.APPROVER)
        run = await it.submit(step("a", "pay"), viewer=owner)

        with pytest.raises(NotFound):
            await it.cancel(run, viewer=stranger)
        with pytest.raises(Forbidden):
            await it.cancel(run, viewer=approver)
        with pytest.raises(NotFound):
            await it.cancel(new_id())
        await it.cancel(run, viewer=owner)
        other = await it.submit(step("a", "pay"), viewer=owner)
        await it.cancel(other, viewer=it.admin)


# How running calls end


async def test_a_running_call_is_asked_to_stop_and_its_record_says_so(dsn: str) -> None:
    stopped = asyncio.Event()

    async def wait(ctx: ToolContext) -> None:
        try:
            await forever(ctx)
        finally:
            stopped.set()

    async with running(dsn, acting(Act("hang", wait))) as it:
        run = await it.submit(step("a", "hang"))
        await it.until(run, "STEP_RUNNING")

        await it.cancel(run)
        await stopped.wait()

        (call,) = await it.when(lambda: it.calls(run), lambda calls: calls[0]["status"] != "STARTED")
        assert (call["status"], call["error_code"]) == ("FAILED", "CANCELLED")


async def test_a_running_call_that_must_not_be_repeated_is_in_doubt_on_its_record_alone(dsn: str) -> None:
    async with running(dsn, acting(Act("pay", forever, risk="L1", idempotent=False))) as it:
        run = await it.submit(step("a", "pay"))
        await it.until(run, "STEP_RUNNING")
        await it.when(lambda: it.calls(run), lambda calls: calls[0]["entered_at"])

        await it.cancel(run)

        (call,) = await it.when(lambda: it.calls(run), lambda calls: calls[0]["status"] != "STARTED")
        assert call["status"] == "IN_DOUBT"
        assert await it.states(run) == {"a": "CANCELLED"}
        assert await it.approvals(run) == []
        assert (await it.story(run))[-1] == "WORKFLOW_CANCELLED"


async def test_a_call_that_ends_well_all_the_same_keeps_its_result_on_its_record(dsn: str) -> None:
    async def finish(ctx: ToolContext) -> dict[str, str]:
        try:
            await forever(ctx)
        except asyncio.CancelledError:
            return {"sent": "anyway"}
        raise AssertionError

    async with running(dsn, acting(Act("pay", finish))) as it:
        run = await it.submit(step("a", "pay"))
        await it.until(run, "STEP_RUNNING")

        await it.cancel(run)

        (call,) = await it.when(lambda: it.calls(run), lambda calls: calls[0]["status"] != "STARTED")
        assert (call["status"], call["result"]) == ("SUCCEEDED", {"sent": "anyway"})
        assert (await it.steps(run))["a"]["result"] is None
        assert await it.states(run) == {"a": "CANCELLED"}


async def test_a_thread_is_waited_for_and_its_end_recorded(dsn: str) -> None:
    let_go = threading.Event()

    @tool(risk="L0")
    def slow() -> str:
        let_go.wait(10)
        return "done"

    async with running(dsn, Registry.of(slow)) as it:
        run = await it.submit(step("a", "slow"))
        await it.until(run, "STEP_RUNNING")
        await it.cancel(run)
        assert [call["status"] for call in await it.calls(run)] == ["STARTED"]

        let_go.set()

        (call,) = await it.when(lambda: it.calls(run), lambda calls: calls[0]["status"] != "STARTED")
        assert (call["status"], call["result"]) == ("SUCCEEDED", "done")


async def test_a_cancellation_reaches_calls_in_other_processes(dsn: str) -> None:
    async with running(dsn, acting(Act("hang", forever))) as it, running(dsn, acting(), executes=False) as other:
        run = await it.submit(step("a", "hang"))
        await it.until(run, "STEP_RUNNING")

        await other.cancel(run)

        (call,) = await it.when(lambda: it.calls(run), lambda calls: calls[0]["status"] != "STARTED")
        assert call["error_code"] == "CANCELLED"


async def test_a_step_cancelled_between_its_claim_and_its_call_is_not_called_and_its_record_closed(dsn: str) -> None:
    act = Act("pay", risk="L1", idempotent=False)
    async with running(dsn, acting(act)) as it:
        # The claim is held up, so that the test gets hold of the table before the call is entered.
        await it.database.execute(
            """CREATE FUNCTION hold_claims() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$"""
        )
        await it.database.execute(
            """CREATE TRIGGER hold_claims AFTER INSERT ON timeline_events FOR EACH ROW
            WHEN (NEW.type = 'STEP_RUNNING') EXECUTE FUNCTION hold_claims()"""
        )
        async with it.database.connection() as holder, it.database.connection() as blocker:
            await holder.execute("SELECT pg_advisory_lock(4711)")
            submitting = asyncio.create_task(it.submit(step("a", "pay")))
            await it.waiting_for_locks()
            async with blocker.transaction():
                locking = asyncio.create_task(blocker.execute("LOCK TABLE tool_calls IN ACCESS EXCLUSIVE MODE"))
                await it.waiting_for_locks(2)
                await holder.execute("SELECT pg_advisory_unlock(4711)")
                run = await submitting
                await locking
                await it.waiting_for_locks()
                await it.cancel(run)

        (call,) = await it.when(lambda: it.calls(run), lambda calls: calls[0]["status"] != "STARTED")
        assert (call["status"], call["error_code"], call["entered_at"]) == ("FAILED", "CANCELLED", None)
        assert act.calls == 0


async def test_a_cancelled_run_gives_its_slots_to_others(dsn: str) -> None:
    act = Act("hang", forever)
    async with running(dsn, acting(act, Act("noop")), concurrency=1) as it:
        run = await it.submit(step("a", "hang"))
        await act.called()
        other = await it.submit(step("b"))

        await it.cancel(run)

        assert (await it.finished(other))["state"] == "COMPLETED"


async def test_a_completion_and_a_cancellation_race_and_one_wins(dsn: str) -> None:
    gate = Gate()
    act = Act("work", gate)
    async with running(dsn, acting(act)) as it, running(dsn, acting(act), executes=False) as other:
        runs = [await it.submit(step("a", "work")) for _ in range(12)]
        await act.called(12)

        gate.open()
        answers = await asyncio.gather(*(other.cancel(run) for run in runs), return_exceptions=True)

        for run, answer in zip(runs, answers, strict=True):
            row = await it.finished(run)
            assert row["state"] == ("CANCELLED" if answer is None else "COMPLETED")
            assert answer is None or isinstance(answer, InvalidState)
