"""Secrets: put in at the call alone; nowhere else is there more than their name."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import rfc8785

from engine.tools import Registry, ToolError, tool
from tests.engine.harness import APPROVE, running, step

PIN = "s3cr3t-Pa55/wörd"
SEEN: list[Any] = []


@tool(risk="L0")
async def echo(value: Any = None) -> Any:
    """Gives back what it is given."""
    SEEN.append(value)
    return value


@tool(risk="L0")
async def digits(number: int) -> int:
    """Takes a number."""
    return number


@tool(risk="L3")
async def login(pin: str, user: str = "ann") -> dict[str, Any]:
    """Logs in."""
    SEEN.append(pin)
    return {"said": f"welcome {pin}!"}


@tool(risk="L0")
async def leak(how: str, pin: str) -> Any:
    """Tells what it should not."""
    if how == "raise":
        raise ToolError(f"wrong pin {pin}", retryable=False)
    if how == "crash":
        raise ValueError(base64.b64encode(f"user:{pin}".encode()).decode())
    return {how: [pin, f"Bearer {pin}", base64.b64encode(pin.encode()).decode()], pin: 1}


@tool(risk="L0")
async def forge() -> Any:
    """Returns what looks like a secret."""
    return {"deep": [{"$secret": "PIN"}]}


TOOLS = Registry.of(echo, digits, login, leak, forge)
SECRET = {"$secret": "PIN"}


async def everything(it: Any) -> str:
    """All that the database holds, as text."""
    tables = ("runs", "steps", "approvals", "tool_calls", "timeline_events")
    rows = [str(dict(row)) for table in tables for row in await it.database.fetch(f"SELECT * FROM {table}")]
    return "\n".join(rows)


async def test_a_secret_is_put_in_at_the_call_and_nowhere_else(dsn: str) -> None:
    SEEN.clear()
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(step("a", "login", args={"pin": SECRET}))
        approval = await it.asked(run)

        shown = {"pin": SECRET, "user": "ann"}
        assert approval["proposed_args"] == shown
        assert approval["digest"] == hashlib.sha256(rfc8785.dumps({"tool": "login", "args": shown})).hexdigest()
        await it.decide(approval, APPROVE, digest=approval["digest"])
        row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        assert SEEN == [PIN]
        assert (await it.calls(run))[0]["args"] == shown
        assert PIN not in await everything(it)


async def test_a_secret_in_a_result_or_an_error_is_replaced_by_its_reference(dsn: str) -> None:
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(
            step("result", "leak", args={"how": "x", "pin": SECRET}),
            step("error", "leak", args={"how": "raise", "pin": SECRET}),
            step("crash", "leak", args={"how": "crash", "pin": SECRET}, max_attempts=1),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert steps["result"]["result"]["x"][:2] == [SECRET, "Bearer [secret PIN]"]
        assert steps["error"]["error_message"] == "wrong pin [secret PIN]"
        assert "[secret PIN]" in steps["crash"]["error_message"]
        stored = await everything(it)
        assert PIN not in stored
        assert base64.b64encode(PIN.encode()).decode() not in stored


async def test_a_secret_that_the_process_lacks_fails_the_step_before_any_call(dsn: str) -> None:
    SEEN.clear()
    async with running(dsn, TOOLS, secrets={"OTHER": "x"}) as it:
        run = await it.submit(step("a", "echo", args={"value": [SECRET]}), step("b", "echo", after=["a"]))

        row = await it.finished(run)

        assert row["state"] == "FAILED"
        failed = (await it.steps(run))["a"]
        assert (failed["error_code"], failed["attempt"]) == ("SECRET_MISSING", 1)
        assert "LIFEOS_SECRET_PIN" in failed["error_message"]
        assert SEEN == []


async def test_a_dead_letter_whose_secret_was_missing_can_be_sent_back_where_it_is(dsn: str) -> None:
    SEEN.clear()
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a", "echo", args={"value": SECRET}))
        await it.finished(run)

    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        last = await it.retry(run, "a")
        row = await it.finished(run, after=last)

        assert (row["state"], SEEN) == ("COMPLETED", [PIN])
        assert (await it.steps(run))["a"]["result"] == SECRET


async def test_a_result_that_holds_a_secrets_reference_fails_its_step(dsn: str) -> None:
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(step("a", "forge"), step("b", "echo", args={"value": {"$jmespath": "a"}}, after=["a"]))

        await it.finished(run)

        failed = (await it.steps(run))["a"]
        assert (failed["state"], failed["error_code"]) == ("FAILED", "RESULT_UNFIT")
        assert "result.deep.0" in failed["error_message"]


@pytest.mark.parametrize("expression", ["a", "a.x[0]", "a.x[:1]", "{deep: [a.x]}", "not_null(a.none, a.x[0])"])
async def test_a_secret_that_came_back_in_a_result_goes_no_further(dsn: str, expression: str) -> None:
    SEEN.clear()
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(
            step("a", "leak", args={"how": "x", "pin": SECRET}),
            step("b", "echo", args={"value": {"$jmespath": expression}}, after=["a"]),
        )

        await it.finished(run)

        steps = await it.steps(run)
        assert steps["a"]["result"]["x"][0] == SECRET
        assert (steps["b"]["state"], steps["b"]["error_code"]) == ("FAILED", "ARGS_UNRESOLVED")
        assert "$secret" in steps["b"]["error_message"]
        assert SEEN == []


async def test_what_stands_beside_a_secret_in_a_result_goes_on(dsn: str) -> None:
    SEEN.clear()
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(
            step("a", "leak", args={"how": "x", "pin": SECRET}),
            step("b", "echo", args={"value": {"own": SECRET, "said": {"$jmespath": "a.x[1]"}}}, after=["a"]),
        )

        row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        assert SEEN == [{"own": PIN, "said": "Bearer [secret PIN]"}]
        assert PIN not in await everything(it)


async def test_a_secret_that_does_not_fit_its_argument_is_not_shown(dsn: str) -> None:
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(step("a", "digits", args={"number": SECRET}))

        await it.finished(run)

        failed = (await it.steps(run))["a"]
        assert (failed["state"], failed["error_code"]) == ("FAILED", "ARGS_UNFIT")
        assert PIN not in await everything(it)


async def test_an_edit_may_name_a_secret(dsn: str) -> None:
    SEEN.clear()
    async with running(dsn, TOOLS, secrets={"PIN": PIN}) as it:
        run = await it.submit(step("a", "login", args={"pin": "1234"}))

        await it.decide(await it.asked(run), APPROVE, edited={"pin": SECRET})
        await it.finished(run)

        assert SEEN == [PIN]
        assert PIN not in await everything(it)
