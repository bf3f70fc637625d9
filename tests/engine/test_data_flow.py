"""What steps hand to one another: references stand for results, and what they stand for is checked when it is known."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from engine.errors import InvalidState
from engine.expressions import evaluation
from engine.tools import Registry, tool
from tests.engine.harness import APPROVE, Act, acting, running, step


@tool(risk="L0")
async def echo(value: Any = None) -> Any:
    """Gives back what it is given."""
    return value


@tool(risk="L0")
async def greet(name: str, times: int = 1) -> dict[str, Any]:
    """Greets."""
    return {"greeting": f"Hello {name}", "times": times}


@tool(risk="L3")
async def send(to: str, text: str = "Hi") -> dict[str, str]:
    """Sends."""
    return {"to": to}


TOOLS = Registry.of(echo, greet, send)


def mark(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


async def test_references_stand_for_results_at_any_depth_and_literals_for_themselves(dsn: str) -> None:
    jobs = [{"title": "Cook", "pay": 3}, {"title": "Pilot", "pay": 9.5}]
    literal = {"$jmespath": "jobs", "x": [{"$literal": {"$jmespath": "a"}}]}
    value = {
        "first": mark("jobs[0].title"),
        "rich": [{"deep": {"er": mark("jobs[?pay > `5`].title | [0]")}}, mark("length(jobs)")],
        "as written": {"$literal": literal},
        "plain": ["jobs[0]", {"jmespath": "jobs"}, None, 1.5],
    }
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("jobs", "echo", args={"value": jobs}), step("use", "echo", args={"value": value}, after=["jobs"])
        )

        await it.finished(run)

        use = (await it.steps(run))["use"]
        expected = {
            "first": "Cook",
            "rich": [{"deep": {"er": "Pilot"}}, 2],
            "as written": literal,
            "plain": ["jobs[0]", {"jmespath": "jobs"}, None, 1.5],
        }
        assert use["resolved_args"] == {"value": expected}
        assert use["result"] == expected
        assert use["args"] == {"value": value}


async def test_a_reference_reaches_every_step_before_it_at_any_distance(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": 1}),
            step("b", "echo", args={"value": 2}, after=["a"]),
            step("c", "echo", args={"value": 3}, after=["b"]),
            step("d", "echo", args={"value": mark("[a, b, c]")}, after=["c"]),
        )

        await it.finished(run)

        assert (await it.steps(run))["d"]["result"] == [1, 2, 3]


async def test_everything_is_all_that_the_step_depends_on_and_no_more(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": 1}),
            step("beside", "echo", args={"value": 0}),
            step("b", "echo", args={"value": 2}, after=["a"]),
            step("whole", "echo", args={"value": mark("@")}, after=["b"]),
            step("values", "echo", args={"value": mark("sort(values(@))")}, after=["b"]),
            step("star", "echo", args={"value": mark("length(*)")}, after=["b"]),
            step("alone", "echo", args={"value": mark("@")}),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert steps["whole"]["result"] == {"a": 1, "b": 2}
        assert steps["values"]["result"] == [1, 2]
        assert steps["star"]["result"] == 2
        assert steps["alone"]["result"] == {}


async def test_keys_may_hold_blanks_quotes_and_any_letters(dsn: str) -> None:
    keys = ["two words", "it's", 'say "hi"', "ключ", "a.b[0]", "🜁", "back\\slash", "$jmespath", "a" * 100]
    async with running(dsn, TOOLS) as it:
        for_key = {
            key: mark('"' + key.replace("\\", "\\\\").replace('"', '\\"') + '".n') for key in keys if "$" not in key
        }
        run = await it.submit(
            *(step(key, "echo", args={"value": {"n": n}}) for n, key in enumerate(keys)),
            step("use", "echo", args={"value": for_key}, after=keys),
        )

        row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        found = (await it.steps(run))["use"]["result"]
        assert found == {key: n for n, key in enumerate(keys) if "$" not in key}


async def test_results_come_as_they_were_given_with_every_kind_of_value(dsn: str) -> None:
    value = {"": "empty key", "n": [0, -1, 2**53 - 1, 1.5, 1e-7, 1e300, True, None], "t": "é🜁\n\"'\\ \u2028", "{}": {}}
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": value}), step("b", "echo", args={"value": mark("a")}, after=["a"])
        )

        await it.finished(run)

        assert (await it.steps(run))["b"]["result"] == value


async def test_of_two_last_dependencies_that_end_together_both_results_arrive(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        runs = [
            await it.submit(
                *(step(f"s{n}", "echo", args={"value": n}) for n in range(8)),
                step("sum", "echo", args={"value": mark("sum(values(@))")}, after=[f"s{n}" for n in range(8)]),
            )
            for _ in range(5)
        ]

        for run in runs:
            await it.finished(run)
            assert (await it.steps(run))["sum"]["result"] == 28


async def test_what_a_reference_does_not_find_is_null(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": {"x": 1}}),
            step("b", "echo", args={"value": mark("a.missing[3].deeper")}, after=["a"]),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert steps["b"]["state"] == "SUCCEEDED"
        assert steps["b"]["resolved_args"] == {"value": None}


async def test_arguments_that_turn_out_unfit_fail_the_step_before_any_call(dsn: str) -> None:
    table: list[tuple[object, str, str, str]] = [
        ({"name": None}, "a.name", "ARGS_UNFIT", "args.name"),
        ({}, "a.name", "ARGS_UNFIT", "args.name"),
        ({"name": 7}, "a.name", "ARGS_UNFIT", "args.name"),
        ({"name": ["Ann"]}, "a.name", "ARGS_UNFIT", "args.name"),
        ({"name": 7}, "length(a.name)", "ARGS_UNRESOLVED", "args.name"),
        ({"name": "x"}, "sum(a.name)", "ARGS_UNRESOLVED", "the expression sum(a.name) has no value"),
        ({"name": "1e999"}, "to_number(a.name)", "ARGS_UNRESOLVED", "args.name"),
        ({"name": "x" * 700}, "join('', [a.name, a.name])", "ARGS_UNFIT", "allowed"),
        ({"name": [1, 2]}, "a.name|" + "|".join(["[@, @]"] * 50), "ARGS_UNRESOLVED", "args.name"),
    ]
    async with running(dsn, TOOLS, max_json_bytes=1000) as it:
        for result, expression, code, words in table:
            run = await it.submit(
                step("a", "echo", args={"value": result}),
                step("b", "greet", args={"name": mark(expression)}, after=["a"]),
                step("c", "echo", after=["b"]),
                step("d", "echo", after=["a"]),
            )

            row = await it.finished(run)

            assert row["state"] == "FAILED"
            assert await it.states(run) == {
                "a": "SUCCEEDED",
                "b": "FAILED",
                "c": "SKIPPED DEPENDENCY_FAILED",
                "d": "SUCCEEDED",
            }
            failed = (await it.steps(run))["b"]
            assert failed["error_code"] == code
            assert words in failed["error_message"]
            assert failed["dead_lettered"]
            story = await it.story(run)
            assert story[story.index("STEP_FAILED b") + 1] == "STEP_DEAD_LETTERED b"
            assert {call["position"] for call in await it.calls(run)} == {0, 3}


async def test_a_dead_letter_that_never_had_arguments_is_not_sent_back_in_vain(dsn: str) -> None:
    async with running(dsn, TOOLS, max_json_bytes=1000) as it:
        for result, expression in (
            ({}, "a.name"),
            ({"name": 7}, "length(a.name)"),
            ({"name": "x" * 700}, "join('', [a.name, a.name])"),
        ):
            run = await it.submit(
                step("a", "echo", args={"value": result}),
                step("b", "greet", args={"name": mark(expression)}, after=["a"]),
            )
            await it.finished(run)

            with pytest.raises(InvalidState, match="can't be done in the state"):
                await it.retry(run, "b")

            assert await it.states(run) == {"a": "SUCCEEDED", "b": "FAILED"}


async def test_a_person_is_asked_about_the_resolved_arguments_with_their_defaults(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": {"to": "Ann"}}),
            step("b", "send", args={"to": mark("a.to")}, after=["a"]),
        )

        approval = await it.asked(run)

        assert approval["proposed_args"] == {"to": "Ann", "text": "Hi"}
        await it.decide(approval, APPROVE)
        await it.finished(run)
        assert [call["args"] for call in await it.calls(run) if call["position"] == 1] == [{"to": "Ann", "text": "Hi"}]


async def test_nobody_is_asked_about_arguments_that_do_not_fit(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": {"to": 7}}), step("b", "send", args={"to": mark("a.to")}, after=["a"])
        )

        row = await it.finished(run)

        assert row["state"] == "FAILED"
        assert await it.approvals(run) == []


async def test_references_are_resolved_when_the_last_dependency_is_a_persons_word(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "send", args={"to": "Ann"}), step("b", "echo", args={"value": mark("a.to")}, after=["a"])
        )
        await it.decide(await it.asked(run), APPROVE)

        await it.finished(run)

        assert (await it.steps(run))["b"]["result"] == "Ann"


async def test_a_wide_fan_out_and_in_loses_no_result(dsn: str) -> None:
    act = Act("noop", lambda ctx: ctx.step_id)
    names = [f"s{n}" for n in range(300)]
    async with running(dsn, acting(act), concurrency=40) as it:
        run = await it.submit(
            step("a"),
            *(step(name, args={"value": mark("a")}, after=["a"]) for name in names),
            step("z", args={"value": mark("length(keys(@))")}, after=names),
        )

        await it.finished(run)

        assert (await it.steps(run))["z"]["resolved_args"] == {"value": 301}
        assert act.calls == 302


# A quarter of a million steps of work from a hundred characters: each filter goes through the whole list again.
HEAVY = "jobs" + " | [?@ > `0`]" * 6 + " | length(@)"


async def test_the_work_of_all_expressions_that_wait_for_one_result_is_bounded_and_holds_nobody_up(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fifth of what may be done: all of it takes many seconds.
    monkeypatch.setattr(evaluation, "_MOST_WORK_TOGETHER", evaluation._MOST_WORK_TOGETHER // 5)  # pyright: ignore[reportPrivateUsage]
    async with running(dsn, TOOLS) as it:
        users = [step(f"s{n}", "echo", args={"value": mark(HEAVY)}, after=["jobs"]) for n in range(12)]
        run = await it.submit(step("jobs", "echo", args={"value": list(range(1, 1800))}), *users)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await it.finished(run)
        counting.cancel()

        steps = [each for key, each in (await it.steps(run)).items() if key != "jobs"]
        ended = Counter((each["state"], each["error_code"]) for each in steps)
        assert ended[("SUCCEEDED", None)] >= 2
        assert ended[("FAILED", "ARGS_UNRESOLVED")] >= 2
        assert ended.total() == sum(ended[each] for each in (("SUCCEEDED", None), ("FAILED", "ARGS_UNRESOLVED")))
        said = {each["error_message"] for each in steps if each["error_code"]}
        assert any("together with those of the steps beside it" in each for each in said), said
        assert turns > 1000


async def test_an_average_that_is_a_whole_number_fits_where_an_integer_is_wanted(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "echo", args={"value": [1, 3, 5]}),
            step("whole", "greet", args={"name": "Ann", "times": mark("avg(a)")}, after=["a"]),
            step("part", "greet", args={"name": "Ann", "times": mark("avg(a[:2].[@, `1`][])")}, after=["a"]),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert steps["whole"]["resolved_args"] == {"name": "Ann", "times": 3}
        assert steps["whole"]["result"] == {"greeting": "Hello Ann", "times": 3}
        assert (steps["part"]["state"], steps["part"]["error_code"]) == ("FAILED", "ARGS_UNFIT")
        assert "args.times should be a valid integer" in steps["part"]["error_message"]
