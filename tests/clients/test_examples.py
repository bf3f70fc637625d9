"""The programs in examples/, as their first lines say to run them."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import PYTHON, ROOT, missing, program
from tests.clients.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

EXAMPLES = ROOT / "examples"


@pytest.fixture(params=["follow.sh", "follow.py"])
def follow(request: pytest.FixtureRequest) -> list[str | Path]:
    """How to start each of the programs that submit and follow."""
    if request.param.endswith(".py"):
        return [sys.executable, EXAMPLES / request.param]
    if not (shutil.which("bash") and shutil.which("curl") and shutil.which("jq")):
        missing("no bash, curl or jq: apt-get install bash curl jq")
    return [EXAMPLES / request.param]


async def test_a_script_submits_and_follows_through_a_restart(follow: list[str | Path], server: Server, tmp_path: Path):
    intent = "Apply to 1 backend job"

    async with program([*follow, intent], tmp_path, server.environment) as told:
        await told.until(lambda line: "WORKFLOW_WAITING_APPROVAL" in line)
        await server.restart()
        data = await server.ask("{ runs { nodes { id approvals { id } } } }")
        [run] = data["runs"]["nodes"]
        await decide(server, run["approvals"][0]["id"])
        lines = await told.rest()

    seen = [(int(found[1]), found[2]) for line in lines if (found := re.match(r"(\d+) +(\w+)", line))]
    assert seen == await server.recorded(run["id"])
    assert seen[-1][1] == "WORKFLOW_COMPLETE"


async def test_a_script_says_in_a_line_what_is_refused(follow: list[str | Path], server: Server, tmp_path: Path):
    stranger = {**server.environment, "LIFEOS_TOKEN": "not-a-token-of-anybody"}

    for intent, environment in {"": server.environment, "plan groceries": stranger}.items():
        async with program([*follow, intent], tmp_path, environment) as told:
            assert await told.line() is None
            assert await told.process.wait() == 1
            assert len((await told.transcript()).strip().splitlines()) == 1


async def test_the_bot_asks_at_the_terminal_and_decides_some_by_itself(server: Server, tmp_path: Path):
    plan = {
        "steps": [
            {"key": "one", "tool": "pay", "args": {"amount": 1}},
            {"key": "two", "tool": "pay", "args": {"amount": 2}, "dependsOn": ["one"]},
            {"key": "three", "tool": "send", "args": {"text": "no"}, "dependsOn": ["one"]},
        ]
    }
    environment = {**server.environment, "PYTHONPATH": str(PYTHON)}
    command = [sys.executable, EXAMPLES / "approval_bot.py", "--reject", "send"]

    async with program(command, tmp_path, environment, stdin=asyncio.subprocess.PIPE) as bot:
        run_id = await server.submit(plan=plan)
        typed = bot.process.stdin
        assert typed is not None
        typed.write(b"perhaps\nyes\n")
        await bot.until(lambda line: line.endswith("approved"))
        await server.restart()
        typed.write(b"y\n")
        await server.until(run_id, "WORKFLOW_COMPLETE")
        typed.close()
        await server.submit(plan={"steps": [{"key": "last", "tool": "pay", "args": {"amount": 3}}]})
        said = "\n".join(await bot.rest())

    steps = (await server.ask("query($id: ID!) { run(id: $id) { steps { key state } } }", id=run_id))["run"]["steps"]
    assert {step["key"]: step["state"] for step in steps} == {
        "one": "SUCCEEDED",
        "two": "SUCCEEDED",
        "three": "SKIPPED",
    }
    assert '"amount": 1' in said
    assert "y or n, please" in said
    assert said.count("approved") == 2
    assert said.count("rejected") == 1


async def decide(server: Server, approval_id: str) -> Any:
    return await server.ask(
        "mutation($input: DecideApprovalInput!) { decideApproval(input: $input) { errors { message } } }",
        input={"approvalId": approval_id, "decision": "APPROVE"},
    )
