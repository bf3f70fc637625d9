"""Conditions, steps that come after others however those end, waits, and what a run answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.errors import InvalidState
from engine.plans import PlanStep
from engine.tools import InDoubt, Registry, ToolError, tool
from schema.fast.scalars import write_time
from tests.engine.harness import ABANDON, APPROVE, REJECT, Act, Gate, running

NO_RETRY: dict[str, Any] = {"max_attempts": 1}


@tool(risk="L0")
async def echo(value: Any = None) -> Any:
    """Gives back what it is given."""
    return value


def planned(key: str, tool_name: str = "echo", *, needs: tuple[str, ...] = (), **more: Any) -> PlanStep:
    """A step of a plan; `needs` are the steps that it depends on."""
    return PlanStep(key=key, tool=tool_name, depends_on=needs, **more)


def mark(expression: str) -> dict[str, str]:
    """A reference."""
    return {"$jmespath": expression}


def echoing(*acts: Act) -> Registry:
    """The registry of these acts and the tool that gives back what it is given."""
    return Registry.of(echo, *(act.tool for act in acts))


@pytest.mark.parametrize(
    ("value", "holds"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False), (0, True), ("no", True), ([0], True)],
)
async def test_a_condition_is_what_jmespath_takes_for_true(dsn: str, value: object, *, holds: bool) -> None:
    async with running(dsn, echoing()) as it:
        run = await it.submit(
            planned("look", args={"value": value}),
            planned("act", needs=("look",), when=mark("look")),
            planned("next", needs=("act",)),
        )

        row = await it.finished(run)

        skipped = {"look": "SUCCEEDED", "act": "SKIPPED CONDITION_FALSE", "next": "SKIPPED DEPENDENCY_SKIPPED"}
        assert await it.states(run) == (dict.fromkeys(skipped, "SUCCEEDED") if holds else skipped)
        assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")


async def test_a_branch_that_is_not_taken_leaves_the_other_one_and_both_join(dsn: str) -> None:
    async with running(dsn, echoing()) as it:
        run = await it.submit(
            planned("look", args={"value": {"found": None}}),
            planned("use", needs=("look",), when=mark("look.found"), args={"value": "used"}),
            planned("search", needs=("look",), when=mark("!(look.found)"), args={"value": "searched"}),
            planned("join", after=("use", "search"), args={"value": mark("use || search")}),
        )

        row = await it.finished(run)

        assert row["outcome"] == "CLEAN"
        assert (await it.steps(run))["join"]["result"] == "searched"
        assert await it.story(run) == [
            "WORKFLOW_STARTED",
            "WORKFLOW_PLANNED",
            "STEP_READY look",
            "STEP_RUNNING look",
            "STEP_SUCCEEDED look",
            "STEP_SKIPPED use",
            "STEP_READY search",
            "STEP_RUNNING search",
            "STEP_SUCCEEDED search",
            "STEP_READY join",
            "STEP_RUNNING join",
            "STEP_SUCCEEDED join",
            "WORKFLOW_COMPLETE",
        ]


async def test_a_step_after_one_that_fails_cleans_up_and_the_run_has_failed_all_the_same(dsn: str) -> None:
    work = Act("work", ToolError("no"), **NO_RETRY)
    async with running(dsn, echoing(work)) as it:
        run = await it.submit(
            planned("work", "work"),
            planned("more", needs=("work",)),
            planned("clean", after=("more",), args={"value": mark("work")}),
        )

        row = await it.finished(run)

        assert await it.states(run) == {
            "work": "FAILED",
            "more": "SKIPPED DEPENDENCY_FAILED",
            "clean": "SUCCEEDED",
        }
        assert (row["state"], row["outcome"]) == ("FAILED", "FAILED")
        assert (await it.steps(run))["clean"]["result"] is None


async def test_what_came_after_a_failure_is_not_done_again_when_that_is_redriven(dsn: str) -> None:
    work, clean = Act("work", ToolError("no"), {"done": 1}, **NO_RETRY), Act("clean")
    async with running(dsn, echoing(work, clean)) as it:
        run = await it.submit(
            planned("work", "work"),
            planned("next", needs=("work",), args={"value": mark("work.done")}),
            planned("clean", "clean", after=("work",)),
            answer={"next": mark("next")},
        )
        await it.finished(run)
        before = await it.database.fetchrow("SELECT answer::text FROM run_answers")

        after = await it.retry(run, "work")
        row = await it.finished(run, after=after)

        assert before is not None
        assert before["answer"] == '{"next":null}'
        assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")
        assert clean.calls == 1
        assert (await it.steps(run))["next"]["result"] == 1
        assert await it.database.fetchval("SELECT answer::text FROM run_answers") == '{"next":1}'


async def test_what_has_not_begun_waits_again_for_what_is_redriven_before_it(dsn: str) -> None:
    again, meanwhile = Gate("done"), Gate()
    work, other = Act("work", ToolError("no"), again, **NO_RETRY), Act("other", meanwhile)
    async with running(dsn, echoing(work, other)) as it:
        run = await it.submit(
            planned("work", "work"),
            planned("next", needs=("work",), args={"value": mark("work")}),
            planned("other", "other"),
            planned("last", after=("next", "other"), args={"value": mark("next")}),
        )
        await it.until(run, "STEP_SKIPPED", step="next")
        await it.retry(run, "work")
        await work.called(2)

        meanwhile.open()
        await it.until(run, "STEP_SUCCEEDED", step="other")
        assert (await it.states(run))["last"] == "PENDING"
        again.open()
        row = await it.finished(run)

        assert row["outcome"] == "CLEAN"
        assert (await it.steps(run))["last"]["result"] == "done"


async def test_a_rejection_makes_the_run_partial_and_what_comes_after_runs(dsn: str) -> None:
    send = Act("send", risk="L3")
    async with running(dsn, echoing(send)) as it:
        run = await it.submit(planned("send", "send"), planned("note", after=("send",), args={"value": "asked"}))

        await it.decide(await it.asked(run), REJECT)
        row = await it.finished(run)

        assert await it.states(run) == {"send": "SKIPPED REJECTED", "note": "SUCCEEDED"}
        assert (row["outcome"], send.calls) == ("PARTIAL", 0)


async def test_a_condition_is_looked_at_before_anybody_is_asked(dsn: str) -> None:
    send = Act("send", risk="L3")
    async with running(dsn, echoing(send)) as it:
        run = await it.submit(
            planned("look", args={"value": []}), planned("send", "send", needs=("look",), when=mark("look"))
        )

        await it.finished(run)

        assert await it.approvals(run) == []


async def test_a_condition_without_a_value_fails_its_step_and_is_not_retried(dsn: str) -> None:
    async with running(dsn, echoing()) as it:
        run = await it.submit(
            planned("look", args={"value": 1}), planned("act", needs=("look",), when=mark("length(look)"))
        )

        await it.finished(run)

        act = (await it.steps(run))["act"]
        assert (act["state"], act["dead_lettered"], act["attempt"]) == ("FAILED", True, 0)
        assert act["error_message"].startswith("when: ")
        with pytest.raises(InvalidState):
            await it.retry(run, "act")


@pytest.mark.parametrize(("value", "comes_back"), [([1], True), ([], False)])
async def test_a_condition_that_got_a_value_by_a_redrive_decides_whether_its_step_comes_back(
    dsn: str, value: list[int], *, comes_back: bool
) -> None:
    work = Act("work", ToolError("no"), value, **NO_RETRY)
    async with running(dsn, echoing(work)) as it:
        run = await it.submit(
            planned("work", "work"),
            planned("plain", after=("work",), when=mark("length(work) > `0`"), args={"value": "plain"}),
            planned("refers", after=("work",), when=mark("length(work) > `0`"), args={"value": mark("work")}),
        )
        await it.finished(run)
        after = await it.retry(run, "work")
        await it.finished(run, after=after)

        for step in ("plain", "refers"):
            if comes_back:
                after = await it.retry(run, step)
                await it.finished(run, after=after)
            else:
                with pytest.raises(InvalidState):
                    await it.retry(run, step)

        assert {(await it.states(run))[step] for step in ("plain", "refers")} == {
            "SUCCEEDED" if comes_back else "FAILED"
        }


async def test_a_step_waits_for_its_time_and_holds_no_slot(dsn: str) -> None:
    slow, quick = Act("slow"), Act("quick")
    async with running(dsn, echoing(slow, quick), concurrency=1) as it:
        begun = datetime.now(UTC)
        moment = begun + timedelta(seconds=0.6)
        run = await it.submit(
            planned("past", "quick", not_before=begun - timedelta(days=1)),
            planned("slow", "slow", delay_seconds=0.3, not_before=moment),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert steps["slow"]["started_at"] >= moment
        assert steps["past"]["finished_at"] < moment


async def test_an_approved_step_waits_from_its_approval(dsn: str) -> None:
    send = Act("send", risk="L3")
    async with running(dsn, echoing(send)) as it:
        run = await it.submit(planned("send", "send", delay_seconds=0.3))

        await it.decide(await it.asked(run), APPROVE)
        await it.finished(run)

        step, [approval] = (await it.steps(run))["send"], await it.approvals(run)
        assert step["started_at"] - approval["decided_at"] >= timedelta(seconds=0.3)
        assert send.calls == 1


async def test_a_delayed_step_is_cancelled_with_its_run(dsn: str) -> None:
    late = Act("late")
    async with running(dsn, echoing(late)) as it:
        run = await it.submit(planned("late", "late", delay_seconds=3600), answer="done")

        await it.cancel(run)

        assert await it.states(run) == {"late": "CANCELLED"}
        assert await it.database.fetchval("SELECT answer FROM run_answers") is None


async def test_a_run_answers_when_it_has_ended(dsn: str) -> None:
    async with running(dsn, echoing()) as it:
        run = await it.submit(
            planned("jobs", args={"value": [{"pay": 2}, {"pay": 3}]}),
            planned("no", when=mark("`false`")),
            answer={"best": mark("max(jobs[].pay)"), "none": mark("no.x"), "text": "as written"},
        )

        await it.finished(run)

        answer = await it.database.fetchrow("SELECT * FROM run_answers WHERE run_id = $1", run)
        assert answer is not None
        assert answer["answer"] == '{"best":3,"none":null,"text":"as written"}'
        assert answer["error_code"] is None


async def test_an_answer_without_a_value_and_one_too_large_say_so_and_change_no_outcome(dsn: str) -> None:
    async with running(dsn, echoing(), max_json_bytes=400) as it:
        wrong = await it.submit(planned("one", args={"value": 1}), answer=mark("length(one)"))
        large = await it.submit(planned("text", args={"value": "x" * 300}), answer=mark("[text, text]"))
        for run, code in ((wrong, "ANSWER_UNRESOLVED"), (large, "ANSWER_TOO_LARGE")):
            row = await it.finished(run)

            answer = await it.database.fetchrow("SELECT * FROM run_answers WHERE run_id = $1", run)
            assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")
            assert answer is not None
            assert (answer["answer"], answer["error_code"]) == (None, code)


async def test_what_a_person_leaves_is_over_for_those_that_come_after(dsn: str) -> None:
    pay = Act("pay", InDoubt("no answer"), risk="L3")
    async with running(dsn, echoing(pay)) as it:
        run = await it.submit(planned("pay", "pay"), planned("tell", after=("pay",), args={"value": "left"}))
        await it.decide(await it.asked(run), APPROVE)
        doubt = await it.asked(run, times=2)
        assert (await it.states(run))["tell"] == "PENDING"

        await it.resolve(doubt, ABANDON)
        row = await it.finished(run)

        assert (row["outcome"], (await it.states(run))["tell"]) == ("PARTIAL", "SUCCEEDED")


async def test_now_is_when_the_run_was_submitted_wherever_it_is_asked(dsn: str) -> None:
    async with running(dsn, echoing()) as it:
        run = await it.submit(
            planned("first", args={"value": mark("now()")}),
            planned("second", needs=("first",), when=mark("first == now()"), args={"value": mark("[first, now()]")}),
            answer=mark("now()"),
        )

        row = await it.finished(run)

        created = write_time(row["created_at"])
        assert (await it.steps(run))["second"]["result"] == [created, created]
        assert await it.database.fetchval("SELECT answer #>> '{}' FROM run_answers") == created
