"""What frontends put between themselves and a GraphQL API, each as its users have it, against a running server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.clients.programs import objects, program, run
from tests.clients.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FRONTENDS = ["graphql-ws", "graphql-sse", "apollo", "urql", "relay", "lifeos"]


async def test_each_frontend_sees_each_event_once_though_the_server_restarts(
    server: Server, frontends: Path, tmp_path: Path
):
    gate = tmp_path / "gate"
    is_running = asyncio.Barrier(len(FRONTENDS) + 1)
    steps = [
        {"key": "before", "tool": "note"},
        {"key": "gate", "tool": "wait_for_file", "args": {"path": str(gate)}, "dependsOn": ["before"]},
        {"key": "after", "tool": "note", "dependsOn": ["gate"]},
    ]

    async def transcript(frontend: str) -> list[str]:
        command = ["node", "scenario.js", frontend, json.dumps({"steps": steps})]
        async with program(command, frontends, server.environment) as told:
            await told.until(lambda line: "STEP_SUCCEEDED" in line)
            await told.until(lambda line: "STEP_RUNNING" in line)
            await is_running.wait()
            return await told.rest()

    async with asyncio.TaskGroup() as tasks:
        telling = {frontend: tasks.create_task(transcript(frontend)) for frontend in FRONTENDS}
        await is_running.wait()
        await server.restart()
        gate.touch()

    for frontend, told in telling.items():
        lines = told.result()
        recorded = await server.recorded(objects(lines, "run")[0]["run"])
        assert [(event["seq"], event["type"]) for event in objects(lines, "seq")] == recorded, frontend
        assert "STEP_RETRYING" in [type_ for _, type_ in recorded], "nothing happened while nobody was connected"
        said = {name: value for line in map(json.loads, lines) if "seq" not in line for name, value in line.items()}
        assert said == {
            "viewer": "admin",
            "run": said["run"],
            "errors": [],
            "lost": True,
            "state": "COMPLETED",
            "query": "UNAUTHENTICATED",
            "subscription": "UNAUTHENTICATED",
            "missing": "NOT_FOUND",
        }, frontend


async def test_relay_joins_the_pages_of_a_connection_and_fetches_a_node_again(server: Server, frontends: Path):
    for text in "abc":
        await server.submit(plan={"steps": [{"key": text, "tool": "note"}]})
    newest = (await server.ask("{ runs(first: 1) { nodes { id } } }"))["runs"]["nodes"][0]["id"]

    held = json.loads(run(["node", "relay-store.js"], frontends, server.environment))

    assert held == {"pages": [[None, None], [None, None, None]], "id": newest, "total": 1}
