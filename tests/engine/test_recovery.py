"""Processes die, freeze and lose the database: their work goes on elsewhere, and nothing of it is done twice."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from engine.tools import ToolContext, ToolError
from persistence.database import Unavailable
from tests.engine.harness import (
    DID_NOT_HAPPEN,
    Act,
    Gate,
    Running,
    acting,
    forever,
    running,
    step,
)
from tests.engine.worker import a_worker

SWIFT = {"sweep_seconds": 0.03, "grace_seconds": 0.05}


async def declare_dead(it: Running) -> None:
    """What others do to a worker whose lease is over; it learns of it when it renews its lease."""
    worker = it.engine._executor._slots.worker  # type: ignore[union-attr]
    assert worker is not None
    await it.database.execute("UPDATE workers SET ended_at = clock_timestamp() WHERE id = $1", worker.id)


async def test_the_work_of_a_killed_process_goes_on_elsewhere_within_three_seconds(dsn: str) -> None:
    acts = acting(Act("work", {"ok": True}), pay := Act("pay", {"ok": True}, risk="L1", idempotent=False))
    async with running(dsn, acts, executes=False) as it, a_worker(dsn) as worker:
        run = await it.submit(step("a", "work"), step("p", "pay"), step("b", "work", after=["a"]))
        await worker.called()
        await worker.called()
        async with running(dsn, acts) as other:
            killed_at = datetime.now(UTC)
            worker.process.kill()
            again = await other.until(run, "STEP_SUCCEEDED", step="a")
            doubt = await other.asked(run)

            assert (again.created_at - killed_at).total_seconds() < 3
            assert (doubt["kind"], doubt["created_at"] < again.created_at) == ("IN_DOUBT", True)
            assert "died" in doubt["reason"]
            (retrying,) = await other.happened(run, "STEP_RETRYING")
            assert (retrying["reason"], retrying["code"]) == ("LOST", "WORKER_LOST")
            calls = {(call["position"], call["attempt"]): call for call in await other.calls(run)}
            assert (calls[0, 1]["status"], calls[0, 1]["error_code"]) == ("FAILED", "WORKER_LOST")
            assert calls[0, 2]["status"] == "SUCCEEDED"
            assert (calls[1, 1]["status"], calls[1, 1]["error_code"]) == ("IN_DOUBT", "WORKER_LOST")
            assert pay.calls == 0
            await other.resolve(doubt, DID_NOT_HAPPEN)
            assert (await other.finished(run))["state"] == "COMPLETED"
            assert pay.calls == 1


async def test_the_work_of_a_frozen_process_goes_on_elsewhere_when_its_lease_ends(dsn: str) -> None:
    acts = acting(Act("work", {"ok": True}), Act("pay"))
    async with running(dsn, acts, executes=False) as it, a_worker(dsn, lease_seconds=1) as worker:
        run = await it.submit(step("a", "work"))
        await worker.called()
        async with running(dsn, acts, **SWIFT) as other:
            worker.process.send_signal(signal.SIGSTOP)
            row = await other.finished(run)
            told = await other.story(run)

            worker.process.send_signal(signal.SIGCONT)
            await other.when(
                lambda: other.database.fetch("SELECT ended_at FROM workers WHERE pid = $1", worker.process.pid),
                lambda rows: len(rows) == 2 and None in [each["ended_at"] for each in rows],
            )

            assert row["state"] == "COMPLETED"
            assert await other.story(run) == told
            assert [call["error_code"] for call in await other.calls(run)] == ["WORKER_LOST", None]
        # It came back as another worker, and takes work again.
        again = await it.submit(step("a", "work"))
        assert (await worker.called()).startswith(f"step_{again.hex}")


async def test_a_zombies_word_moves_nothing_and_is_kept_on_its_call(dsn: str) -> None:
    late, other_gate = Gate({"late": True}), Gate({"in": "time"})
    first = Act("work", late, risk="L1")
    second = Act("work", other_gate, risk="L1")
    async with running(dsn, acting(first), lease_seconds=60, sweep_seconds=600, grace_seconds=0.05) as zombie:
        run = await zombie.submit(step("a", "work"), step("b", "work", after=["a"]))
        await first.called()
        await declare_dead(zombie)
        async with running(dsn, acting(second), **SWIFT) as it:
            await second.called()

            late.open()
            calls = await it.when(lambda: it.calls(run), lambda calls: calls[0]["result"])

            assert (calls[0]["status"], calls[0]["result"]) == ("FAILED", {"late": True})
            assert await it.states(run) == {"a": "RUNNING", "b": "PENDING"}
            other_gate.open()
            await it.finished(run)
            assert (await it.steps(run))["a"]["result"] == {"in": "time"}
            assert (await it.story(run)).count("STEP_SUCCEEDED a") == 1
            assert first.calls == 1


async def test_a_zombies_failure_moves_nothing_either(dsn: str) -> None:
    gate = Gate()

    async def fail(ctx: object) -> None:
        await gate(ctx)  # type: ignore[arg-type]
        raise ToolError("refused", retryable=False)

    first, second = Act("pay", fail, risk="L1", idempotent=False), Act("pay", risk="L1", idempotent=False)
    async with running(dsn, acting(first), lease_seconds=60, sweep_seconds=600, grace_seconds=0.05) as zombie:
        run = await zombie.submit(step("a", "pay"))
        await first.called()
        await declare_dead(zombie)
        async with running(dsn, acting(second), **SWIFT) as it:
            doubt = await it.asked(run)

            gate.open()
            (call,) = await it.when(lambda: it.calls(run), lambda calls: "Later" in calls[0]["error_message"])

            assert call["status"] == "IN_DOUBT"
            assert "Later: refused" in call["error_message"]
            assert await it.states(run) == {"a": "BLOCKED"}
            assert (await it.approval(doubt["id"]))["status"] == "REQUIRED"


async def test_a_zombie_that_finds_its_step_taken_stops_its_call_and_says_nothing(dsn: str) -> None:
    stopped = asyncio.Event()

    async def wait(ctx: ToolContext) -> None:
        try:
            await forever(ctx)
        finally:
            stopped.set()

    first = Act("pay", wait, risk="L1", idempotent=False)
    async with running(dsn, acting(first), lease_seconds=60, **SWIFT) as zombie:
        run = await zombie.submit(step("a", "pay"))
        await first.called()
        await declare_dead(zombie)

        await zombie.asked(run)
        await stopped.wait()
        await zombie.when(lambda: asyncio.sleep(0, zombie.engine.running), lambda steps: steps == 0)

        (call,) = await zombie.calls(run)
        assert call["error_message"] == "the process that ran it died in the middle of the call"


async def test_a_process_declared_dead_claims_nothing_more_until_it_is_another_worker(dsn: str) -> None:
    async with running(dsn, acting(Act("noop")), lease_seconds=1, **SWIFT) as it:
        await it.finished(await it.submit(step("a")))
        await declare_dead(it)

        run = await it.submit(step("a"))
        await it.finished(run)

        assert await it.database.fetchval("SELECT count(*) FROM workers") == 2


async def test_what_was_claimed_and_never_entered_surely_did_not_happen(dsn: str) -> None:
    first, second = (Act("pay", word, risk="L1", idempotent=False) for word in (forever, {"ok": True}))
    async with running(dsn, acting(first), lease_seconds=60, **SWIFT) as dead:
        run = await dead.submit(step("a", "pay", max_attempts=1))
        await first.called()
        # As a process leaves it that dies between its claim and its call.
        await dead.database.execute("UPDATE tool_calls SET entered_at = null")
        await declare_dead(dead)
        async with running(dsn, acting(second), **SWIFT) as it:
            row = await it.finished(run)

            assert (row["state"], second.calls) == ("COMPLETED", 1)
            assert second.contexts[0].attempt == 2
            assert (await it.steps(run))["a"]["calls"] == 1


async def test_a_step_that_takes_three_processes_with_it_is_a_dead_letter(dsn: str) -> None:
    act = Act("poison", forever)
    async with AsyncExitStack() as engines:
        last: Running | None = None
        run = None
        for number in range(3):
            last = await engines.enter_async_context(running(dsn, acting(act), lease_seconds=60, **SWIFT))
            run = run or await last.submit(step("a", "poison", max_attempts=0), step("b", "poison", after=["a"]))
            await act.called(number + 1)
            await declare_dead(last)
        assert run is not None
        it = await engines.enter_async_context(running(dsn, acting(act), **SWIFT))

        row = await it.finished(run)

        assert (row["state"], act.calls) == ("FAILED", 3)
        assert await it.states(run) == {"a": "FAILED", "b": "SKIPPED DEPENDENCY_FAILED"}
        assert (await it.steps(run))["a"]["error_code"] == "WORKER_LOST"
        assert [told["reason"] for told in await it.happened(run, "STEP_RETRYING")] == ["LOST", "LOST"]
        assert (await it.story(run))[-4:-1] == ["STEP_FAILED a", "STEP_DEAD_LETTERED a", "STEP_SKIPPED b"]


async def test_a_call_lost_with_its_process_counts(dsn: str) -> None:
    act = Act("slow", forever)
    async with running(dsn, acting(act), lease_seconds=60, **SWIFT) as dead:
        run = await dead.submit(step("a", "slow", max_attempts=1))
        await act.called()
        await declare_dead(dead)
        async with running(dsn, acting(act), **SWIFT) as it:
            row = await it.finished(run)

            assert (row["state"], act.calls) == ("FAILED", 1)


async def test_the_orphaned_call_of_a_cancelled_step_is_closed(dsn: str) -> None:
    acts = acting(Act("work"), Act("pay", risk="L1", idempotent=False))
    async with running(dsn, acts, executes=False) as it, a_worker(dsn) as worker:
        run = await it.submit(step("a", "work"), step("p", "pay"))
        await worker.called()
        await worker.called()
        worker.process.send_signal(signal.SIGSTOP)  # it hears nothing of the cancellation
        await it.cancel(run)
        worker.process.kill()

        async with running(dsn, acts, **SWIFT):
            calls = await it.when(
                lambda: it.calls(run), lambda calls: all(call["status"] != "STARTED" for call in calls)
            )

        assert [(call["status"], call["error_code"]) for call in calls] == [
            ("FAILED", "WORKER_LOST"),
            ("IN_DOUBT", "WORKER_LOST"),
        ]
        assert set((await it.states(run)).values()) == {"CANCELLED"}


# Connections that break


async def cut(it: Running, names: str) -> int:
    """End the sessions of this database by the name that they gave, and wait until they are gone; how many."""
    pids = [
        row["pid"]
        for row in await it.database.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name LIKE $1",
            names,
        )
    ]
    for pid in pids:
        await it.database.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    return len(pids)


async def test_a_life_sign_that_is_cut_off_for_a_moment_loses_nothing(dsn: str) -> None:
    gate = Gate({"ok": True})
    act = Act("work", gate)
    async with (
        running(dsn, acting(act), executes=False) as it,
        running(dsn, acting(act), **SWIFT) as first,
    ):
        run = await it.submit(step("a", "work"))
        await act.called()
        worker = first.engine._executor._slots.worker  # type: ignore[union-attr]
        for _ in range(3):
            assert await cut(it, "lifeos lifesign") == 1
            await it.when(
                lambda: it.database.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'lifeos lifesign'"
                ),
                lambda sessions: sessions == 1,
            )
        gate.open()

        await it.finished(run)

        assert act.calls == 1
        assert first.engine._executor._slots.worker is worker  # type: ignore[union-attr]


async def test_runs_go_on_through_broken_connections_and_no_call_is_made_twice(dsn: str) -> None:
    act = Act("work", risk="L1", idempotent=False)
    async with running(dsn, acting(act), executes=False) as it, running(dsn, acting(act), **SWIFT) as first:

        async def submit(number: int) -> object:
            while True:
                try:
                    return await first.submit(
                        *(step(f"s{n}", "work", after=[f"s{n - 1}"] if n else []) for n in range(4)), key=str(number)
                    )
                except Unavailable:
                    continue

        submitting = [asyncio.create_task(submit(number)) for number in range(25)]
        for rounds in range(4):
            await act.called(1 + 15 * rounds)
            await cut(it, "lifeos")
        runs = await asyncio.gather(*submitting)

        for run in runs:
            assert (await it.finished(run))["state"] == "COMPLETED"  # type: ignore[arg-type]
        keys = [context.execution_key for context in act.contexts]
        assert len(keys) == len(set(keys)) == 100
