"""What is independent runs at once, within the process's limit, and nobody holds up the others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from engine.tools import Registry, ToolContext, tool
from persistence.states import Role
from tests.engine.harness import APPROVE, Act, Gate, acting, running, step


async def test_independent_steps_run_at_once_and_dependents_wait_for_all(dsn: str) -> None:
    gate = Gate()
    act, last = Act("work", gate), Act("noop")
    async with running(dsn, acting(act, last)) as it:
        run = await it.submit(*(step(f"s{n}", "work") for n in range(5)), step("z", after=[f"s{n}" for n in range(5)]))

        await act.called(5)

        assert set((await it.states(run)).values()) == {"RUNNING", "PENDING"}
        assert last.calls == 0
        gate.open()
        await it.finished(run)
        assert last.calls == 1


async def test_runs_do_not_wait_for_each_other(dsn: str) -> None:
    gate = Gate()
    async with running(dsn, acting(Act("slow", gate), Act("noop"))) as it:
        slow = await it.submit(step("a", "slow"))
        await it.until(slow, "STEP_RUNNING")

        fast = await it.submit(step("a"))

        assert (await it.finished(fast))["state"] == "COMPLETED"
        gate.open()
        await it.finished(slow)


class Counter:
    """A tool that knows how many of it run at once."""

    def __init__(self) -> None:
        self.now = self.most = self.total = 0

    async def __call__(self, _ctx: ToolContext) -> None:
        self.now += 1
        self.total += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1


@pytest.mark.parametrize("limit", [1, 3])
async def test_the_process_never_runs_more_steps_than_its_limit(dsn: str, limit: int) -> None:
    counter = Counter()
    async with running(dsn, acting(Act("work", counter)), concurrency=limit) as it:
        runs = await asyncio.gather(
            *(
                it.submit(
                    *(step(f"s{n}", "work") for n in range(5)),
                    *(step(f"t{n}", "work", after=[f"s{n}"]) for n in range(5)),
                )
                for _ in range(4)
            )
        )

        for run in runs:
            assert (await it.finished(run))["state"] == "COMPLETED"

        assert counter.total == 40
        assert counter.most <= limit


async def test_the_limit_is_used(dsn: str) -> None:
    gate = Gate()
    act = Act("work", gate)
    async with running(dsn, acting(act), concurrency=4) as it:
        run = await it.submit(*(step(f"s{n}", "work") for n in range(6)))

        await act.called(4)

        assert it.engine.running == 4
        assert sorted((await it.states(run)).values()) == ["READY"] * 2 + ["RUNNING"] * 4
        gate.open()
        await it.finished(run)


async def test_a_step_that_waits_for_its_retry_takes_no_slot(dsn: str) -> None:
    act = Act("flaky", OSError("down"), {"ok": True})
    async with running(dsn, acting(act, Act("noop")), concurrency=1, retry_base_seconds=60, retry_cap_seconds=60) as it:
        waiting = await it.submit(step("a", "flaky"))
        await it.until(waiting, "STEP_RETRYING")

        other = await it.submit(step("a"))

        assert (await it.finished(other))["state"] == "COMPLETED"


async def test_a_call_that_timed_out_gives_its_slot_back_though_it_goes_on(dsn: str) -> None:
    let_go = threading.Event()

    @tool(risk="L0", timeout=0.05, max_attempts=1)
    def stuck() -> None:
        let_go.wait(10)

    noop = Act("noop")
    async with running(dsn, Registry.of(stuck, noop.tool), concurrency=1) as it:
        run = await it.submit(step("a", "stuck"), step("b"))

        await it.finished(run)

        assert await it.states(run) == {"a": "FAILED", "b": "SUCCEEDED"}
        let_go.set()


async def test_plain_functions_run_in_threads_at_once_and_do_not_block_the_loop(dsn: str) -> None:
    barrier = threading.Barrier(9, timeout=10)

    @tool(risk="L0")
    def meet() -> str:
        barrier.wait()
        return threading.current_thread().name

    async with running(dsn, Registry.of(meet)) as it:
        run = await it.submit(*(step(f"s{n}", "meet") for n in range(8)))
        await it.until(run, "STEP_RUNNING", times=8)

        # Eight threads wait for a ninth: the loop is free to send it.
        await asyncio.to_thread(barrier.wait)

        assert (await it.finished(run))["state"] == "COMPLETED"
        assert threading.current_thread().name not in {each["result"] for each in (await it.steps(run)).values()}


async def test_steps_of_a_busy_run_do_not_lend_their_slots_twice(dsn: str) -> None:
    first, second, rest = Gate(), Gate(), Gate()
    acts = acting(Act("first", first), Act("second", second), Act("rest", rest))
    async with running(dsn, acts, concurrency=10) as it:
        busy = await it.submit(
            *(step(f"a{n}", "first") for n in range(5)), *(step(f"A{n}", "rest", after=[f"a{n}"]) for n in range(5))
        )
        free = await it.submit(
            *(step(f"b{n}", "second") for n in range(5)),
            *(step(f"B{n}", "rest", after=[f"b{n % 5}"]) for n in range(20)),
        )
        await it.until(busy, "STEP_RUNNING", times=5)
        await it.until(free, "STEP_RUNNING", times=5)
        async with it.database.connection() as other, other.transaction():
            await other.fetch("SELECT FROM runs WHERE id = $1 FOR UPDATE", busy)
            first.open()
            second.open()
            await it.until(free, "STEP_SUCCEEDED", times=5)
            await it.waiting_for_locks()

        await it.until(busy, "STEP_SUCCEEDED", times=5)

        states = [*(await it.states(busy)).values(), *(await it.states(free)).values()]
        assert states.count("RUNNING") <= 10
        rest.open()
        await it.finished(busy)
        await it.finished(free)


async def test_who_has_no_step_running_waits_for_nobody_elses_long_ones(dsn: str) -> None:
    gate = Gate()
    async with running(dsn, acting(Act("long", gate), Act("noop")), concurrency=10) as it:
        many = await it.submit(*(step(f"s{n}", "long") for n in range(30)))
        await it.until(many, "STEP_RUNNING", times=10)
        others = [await it.user(Role.SUBMITTER) for _ in range(3)]

        # Two steps each: the second begins when the first has ended, and takes its turn between the others'.
        runs = [await it.submit(step("a"), step("b"), viewer=other) for other in others]

        for run in runs:
            assert (await it.finished(run))["state"] == "COMPLETED"
        states = [*(await it.states(many)).values()]
        assert states.count("RUNNING") == 10
        gate.open()
        await it.finished(many)


async def test_no_more_than_a_tenth_goes_beyond_the_limit(dsn: str) -> None:
    gate = Gate()
    long = Act("long", gate)
    async with running(dsn, acting(long), concurrency=20) as it:
        many = await it.submit(*(step(f"s{n}", "long") for n in range(30)))
        await it.until(many, "STEP_RUNNING", times=20)
        runs = [await it.submit(step("a", "long"), viewer=await it.user(Role.SUBMITTER)) for _ in range(4)]
        await long.called(22)

        claiming: Any = it.engine._executor._claiming  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
        claiming._starvation.reset()
        await claiming._claim_for_starved_users()

        states = [(await it.states(run))["a"] for run in runs]
        assert sorted(states) == ["READY", "READY", "RUNNING", "RUNNING"]
        assert it.engine.running == 22
        gate.open()
        for run in (many, *runs):
            await it.finished(run)


async def test_what_found_no_slot_while_a_submission_held_them_goes_on_when_that_is_done(dsn: str) -> None:
    gate = Gate()
    long, gated = Act("long", gate), Act("gated", risk="L3", idempotent=True)
    async with running(dsn, acting(long, gated, Act("noop")), concurrency=5, sweep_seconds=600) as it:
        await it.finished(await it.submit(step("a")))  # from here on the process is a worker
        waiting = await it.submit(step("a", "gated"))
        approval, other = await it.asked(waiting), await it.user(Role.SUBMITTER)
        async with it.database.connection() as holder, holder.transaction():
            # The run is not stored before its submitter's row is to be had.
            await holder.fetch("SELECT FROM users WHERE id = $1 FOR UPDATE", other.id)
            submitting = asyncio.create_task(it.submit(step("a", "long"), viewer=other))
            await it.waiting_for_locks()
            await it.decide(approval, APPROVE)
            await it.engine._executor._claiming._claim_all()  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
            assert await it.states(waiting) == {"a": "READY"}

        run = await submitting

        await gated.called()
        gate.open()
        await it.finished(run)
        await it.finished(waiting)
