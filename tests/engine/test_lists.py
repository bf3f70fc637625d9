"""Steps with a list: a child for each entry, and their results together."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ArgsChanged, InvalidState
from engine.tools import Registry, ToolContext, ToolError, tool
from tests.engine.harness import APPROVE, REJECT, Act, Gate, running
from tests.engine.test_conditions import echo, echoing, mark, planned


@tool(risk="L0", max_attempts=1)
async def halve(number: int) -> float:
    """Halves a number, unless it is odd."""
    if number % 2:
        message = f"{number} is odd"
        raise ToolError(message)
    return number / 2


@tool(risk="L3")
async def send(to: str) -> str:
    """Sends."""
    return f"sent to {to}"


TOOLS = Registry.of(echo, halve, send)


def halving(numbers: list[int], **more: Any) -> list[Any]:
    """A list, and a step that halves each of its numbers."""
    return [
        planned("list", args={"value": numbers}),
        planned("each", "halve", needs=("list",), for_each=mark("list"), args={"number": mark("item")}, **more),
    ]


async def test_each_entry_has_a_child_and_the_step_their_results_in_order(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(*halving([2, 4]), planned("sum", needs=("each",), args={"value": mark("each[].result")}))

        row = await it.finished(run)

        steps = await it.steps(run)
        assert row["outcome"] == "CLEAN"
        assert steps["each"]["result"] == [{"item": 2, "result": 1.0}, {"item": 4, "result": 2.0}]
        assert steps["sum"]["result"] == [1.0, 2.0]
        assert (steps["each"]["attempt"], steps["each"]["resolved_args"]) == (0, None)
        child = steps["each[1]"]
        assert (child["name"], child["parent"], child["index"]) == ("each [1]", 1, 1)
        assert (child["args"], child["resolved_args"]) == ({"number": mark("item")}, {"number": 4})
        assert list(child["depends_on"]) == [0]


async def test_the_timeline_tells_parent_children_and_parent_again(dsn: str) -> None:
    async with running(dsn, TOOLS, concurrency=1) as it:
        run = await it.submit(*halving([2, 4]), planned("next", needs=("each",)))

        await it.finished(run)

        assert await it.story(run) == [
            "WORKFLOW_STARTED",
            "WORKFLOW_PLANNED",
            "STEP_READY list",
            "STEP_RUNNING list",
            "STEP_SUCCEEDED list",
            "STEP_RUNNING each",
            "STEP_READY each[0]",
            "STEP_READY each[1]",
            "STEP_RUNNING each[0]",
            "STEP_SUCCEEDED each[0]",
            "STEP_RUNNING each[1]",
            "STEP_SUCCEEDED each[1]",
            "STEP_SUCCEEDED each",
            "STEP_READY next",
            "STEP_RUNNING next",
            "STEP_SUCCEEDED next",
            "WORKFLOW_COMPLETE",
        ]
        [running_] = await it.happened(run, "STEP_RUNNING", "each")
        assert running_ == {"children": 2}


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (None, "NOT_A_LIST", "null"),
        ({"a": 1}, "NOT_A_LIST", "an object"),
        ([2] * 4, "TOO_MANY_ITEMS", "4"),
    ],
)
async def test_no_list_and_too_long_a_list_start_nothing(dsn: str, value: Any, code: str, words: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(*halving(value, for_each_most=3), planned("next", needs=("each",)))

        await it.finished(run)

        each = (await it.steps(run))["each"]
        assert (each["state"], each["error_code"], each["dead_lettered"]) == ("FAILED", code, True)
        assert words in each["error_message"]
        assert await it.states(run) == {"list": "SUCCEEDED", "each": "FAILED", "next": "SKIPPED DEPENDENCY_FAILED"}
        with pytest.raises(InvalidState):
            await it.retry(run, "each")


async def test_a_run_has_only_so_many_steps(dsn: str) -> None:
    async with running(dsn, TOOLS, max_run_steps=5) as it:
        run = await it.submit(*halving([2, 2, 2, 2]))

        await it.finished(run)

        assert (await it.steps(run))["each"]["error_code"] == "TOO_MANY_ITEMS"


async def test_an_empty_list_succeeds_at_once(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(*halving([]), planned("next", needs=("each",), args={"value": mark("each")}))

        row = await it.finished(run)

        assert (row["outcome"], (await it.steps(run))["next"]["result"]) == ("CLEAN", [])
        assert [line for line in await it.story(run) if line.endswith(" each")] == ["STEP_SUCCEEDED each"]


async def test_one_child_that_fails_fails_the_step_when_the_others_have_ended(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(*halving([1, 4]), planned("next", needs=("each",)))

        row = await it.finished(run)

        assert row["state"] == "FAILED"
        assert await it.states(run) == {
            "list": "SUCCEEDED",
            "each": "FAILED",
            "next": "SKIPPED DEPENDENCY_FAILED",
            "each[0]": "FAILED",
            "each[1]": "SUCCEEDED",
        }
        each = (await it.steps(run))["each"]
        assert (each["result"], each["error_code"]) == (None, "ITEMS_FAILED")
        assert "1 is odd" in each["error_message"]


async def test_a_failure_that_is_tolerated_is_listed_with_its_error_and_no_dead_letter(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(*halving([1, 4], for_each_tolerates=True), planned("next", needs=("each",)))

        row = await it.finished(run)

        steps = await it.steps(run)
        assert (row["state"], row["outcome"], row["error_code"]) == ("COMPLETED", "PARTIAL", None)
        assert steps["each"]["result"] == [
            {"item": 1, "result": None, "error": {"code": "TOOL_ERROR", "message": "1 is odd"}},
            {"item": 4, "result": 2.0},
        ]
        assert (steps["each[0]"]["state"], steps["each[0]"]["dead_lettered"]) == ("FAILED", False)
        assert await it.happened(run, "STEP_DEAD_LETTERED") == []
        with pytest.raises(InvalidState):
            await it.retry(run, "each[0]")


async def test_each_child_is_approved_by_itself_and_a_rejected_one_is_listed(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            planned("people", args={"value": ["Ann", "Bob"]}),
            planned("send", "send", needs=("people",), for_each=mark("people"), args={"to": mark("item")}),
        )
        one, two = await it.asked(run, times=1), await it.asked(run, times=2)
        waiting = await it.when(lambda: it.run(run), lambda row: row["state"] == "WAITING_APPROVAL")

        await it.decide(one, REJECT)
        await it.decide(two, APPROVE)
        row = await it.finished(run)

        assert (waiting["running"], waiting["blocked"]) == (1, 2)
        assert [one["proposed_args"], two["proposed_args"]] == [{"to": "Ann"}, {"to": "Bob"}]
        assert one["digest"] != two["digest"]
        assert row["outcome"] == "PARTIAL"
        assert (await it.steps(run))["send"]["result"] == [
            {"item": "Ann", "result": None, "skipReason": "REJECTED"},
            {"item": "Bob", "result": "sent to Bob"},
        ]


async def test_a_child_whose_arguments_a_person_edits_is_called_with_them_alone(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            planned("people", args={"value": ["Ann", "Bob"]}),
            planned("send", "send", needs=("people",), for_each=mark("people"), args={"to": mark("item")}),
        )
        one, two = await it.asked(run, times=1), await it.asked(run, times=2)

        await it.decide(one, APPROVE, edited={"to": "Cat"}, digest=one["digest"])
        with pytest.raises(ArgsChanged):
            await it.decide(two, APPROVE, digest=one["digest"])
        await it.decide(two, APPROVE)
        await it.finished(run)

        assert (await it.steps(run))["send"]["result"] == [
            {"item": "Ann", "result": "sent to Cat"},
            {"item": "Bob", "result": "sent to Bob"},
        ]


async def test_only_so_many_children_run_at_once(dsn: str) -> None:
    gates = [Gate() for _ in range(3)]
    act = Act("act", *gates)
    async with running(dsn, echoing(act)) as it:
        run = await it.submit(
            planned("list", args={"value": [1, 2, 3]}),
            planned("each", "act", needs=("list",), for_each=mark("list"), max_parallel=2),
        )
        await act.called(2)
        held = (await it.steps(run))["each[2]"]
        due = await it.database.fetchval("SELECT due_at = 'infinity' FROM steps WHERE key = 'each[2]'")

        gates[0].open()
        await act.called(3)
        for gate in gates:
            gate.open()
        await it.finished(run)

        assert (held["state"], due) == ("READY", True)


async def test_the_last_failed_child_that_is_retried_brings_its_step_back(dsn: str) -> None:
    act = Act("act", ToolError("no"), ToolError("no"), {"ok": 1}, max_attempts=1)
    async with running(dsn, echoing(act), concurrency=1) as it:
        run = await it.submit(
            planned("list", args={"value": [1, 2]}),
            planned("each", "act", needs=("list",), for_each=mark("list")),
            planned("next", needs=("each",), args={"value": mark("length(each)")}),
        )
        await it.finished(run)

        after = await it.retry(run, "each[0]")
        first = await it.finished(run, after=after)
        states = await it.states(run)
        after = await it.retry(run, "each[1]")
        second = await it.finished(run, after=after)

        assert (first["state"], states["each"], states["each[0]"]) == ("FAILED", "FAILED", "SUCCEEDED")
        assert (second["state"], second["outcome"]) == ("COMPLETED", "CLEAN")
        assert (await it.steps(run))["next"]["result"] == 2
        story = await it.story(run, after=after)
        assert story[:4] == [
            "STEP_REDRIVEN each[1]",
            "STEP_REDRIVEN each",
            "STEP_REDRIVEN next",
            "WORKFLOW_RESUMED",
        ]


async def test_a_child_that_is_retried_while_others_run_is_waited_for(dsn: str) -> None:
    again, other = Gate("done"), Gate("other")
    calls = {1: [ToolError("no"), again], 2: [other]}

    @tool("L0", max_attempts=1)
    async def act(ctx: ToolContext, value: int) -> Any:
        word = calls[value].pop(0)
        if isinstance(word, Gate):
            return await word(ctx)
        raise word

    async with running(dsn, Registry.of(echo, act)) as it:
        run = await it.submit(
            planned("list", args={"value": [1, 2]}),
            planned("each", "act", needs=("list",), for_each=mark("list"), args={"value": mark("item")}),
        )
        await it.until(run, "STEP_DEAD_LETTERED")
        await it.retry(run, "each[0]")

        other.open()
        await it.until(run, "STEP_SUCCEEDED", step="each[1]")
        assert (await it.states(run))["each"] == "RUNNING"
        again.open()
        row = await it.finished(run)

        assert row["outcome"] == "CLEAN"
        assert [entry["result"] for entry in (await it.steps(run))["each"]["result"]] == ["done", "other"]
        assert await it.happened(run, "STEP_REDRIVEN", "each") == []


async def test_a_step_that_is_retried_retries_all_of_its_failed_children(dsn: str) -> None:
    act = Act("act", ToolError("no"), ToolError("no"), {"ok": 1}, max_attempts=1)
    async with running(dsn, echoing(act), concurrency=1) as it:
        run = await it.submit(
            planned("list", args={"value": [1, 2]}), planned("each", "act", needs=("list",), for_each=mark("list"))
        )
        await it.finished(run)

        after = await it.retry(run, "each")
        row = await it.finished(run, after=after)

        assert row["outcome"] == "CLEAN"
        assert (await it.story(run, after=after))[:4] == [
            "STEP_REDRIVEN each[0]",
            "STEP_REDRIVEN each[1]",
            "STEP_REDRIVEN each",
            "WORKFLOW_RESUMED",
        ]


async def test_a_child_whose_arguments_do_not_fit_fails_alone(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            planned("list", args={"value": [2, "two"]}),
            planned(
                "each",
                "halve",
                needs=("list",),
                for_each=mark("list"),
                for_each_tolerates=True,
                args={"number": mark("item")},
            ),
        )

        row = await it.finished(run)

        states = await it.states(run)
        assert (row["outcome"], states["each"], states["each[0]"], states["each[1]"]) == (
            "PARTIAL",
            "SUCCEEDED",
            "SUCCEEDED",
            "FAILED",
        )
        assert (await it.steps(run))["each[1]"]["error_code"] == "ARGS_UNFIT"


async def test_a_list_of_lists_results_that_are_too_large_together_fail_the_step_alone(dsn: str) -> None:
    async with running(dsn, TOOLS, max_json_bytes=500) as it:
        run = await it.submit(
            planned("list", args={"value": list(range(40))}),
            planned(
                "each", needs=("list",), for_each=mark("list"), args={"value": mark("join('', ['" + "x" * 300 + "'])")}
            ),
        )

        await it.finished(run)

        states = await it.states(run)
        assert (await it.steps(run))["each"]["error_code"] == "RESULT_TOO_LARGE"
        assert {states[f"each[{n}]"] for n in range(40)} == {"SUCCEEDED"}


async def test_the_results_of_a_list_are_a_list_for_the_next(dsn: str) -> None:
    async with running(dsn, TOOLS, max_json_bytes=500) as it:
        run = await it.submit(
            planned("first", for_each=mark("`[1, 2, 3, 4]`"), args={"value": "x" * 200}),
            planned("second", needs=("first",), for_each=mark("first[*].result"), args={"value": mark("index")}),
            planned("last", needs=("second",), args={"value": mark("second[*].result")}),
        )

        row = await it.finished(run)

        assert (row["outcome"], (await it.steps(run))["last"]["result"]) == ("CLEAN", [0, 1, 2, 3])


async def test_children_are_cancelled_with_their_run(dsn: str) -> None:
    gate = Gate()
    act = Act("act", gate)
    async with running(dsn, echoing(act), concurrency=1) as it:
        run = await it.submit(
            planned("list", args={"value": [1, 2]}), planned("each", "act", needs=("list",), for_each=mark("list"))
        )
        await act.called()

        await it.cancel(run)

        states = await it.states(run)
        assert {states[key] for key in ("each", "each[0]", "each[1]")} == {"CANCELLED"}


async def test_arguments_that_no_entry_changes_are_those_of_the_children_alone(dsn: str) -> None:
    act = Act("act")
    async with running(dsn, echoing(act)) as it:
        run = await it.submit(
            planned("list", args={"value": [1, 2]}),
            planned("each", "act", needs=("list",), for_each=mark("list"), args={"value": "same"}),
            planned("plain", "act", for_each=mark("['one']")),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert [steps[key]["resolved_args"] for key in ("each", "plain")] == [None, None]
        assert [steps[key]["resolved_args"] for key in ("each[0]", "each[1]", "plain[0]")] == [
            {"value": "same"},
            {"value": "same"},
            {"value": None},
        ]
