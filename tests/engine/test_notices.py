"""What a tool says beside its result: kept with the step when its call succeeds, and with nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from engine.runs import Submission
from engine.tools import Registry, ToolContext, ToolError, load_registry, tool
from persistence.ids import user_id
from tests.engine.harness import APPROVE, Running, running, step


@tool(risk="L0")
async def say(ctx: ToolContext, texts: list[str]) -> int:
    """Says these."""
    for text in texts:
        ctx.notice(text)
    return len(texts)


@tool(risk="L0")
def say_in_a_thread(ctx: ToolContext, text: str) -> None:
    """Says this, as a tool that blocks."""
    ctx.notice(text)


@tool(risk="L0", max_attempts=2)
async def say_and_fail_once(ctx: ToolContext) -> None:
    """Fails at first."""
    ctx.notice(f"attempt {ctx.attempt}")
    if ctx.attempt == 1:
        raise ToolError("not yet", retry_after=0.01)


@tool(risk="L0")
async def say_and_fail(ctx: ToolContext) -> None:
    """Fails for good."""
    ctx.notice("never to be read")
    raise ToolError("no", retryable=False)


WISH = "Apply to 2 backend jobs in Berlin over 60k"


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError("unreadable")


@tool(risk="L3", idempotent=False)
async def say_what_is_no_text(ctx: ToolContext) -> str:
    """Says something odd after its effect."""
    for odd in (3, None, Unreadable(), "", " \n"):
        ctx.notice(odd)  # type: ignore[arg-type]
    return "done"


TOOLS = Registry.of(say, say_in_a_thread, say_and_fail_once, say_and_fail, say_what_is_no_text)


async def notices(it: Running, run: UUID) -> dict[int, list[str]]:
    rows = await it.database.fetch("SELECT position, texts FROM notices WHERE run_id = $1 ORDER BY position", run)
    return {row["position"]: row["texts"] for row in rows}


async def said(dsn: str, *texts: str, **settings: Any) -> list[str]:
    async with running(dsn, TOOLS, **settings) as it:
        run = await it.submit(step("a", "say", args={"texts": list(texts)}))
        assert (await it.finished(run))["outcome"] == "CLEAN"
        return (await notices(it, run)).get(0, [])


async def test_they_are_kept_with_the_step_in_their_order(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "say", args={"texts": ["1 of 2 found", "the feed is a day old"]}),
            step("silent", "say", args={"texts": []}, after=["a"]),
            step("thread", "say_in_a_thread", args={"text": "from a thread"}, after=["silent"]),
        )

        row = await it.finished(run)

        assert (row["state"], row["outcome"]) == ("COMPLETED", "CLEAN")
        assert await notices(it, run) == {0: ["1 of 2 found", "the feed is a day old"], 2: ["from a thread"]}


async def test_a_step_that_feeds_another_one_keeps_its_own_too(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(
            step("a", "say", args={"texts": ["first"]}),
            step("b", "say", args={"texts": [{"$jmespath": "join('', ['said ', to_string(a)])"}]}, after=["a"]),
        )

        await it.finished(run)

        assert await notices(it, run) == {0: ["first"], 1: ["said 1"]}


async def test_many_at_once_are_each_kept_with_their_own_step(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        runs = await asyncio.gather(
            *(
                it.submit(*(step(f"s{n}", "say", args={"texts": [f"{run} {n}"] if n % 3 else []}) for n in range(12)))
                for run in range(4)
            )
        )
        for number, run in enumerate(runs):
            await it.finished(run)
            assert await notices(it, run) == {n: [f"{number} {n}"] for n in range(12) if n % 3}


async def test_only_the_attempt_that_succeeds_counts(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "say_and_fail_once"), step("b", "say_and_fail"))

        await it.finished(run)

        assert await notices(it, run) == {0: ["attempt 2"]}


async def test_odd_notices_harm_no_call(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "say_what_is_no_text"))
        await it.decide(await it.asked(run), APPROVE)

        assert (await it.finished(run))["outcome"] == "CLEAN"
        assert await notices(it, run) == {
            0: ["3", "None", "a notice whose text can't be read (a Python Unreadable)"],
        }


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        pytest.param(["a", " a ", "b", "a"], ["a", "b"], id="the same once"),
        pytest.param(["x" * 500], ["x" * 500], id="long"),
        pytest.param(["x" * 501], ["x" * 500 + "… (501 characters)"], id="too long"),
        pytest.param([f"n{n}" for n in range(20)], [f"n{n}" for n in range(20)], id="many"),
        pytest.param(
            [f"n{n}" for n in range(21)], [*(f"n{n}" for n in range(20)), "… and 1 more notice"], id="one too many"
        ),
        pytest.param(
            [f"n{n}" for n in range(99)], [*(f"n{n}" for n in range(20)), "… and 79 more notices"], id="too many"
        ),
    ],
)
async def test_their_number_and_length_are_bounded_and_it_is_said(dsn: str, texts: list[str], kept: list[str]) -> None:
    assert await said(dsn, *texts) == kept


async def test_what_a_database_cant_keep_is_replaced(dsn: str) -> None:
    @tool(risk="L0")
    async def dirty(ctx: ToolContext) -> None:
        """Says what can't be kept."""
        ctx.notice("a\x00b\ud800c")

    async with running(dsn, Registry.of(dirty)) as it:
        run = await it.submit(step("a", "dirty"))

        await it.finished(run)

        assert await notices(it, run) == {0: ["a␀b?c"]}


