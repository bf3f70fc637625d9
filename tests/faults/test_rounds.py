"""What strikes a run with a list in the middle of its rounds: others, cancellations, time, doubts, and its own size."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

from engine.tools import InDoubt, Registry, ToolError, tool
from tests.engine.harness import APPROVE, DID_NOT_HAPPEN, Act, Gate, Running, forever, running
from tests.engine.test_conditions import echo, echoing, mark, planned
from tests.faults.invariants import check_runs


def each(entries: list[Any], tool_name: str = "act", **more: Any) -> list[Any]:
    """A list, and a step with a child for each of its entries."""
    return [
        planned("list", args={"value": entries}),
        planned("each", tool_name, needs=("list",), for_each=mark("list"), args={"value": mark("item")}, **more),
    ]


async def sound(it: Running, run: Any) -> dict[str, dict[str, Any]]:
    """The steps of a run in which everything holds."""
    await check_runs(it.database, run)
    return await it.steps(run)


async def test_two_processes_settle_the_children_of_one_list_at_the_same_time(dsn: str) -> None:
    called: Counter[int] = Counter()
    inside = most = 0

    @tool("L1", idempotent=False)
    async def act(value: int) -> int:
        nonlocal inside, most
        called[value] += 1
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        if value % 7 == 0:
            message = "seven"
            raise ToolError(message, retryable=False)
        return value

    registry, entries = Registry.of(echo, act), list(range(60))
    async with running(dsn, registry) as one, running(dsn, registry) as other:
        runs = [
            await it.submit(
                *each(entries, for_each_tolerates=True, max_parallel=parallel),
                planned("sum", needs=("each",), args={"value": mark("each[].result")}),
                answer=mark("length(sum)"),
            )
            for it in (one, other)
            for parallel in (None, 3)
        ]
        for run in runs:
            await one.finished(run)

        good = [value for value in entries if value % 7]
        for run in runs:
            assert (await sound(one, run))["sum"]["result"] == good
        answers = await one.database.fetch("SELECT answer::text FROM run_answers")
        assert {row[0] for row in answers} == {str(len(good))}
        assert set(called.values()) == {len(runs)}
        assert most > 1


async def test_a_run_that_is_cancelled_while_its_list_is_expanded_has_no_child_that_goes_on(dsn: str) -> None:
    for expands_first in (True, False):
        listing, act = Act("listing", gate := Gate([1, 2, 3])), Act("act", forever)
        async with running(dsn, echoing(listing, act)) as it:
            run = await it.submit(
                planned("list", "listing"),
                planned("each", "act", needs=("list",), for_each=mark("list")),
                answer={"each": mark("each")},
            )
            await listing.called()

            async with it.database.connection() as holder, holder.transaction():
                await holder.execute("SELECT FROM runs WHERE id = $1 FOR NO KEY UPDATE", run)
                if expands_first:
                    gate.open()
                    await it.waiting_for_locks(1)
                cancelling = asyncio.create_task(it.cancel(run))
                await it.waiting_for_locks(1 + expands_first)
                gate.open()
            await cancelling

            steps = await sound(it, run)
            assert (await it.run(run))["state"] == "CANCELLED"
            assert {step["state"] for key, step in steps.items() if key.startswith("each")} == {"CANCELLED"}
            assert [key for key in steps if key.startswith("each[")] == [
                f"each[{place}]" for place in range(3 * expands_first)
            ]
            assert await it.database.fetchval("SELECT answer FROM run_answers WHERE run_id = $1", run) is None


async def test_children_whose_approval_expires_are_listed_with_those_that_were_called(dsn: str) -> None:
    send = Act("send", risk="L3")
    async with running(dsn, echoing(send), sweep_seconds=0.05) as it:
        run = await it.submit(
            *each([1, 2, 3], "send", max_parallel=1),
            planned("next", needs=("each",), args={"value": mark("each[].skipReason")}),
        )
        await it.asked(run, times=3)
        approvals = {each["position"]: each for each in await it.approvals(run)}
        await it.decide(approvals[3], APPROVE)

        await it.database.execute(
            "UPDATE approvals SET expires_at = clock_timestamp() - interval '1 ms' WHERE status = 'REQUIRED'"
        )
        row = await it.finished(run)

        steps = await sound(it, run)
        assert (row["state"], row["outcome"]) == ("COMPLETED", "PARTIAL")
        assert steps["next"]["result"] == ["APPROVAL_EXPIRED"] * 2
        assert send.args == [1]


async def test_no_more_children_run_at_once_than_may_whatever_they_wait_for(dsn: str) -> None:
    """Approvals, retries and a wait before each first attempt, in a list that lets two run at once."""
    inside = most = 0
    tried: Counter[int] = Counter()

    @tool("L3", idempotent=True, max_attempts=3)
    async def act(value: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            await asyncio.sleep(0.005)
        finally:
            inside -= 1
        tried[value] += 1
        if tried[value] <= value % 3:
            message = "again"
            raise ToolError(message)
        return value

    async with running(dsn, Registry.of(echo, act)) as it:
        run = await it.submit(*each(list(range(12)), max_parallel=2, delay_seconds=0.02))
        await it.asked(run, times=12)
        for approval in await it.approvals(run):
            await it.decide(approval, APPROVE)

        row = await it.finished(run)

        steps = await sound(it, run)
        assert row["outcome"] == "CLEAN"
        assert [entry["result"] for entry in steps["each"]["result"]] == list(range(12))
        assert tried == {value: 1 + value % 3 for value in range(12)}
        assert most == 2


async def test_a_child_that_waits_for_its_next_attempt_keeps_its_place_and_its_time(dsn: str) -> None:
    """Another one, in doubt until then, comes back and must not take the place: the wait would be forgotten."""
    tried: Counter[int] = Counter()

    @tool("L1", idempotent=False, max_attempts=5)
    async def act(value: int) -> int:
        tried[value] += 1
        match value, tried[value]:
            case 0, 2:
                message = "no answer"
                raise InDoubt(message)
            case 0, 1:
                message = "again"
                raise ToolError(message)
            case 1, 1:
                message = "later"
                raise ToolError(message, retry_after=0.5)
            case _:
                return value

    async with running(dsn, Registry.of(echo, act), retry_cap_seconds=1) as it:
        run = await it.submit(*each([0, 1], max_parallel=1))
        doubt = await it.asked(run)
        retrying = await it.until(run, "STEP_RETRYING", step="each[1]")

        await it.resolve(doubt, DID_NOT_HAPPEN)
        row = await it.finished(run)

        await sound(it, run)
        [told] = await it.happened(run, "STEP_RETRYING", "each[1]")
        again = [event for event in await it.events(run) if event.seq > retrying.seq and event.type == "STEP_RUNNING"]
        first = next(event for event in again if event.position == retrying.position)
        assert row["outcome"] == "CLEAN"
        assert first.created_at >= datetime.fromisoformat(told["nextAttemptAt"])
