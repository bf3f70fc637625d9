"""A process stops: it takes no more steps, waits for its grace time, and hands back the rest to other processes."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

from engine.tools import Registry, tool
from tests.engine.harness import APPROVE, DID_NOT_HAPPEN, Act, Gate, acting, forever, running, step

NEVER = {"sweep_seconds": 600}
"""Sweeps find what was not announced; without them, only what is said at once counts."""


async def test_what_ends_within_the_grace_time_ends_well(dsn: str) -> None:
    gate = Gate({"ok": True})
    act = Act("work", gate)
    async with running(dsn, acting(act), executes=False) as it:
        async with running(dsn, acting(act), grace_seconds=10) as first:
            run = await it.submit(step("a", "work"), step("b", "work", after=["a"]))
            await act.called()
            first.engine.stop_claiming()
            asyncio.get_running_loop().call_later(0.05, gate.open)

        # The successor was left for others.
        assert await it.states(run) == {"a": "SUCCEEDED", "b": "READY"}
        assert act.calls == 1


async def test_what_exceeds_the_grace_time_is_handed_back_and_goes_on_at_once(dsn: str) -> None:
    first_act, second_act = Act("work", forever), Act("work", {"ok": True})
    async with running(dsn, acting(second_act), executes=False) as it, AsyncExitStack() as stopping:
        await stopping.enter_async_context(running(dsn, acting(first_act), grace_seconds=0.05))
        run = await it.submit(step("a", "work"))
        await first_act.called()
        async with running(dsn, acting(second_act), **NEVER):
            await stopping.aclose()

            row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        assert second_act.contexts[0].attempt == 2
        assert first_act.contexts[0].execution_key == second_act.contexts[0].execution_key
        assert [(call["attempt"], call["status"], call["error_code"]) for call in await it.calls(run)] == [
            (1, "FAILED", "HANDED_BACK"),
            (2, "SUCCEEDED", None),
        ]
        (told,) = await it.happened(run, "STEP_RETRYING")
        assert (told["reason"], told["delaySeconds"]) == ("HANDED_BACK", 0)
        assert (await it.story(run))[2:6] == ["STEP_READY a", "STEP_RUNNING a", "STEP_RETRYING a", "STEP_RUNNING a"]


async def test_a_call_that_must_not_be_repeated_is_in_doubt_when_its_process_stops(dsn: str) -> None:
    act = Act("pay", forever, {"ok": True}, risk="L1", idempotent=False)
    async with running(dsn, acting(act), executes=False) as it:
        async with running(dsn, acting(act), grace_seconds=0.05):
            run = await it.submit(step("a", "pay"))
            await act.called()

        doubt = await it.asked(run)
        assert doubt["kind"] == "IN_DOUBT"
        assert [(call["status"], call["error_code"]) for call in await it.calls(run)] == [("IN_DOUBT", "HANDED_BACK")]
        async with running(dsn, acting(act)):
            await it.resolve(doubt, DID_NOT_HAPPEN)
            assert (await it.finished(run))["state"] == "COMPLETED"


async def test_stops_alone_never_make_a_dead_letter(dsn: str) -> None:
    act = Act("work", *[forever] * 5, {"ok": True})
    async with running(dsn, acting(act), executes=False) as it:
        run = await it.submit(step("a", "work", max_attempts=1))
        for number in range(5):
            async with running(dsn, acting(act), grace_seconds=0.01):
                await act.called(number + 1)
            assert await it.states(run) == {"a": "READY"}

        async with running(dsn, acting(act)):
            row = await it.finished(run)

        assert (row["state"], act.calls) == ("COMPLETED", 6)
        assert (await it.steps(run))["a"]["losses"] == 0


async def test_a_stop_in_the_last_call_that_an_approval_allows_is_for_a_person_to_judge(dsn: str) -> None:
    act = Act("pay", forever, {"ok": True}, risk="L3", idempotent=True)
    async with running(dsn, acting(act), executes=False) as it:
        run = await it.submit(step("a", "pay", max_attempts=1))
        await it.decide(await it.asked(run), APPROVE)
        async with running(dsn, acting(act), grace_seconds=0.01):
            await act.called()

        assert (await it.asked(run, times=2))["kind"] == "IN_DOUBT"
        assert await it.states(run) == {"a": "BLOCKED"}


async def test_a_step_handed_back_before_its_call_uses_up_no_attempt_but_its_number(dsn: str) -> None:
    act = Act("pay", risk="L1", idempotent=False)
    async with running(dsn, acting(act), executes=False) as it:
        await it.database.execute(
            """CREATE FUNCTION hold_entries() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$"""
        )
        await it.database.execute(
            """CREATE TRIGGER hold_entries BEFORE UPDATE OF entered_at ON tool_calls FOR EACH ROW
            EXECUTE FUNCTION hold_entries()"""
        )
        async with it.database.connection() as holder, AsyncExitStack() as stopping:
            await holder.execute("SELECT pg_advisory_lock(4711)")
            first = await stopping.enter_async_context(running(dsn, acting(act), grace_seconds=0))
            run = await it.submit(step("a", "pay", max_attempts=1))
            await it.waiting_for_locks()
            closing = asyncio.create_task(stopping.aclose())
            attempt = first.engine._executor._slots.running[run, 0]  # type: ignore[union-attr]
            await it.when(lambda: asyncio.sleep(0, attempt._stopped), lambda stopped: stopped is not None)
            await holder.execute("SELECT pg_advisory_unlock(4711)")
            await closing

        assert act.calls == 0
        step_a = (await it.steps(run))["a"]
        assert (step_a["state"], step_a["attempt"], step_a["calls"]) == ("READY", 1, 0)
        assert [(call["status"], call["error_code"]) for call in await it.calls(run)] == [("FAILED", "HANDED_BACK")]
        async with running(dsn, acting(act)):
            assert (await it.finished(run))["state"] == "COMPLETED"
        assert [context.attempt for context in act.contexts] == [2]


async def test_a_stopping_process_takes_nothing_more(dsn: str) -> None:
    act = Act("work")
    async with running(dsn, acting(act)) as it:
        it.engine.stop_claiming()

        run = await it.submit(step("a", "work"))
        other = await it.submit(step("a", "work"))

        assert await it.states(run) == {"a": "READY"}
        async with running(dsn, acting(act)):
            await it.finished(run)
            await it.finished(other)


async def test_a_stopped_process_is_no_worker_any_more(dsn: str) -> None:
    async with running(dsn, acting(Act("noop")), executes=False) as it:
        async with running(dsn, acting(Act("noop"))) as first:
            await it.finished(await it.submit(step("a")))
            assert first.engine.running == 0

        assert await it.database.fetchval("SELECT count(*) FROM workers WHERE ended_at IS NULL") == 0


async def test_a_thread_that_can_not_be_stopped_does_not_hold_up_the_stop(dsn: str) -> None:
    let_go = threading.Event()

    @tool(risk="L0")
    def slow() -> None:
        let_go.wait(10)

    async with running(dsn, Registry.of(slow), executes=False) as it:
        async with asyncio.timeout(5):
            async with running(dsn, Registry.of(slow), grace_seconds=0.01):
                run = await it.submit(step("a", "slow"))
                await it.until(run, "STEP_RUNNING")

        assert await it.states(run) == {"a": "READY"}
        let_go.set()