async def test_secrets_are_masked_also_where_the_text_is_cut(dsn: str) -> None:
    secret = "kanari-47-kanari-11"

    texts = await said(dsn, f"used {secret}", "x" * 490 + secret, secrets={"API": secret})

    assert texts == ["used [secret API]", "x" * 490 + "[secret AP… (502 characters)"]


@pytest.mark.parametrize(
    ("postings", "found", "missing", "outcome"),
    [(2, 2, [], "CLEAN"), (1, 1, ["second"], "FAILED"), (0, 0, ["first", "second"], "FAILED")],
)
async def test_a_sentence_that_wants_more_jobs_than_there_are_says_how_many_were_found(
    dsn: str, tmp_path: Path, postings: int, found: int, missing: list[str], outcome: str
) -> None:
    job = {"title": "Backend engineer", "company": "Park", "location": "Berlin", "apply_to": "jobs@park.example"}
    job["salary"] = {"min": 60_000, "max": 70_000, "currency": "EUR"}
    async with running(dsn, load_registry(), data_dir=tmp_path) as it:
        folder = tmp_path / "users" / user_id(it.admin.id)
        folder.mkdir(parents=True)
        (folder / "jobs.json").write_text(json.dumps([{"id": str(number), **job} for number in range(postings)]))
        (folder / "resume.json").write_text(json.dumps({"basics": {"name": "Ann", "email": "ann@park.example"}}))

        run = await it.engine.submit(it.admin, Submission(WISH, None, None, None, None))
        for number in range(1, found + 1):
            await it.decide(await it.asked(run, times=number), APPROVE)

        assert (await it.finished(run))["outcome"] == outcome
        said = [f"{found} of 2 found"] if found < 2 else []
        assert await notices(it, run) == ({0: said} if said else {})
        steps = await it.steps(run)
        failed = [each["error_message"] for each in steps.values() if each["state"] == "FAILED"]
        assert [message.split(" (")[0] for message in failed] == [
            f"{found} of 2 found: there is no {which} job" for which in missing
        ]
        assert sum(each["state"] == "SUCCEEDED" for each in steps.values()) == 1 + 2 * found


@tool(risk="L0")
async def look_for(ctx: ToolContext, wanted: int, there: int) -> dict[str, Any]:
    """Finds some."""
    if there < wanted:
        ctx.notice(f"{there} of {wanted} found")
    return {"jobs": [{"title": str(number)} for number in range(there)], "pages": [[1], []]}


@tool(risk="L0")
async def work_on(job: dict[str, Any]) -> None:
    """Works on it."""


@tool(risk="L0")
async def read_out(text: str) -> None:
    """Reads it out."""


SEARCHING = Registry.of(look_for, work_on, read_out)


@pytest.mark.parametrize(
    ("tool_", "args", "there", "message"),
    [
        (
            "work_on",
            {"job": {"$jmespath": "look.jobs[1]"}},
            1,
            "1 of 2 found: there is no second job (args.job: there is 1 in look.jobs)",
        ),
        (
            "work_on",
            {"job": {"$jmespath": "look.jobs[0]"}},
            0,
            "0 of 2 found: there is no first job (args.job: there are none in look.jobs)",
        ),
        (
            "work_on",
            {"job": {"$jmespath": "look.jobs[11]"}},
            3,
            "there is no 12th job (args.job: there are 3 in look.jobs)",
        ),
        (
            "work_on",
            {"job": {"$jmespath": "look.jobs[-1]"}},
            0,
            "0 of 2 found: there is no last job (args.job: there are none in look.jobs)",
        ),
        (
            "read_out",
            {"text": {"$jmespath": "look.jobs[2].title"}},
            2,
            "there is no third entry (args.text: there are 2 in look.jobs)",
        ),
        (
            "read_out",
            {"text": {"$jmespath": "look.pages[1][0]"}},
            2,
            "there is no first entry (args.text: there are none in look.pages.1)",
        ),
    ],
)
async def test_a_step_that_has_nothing_to_work_on_says_so(
    dsn: str, tool_: str, args: dict[str, Any], there: int, message: str
) -> None:
    async with running(dsn, SEARCHING) as it:
        run = await it.submit(
            step("look", "look_for", args={"wanted": 2, "there": there}), step("use", tool_, args=args, after=["look"])
        )

        assert (await it.finished(run))["outcome"] == "FAILED"
        failed = (await it.steps(run))["use"]
        assert (failed["error_code"], failed["error_message"]) == ("ARGS_UNFIT", message)


@pytest.mark.parametrize("expression", ["look.jobs[0].titel", "look.jobs[?title == 'x'] | [0]", "look.none"])
async def test_what_is_not_there_for_another_reason_is_named_as_before(dsn: str, expression: str) -> None:
    async with running(dsn, SEARCHING) as it:
        run = await it.submit(
            step("look", "look_for", args={"wanted": 2, "there": 1}),
            step("use", "read_out", args={"text": {"$jmespath": expression}}, after=["look"]),
        )

        await it.finished(run)
        assert (await it.steps(run))["use"]["error_message"] == "args.text should be a valid string"


async def test_what_an_earlier_step_said_is_remembered_when_another_one_frees_the_step(dsn: str) -> None:
    async with running(dsn, SEARCHING) as it:
        run = await it.submit(
            step("look", "look_for", args={"wanted": 2, "there": 1}),
            step("later", "look_for", args={"wanted": 0, "there": 0}, after=["look"]),
            step("use", "work_on", args={"job": {"$jmespath": "look.jobs[1]"}}, after=["look", "later"]),
        )

        await it.finished(run)
        assert (await it.steps(run))["use"]["error_message"].startswith("1 of 2 found: there is no second job")
