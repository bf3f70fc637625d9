"""Submissions: recorded at once, planned by the engine, and never twice under one idempotency key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from engine.errors import Forbidden, IdempotencyConflict, InvalidInput, InvalidPlan
from engine.phrases import SpeakableTool
from engine.planner import PlanningContext, Unplannable
from engine.plans import Plan
from engine.runs import Submission
from engine.tools import Registry, tool
from persistence.database import Unavailable
from persistence.moves import begin
from persistence.states import Risk, Role
from tests.engine.harness import APPROVE, Act, acting, intent, running, step, submission


@tool(risk="L0", phrases=["ring the bell", "ring the bell {times} times"])
async def ring(times: int = 1) -> dict[str, int]:
    """Rings the bell."""
    return {"rung": times}


NOOP = Act("noop")
TOOLS = Registry.of(ring, NOOP.tool)


class Planned:
    """A planner that gives what it is told to, or waits for ever, or raises."""

    def __init__(self, *words: Any) -> None:
        self._words = list(words)
        self.asked = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def plan(self, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
        word = self._words[min(self.asked, len(self._words) - 1)]
        self.asked += 1
        self.begun.set()
        if word == "wait":
            await self.go.wait()
            word = self._words[-1]
        if isinstance(word, BaseException):
            raise word
        return word


async def test_a_plan_is_recorded_and_planned_before_anything_is_ready(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a"))
        await it.finished(run)

        assert (await it.story(run))[:3] == ["WORKFLOW_STARTED", "WORKFLOW_PLANNED", "STEP_READY a"]


async def test_an_intent_is_queued_at_once_and_waits_for_an_engine(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        run = await it.engine.submit(it.admin, intent("ring the bell 3 times"))

        assert (await it.run(run))["state"] == "QUEUED"
        assert await it.story(run) == ["WORKFLOW_STARTED"]
        async with running(dsn, TOOLS) as other:
            row = await other.finished(run)

        assert (row["state"], row["planning_attempt"]) == ("COMPLETED", 1)
        assert (await it.story(run))[:2] == ["WORKFLOW_STARTED", "WORKFLOW_PLANNED"]
        assert [each["args"] for each in await it.calls(run)] == [{"times": 3}]


async def test_an_intent_that_no_tool_can_do_fails_its_run_and_names_the_part(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.engine.submit(it.admin, intent("ring the bell and juggle seven chainsaws"))

        row = await it.finished(run)

        assert (row["state"], row["outcome"], row["error_code"]) == ("FAILED", "FAILED", "UNPLANNABLE_INTENT")
        assert "juggle seven chainsaws" in row["error_message"]
        assert await it.story(run) == ["WORKFLOW_STARTED", "WORKFLOW_FAILED"]
        assert await it.steps(run) == {}


async def test_a_planner_that_hangs_fails_its_run_in_time(dsn: str) -> None:
    async with running(dsn, TOOLS, planner=Planned("wait"), planning_seconds=0.05) as it:
        run = await it.engine.submit(it.admin, intent("anything"))

        row = await it.finished(run)

        assert (row["state"], row["error_code"]) == ("FAILED", "PLANNING_TIMEOUT")


async def test_a_planner_that_hangs_does_not_keep_others_from_being_planned(dsn: str) -> None:
    planner = Planned(*["wait"] * 8, Plan((step("a"),)))
    async with running(dsn, TOOLS, planner=planner) as it:
        stuck = [await it.engine.submit(it.admin, intent(f"hang {number}")) for number in range(8)]
        run = await it.engine.submit(it.admin, intent("go"))

        await it.finished(run)

        assert {(await it.run(each))["state"] for each in stuck} <= {"PLANNING", "QUEUED"}


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (Unplannable((("that", "no tool does it"),)), "UNPLANNABLE_INTENT"),
        (Unplannable((("that", "a NUL \x00 and half a pair \ud800"),)), "UNPLANNABLE_INTENT"),
        (ValueError("prose"), "PLANNER_FAILED"),
        (asyncio.CancelledError(), "PLANNER_FAILED"),
        (SystemExit(3), "PLANNER_FAILED"),
        ("prose instead of a plan", "PLANNER_FAILED"),
        (Plan(()), "INVALID_PLAN"),
        (Plan((step("a", "unheard_of"),)), "INVALID_PLAN"),
        (Plan((step("a", after=["b"]), step("b", after=["a"]))), "INVALID_PLAN"),
    ],
    ids=repr,
)
async def test_whatever_a_planner_does_its_run_ends_with_a_reason(dsn: str, word: object, code: str) -> None:
    async with running(dsn, TOOLS, planner=Planned(word)) as it:
        run = await it.engine.submit(it.admin, intent("anything"))

        row = await it.finished(run)

        assert (row["state"], row["error_code"]) == ("FAILED", code)
        assert row["error_message"]


async def test_a_planner_can_not_lower_a_risk(dsn: str) -> None:
    pay = Act("pay", risk="L3")
    async with running(dsn, acting(pay), planner=Planned(Plan((step("a", "pay", risk=Risk.L0),)))) as it:
        run = await it.engine.submit(it.admin, intent("pay"))

        approval = await it.asked(run)
        await it.until(run, "WORKFLOW_WAITING_APPROVAL")

        assert approval["risk"] == Risk.L3
        assert (await it.run(run))["risk"] == Risk.L3
        assert pay.calls == 0


async def test_a_plan_that_can_not_be_stored_for_a_moment_is_stored_later(dsn: str) -> None:
    planner = Planned("wait", Plan((step("a"),)))
    async with running(dsn, TOOLS, planner=planner, lock_seconds=0.1) as it:
        run = await it.engine.submit(it.admin, intent("go"))
        await planner.begun.wait()
        async with it.database.connection() as other, other.transaction():
            await other.execute("SET LOCAL lock_timeout = 0")
            await other.fetch("SELECT FROM runs WHERE id = $1 FOR UPDATE", run)
            planner.go.set()
            await it.waiting_for_locks(1)
            await it.waiting_for_locks(0)

        assert (await it.finished(run))["state"] == "COMPLETED"


async def test_a_cancelled_run_is_not_planned_any_more(dsn: str) -> None:
    planner = Planned("wait", Plan((step("a"),)))
    async with running(dsn, TOOLS, planner=planner) as it:
        run = await it.engine.submit(it.admin, intent("go"))
        await planner.begun.wait()

        await it.cancel(run)
        planner.go.set()
        other = await it.engine.submit(it.admin, intent("go"))
        await it.finished(other)

        assert (await it.run(run))["state"] == "CANCELLED"
        assert await it.story(run) == ["WORKFLOW_STARTED", "WORKFLOW_CANCELLED"]


async def test_a_queued_run_can_be_cancelled(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        run = await it.engine.submit(it.admin, intent("ring the bell"))

        await it.cancel(run)

        assert (await it.run(run))["state"] == "CANCELLED"


async def test_planning_goes_on_elsewhere_when_its_process_stops(dsn: str) -> None:
    planner = Planned("wait", Plan((step("a"),)))
    async with running(dsn, TOOLS, executes=False) as it:
        async with running(dsn, TOOLS, planner=planner) as first:
            run = await first.engine.submit(first.admin, intent("go"))
            await planner.begun.wait()
        assert (await it.run(run))["state"] == "QUEUED"

        async with running(dsn, TOOLS, planner=Planned(Plan((step("a"),)))) as second:
            row = await second.finished(run)

        assert (row["state"], row["planning_attempt"]) == ("COMPLETED", 2)


async def test_only_the_present_planner_of_a_run_may_store_its_plan(dsn: str) -> None:
    slow = Planned("wait", Plan((step("late"),)))
    async with running(dsn, TOOLS, planner=slow, lease_seconds=30) as first:
        run = await first.engine.submit(first.admin, intent("go"))
        await slow.begun.wait()
        await first.database.execute("UPDATE workers SET lease_until = clock_timestamp() - interval '1 second'")
        async with running(dsn, TOOLS, planner=Planned(Plan((step("a"),))), sweep_seconds=0.05) as second:
            await second.finished(run)
        slow.go.set()
        await first.when(
            lambda: asyncio.sleep(0, first.engine._planning._plans),  # type: ignore[union-attr]
            lambda plans: not plans,
        )

        assert list(await first.steps(run)) == ["a"]


# Idempotency


async def test_the_same_key_and_input_name_the_same_run(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        first = await it.submit(step("a"), key="k")
        await it.finished(first)

        assert await it.submit(step("a"), key="k") == first
        assert await it.database.fetchval("SELECT count(*) FROM runs") == 1


async def test_the_same_key_with_another_input_is_a_conflict_that_names_the_run(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        first = await it.submit(step("a"), key="k")

        with pytest.raises(IdempotencyConflict) as conflict:
            await it.submit(step("b"), key="k")

        assert (conflict.value.key, conflict.value.run) == ("k", first)


async def test_the_key_covers_the_input_as_canonical_json(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        asked = submission(step("a"), key="k")
        first = await it.engine.submit(it.admin, replace(asked, canonical_input={"x": 1, "y": [1.0, "é"]}))

        again = await it.engine.submit(it.admin, replace(asked, canonical_input={"y": [1, "\u00e9"], "x": 1.0}))

        assert again == first
        with pytest.raises(IdempotencyConflict):
            await it.engine.submit(it.admin, replace(asked, canonical_input={"y": ["é", 1], "x": 1}))


async def test_a_refused_input_does_not_use_up_its_key(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        with pytest.raises(InvalidPlan):
            await it.submit(step("a", "unheard_of"), key="k")

        run = await it.submit(step("a"), key="k")

        assert (await it.finished(run))["state"] == "COMPLETED"


async def test_fifty_submissions_at_once_with_one_key_start_one_run(dsn: str) -> None:
    async with running(dsn, TOOLS) as it, running(dsn, TOOLS) as other:
        engines = [it, other] * 25

        runs = await asyncio.gather(*(each.submit(step("a"), key="k") for each in engines))

        assert len(set(runs)) == 1
        assert await it.database.fetchval("SELECT count(*) FROM runs") == 1
        await it.finished(runs[0])
        assert (await it.story(runs[0])).count("WORKFLOW_STARTED") == 1


async def test_of_many_inputs_at_once_under_one_key_one_wins(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        answers = await asyncio.gather(
            *(it.submit(step(f"s{number}"), key="k") for number in range(20)), return_exceptions=True
        )

        runs = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert len(runs) == 1
        assert all(isinstance(answer, IdempotencyConflict) for answer in answers if answer not in runs)


async def test_a_key_is_its_users_own(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        ann, bob = await it.user(Role.SUBMITTER), await it.user(Role.SUBMITTER)

        first = await it.submit(step("a"), key="k", viewer=ann)

        assert await it.submit(step("b"), key="k", viewer=bob) != first


async def test_a_key_covers_intents_too(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        asked = replace(intent("ring the bell"), idempotency_key="k")
        first = await it.engine.submit(it.admin, asked)

        assert await it.engine.submit(it.admin, asked) == first
        with pytest.raises(IdempotencyConflict):
            await it.engine.submit(it.admin, replace(intent("ring the bell 2 times"), idempotency_key="k"))


# Who may, and what is no submission at all


async def test_submitting_takes_the_role(dsn: str) -> None:
    async with running(dsn, TOOLS, executes=False) as it:
        approver = await it.user(Role.APPROVER)

        with pytest.raises(Forbidden):
            await it.submit(step("a"), viewer=approver)


async def test_what_is_no_submission_is_refused_at_its_path(dsn: str) -> None:
    table: list[tuple[Submission, tuple[str, ...]]] = [
        (Submission(None, None, None, None, {}), ()),
        (Submission("x", Plan((step("a"),)), None, None, {}), ()),
        (intent(""), ("intent",)),
        (intent(" \n\t"), ("intent",)),
        (intent("a\x00b"), ("intent",)),
        (intent("a\ud800b"), ("intent",)),
        (intent("x" * 8193), ("intent",)),
        (replace(intent("x"), idempotency_key=""), ("idempotencyKey",)),
        (replace(intent("x"), idempotency_key="k" * 256), ("idempotencyKey",)),
        (replace(intent("x"), idempotency_key="k\x00"), ("idempotencyKey",)),
        (replace(intent("x"), idempotency_key="k\udfff"), ("idempotencyKey",)),
    ]
    async with running(dsn, TOOLS, executes=False) as it:
        for asked, path in table:
            with pytest.raises(InvalidInput) as refused:
                await it.engine.submit(it.admin, asked)
            assert [fault.path for fault in refused.value.faults] == [path]

        assert await it.database.fetchval("SELECT count(*) FROM runs") == 0


async def test_the_run_is_as_strict_as_the_stricter_of_policy_and_wish(dsn: str) -> None:
    act = Act("write", risk="L1")
    async with running(dsn, acting(act), approve_from=Risk.L2) as it:
        free = await it.submit(step("a", "write"))
        looser = await it.submit(step("a", "write"), approve_from=Risk.L3)
        raised = await it.submit(step("a", "write", risk=Risk.L2), approve_from=Risk.L3)
        stricter = await it.submit(step("a", "write"), approve_from=Risk.L1)

        assert (await it.finished(free))["asked"] is False
        assert (await it.finished(looser))["asked"] is False
        for run in (raised, stricter):
            await it.decide(await it.asked(run), APPROVE)
            assert (await it.finished(run))["state"] == "COMPLETED"


@pytest.mark.parametrize("error", [Unavailable("gone"), ValueError("odd")], ids=["away", "a fault"])
async def test_what_goes_wrong_with_a_repeated_key_is_nothing_to_who_came_with_it(
    dsn: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with running(dsn, TOOLS) as it:
        first = await it.submit(step("a"), key="k")
        original = begin.earlier_runs

        async def fail_once(*_: object) -> object:
            monkeypatch.setattr(begin, "earlier_runs", original)
            raise error

        monkeypatch.setattr(begin, "earlier_runs", fail_once)
        fresh, again = await asyncio.gather(it.submit(step("b")), it.submit(step("a"), key="k"), return_exceptions=True)

        assert isinstance(again, type(error))
        assert not isinstance(fresh, BaseException)
        assert (await it.finished(fresh))["state"] == "COMPLETED"
        assert await it.submit(step("a"), key="k") == first
        assert await it.database.fetchval("SELECT count(*) FROM runs") == 2
