"""`lifeos serve` in a process of its own, on a database that outlives it, so that it can be restarted."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
TOOLS = Path(__file__).parent / "tools"
TOKEN = "the-administrator-of-the-tests"
_LIFEOS = Path(sys.executable).with_name("lifeos")
_READY = re.compile(r"(http://\S+?)/graphql\?token=(\S+)")


@dataclass
class Server:
    """A server that keeps its port, its data and its token when it is started again."""

    dsn: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    url: str = ""
    printed: str = ""
    """The address that it printed for a browser."""
    _process: asyncio.subprocess.Process | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For a client of it: where it is, and who one is."""
        return {**os.environ, "LIFEOS_URL": self.url, "LIFEOS_TOKEN": TOKEN}

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        port = self.url.rpartition(":")[2] or "0"
        with (self.folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[_LIFEOS, "serve", "--port", port],
                cwd=self.folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(TOOLS)]),
                    "LIFEOS_DATABASE_URL": self.dsn,
                    "LIFEOS_DATA_DIR": str(self.folder / "data"),
                    "LIFEOS_ADMIN_TOKEN": TOKEN,
                    "LIFEOS_TOOLS": "lifeos_test_tools",
                    "LIFEOS_GRACE_SECONDS": "0.1",
                    **self.settings,
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        said = ""
        async with asyncio.timeout(60):
            while not (ready := _READY.search(said)):
                line = await self._process.stdout.readline()  # pyright: ignore[reportOptionalMemberAccess]
                assert line, f"the server did not start: {(self.folder / 'server.log').read_text()}"
                said += line.decode()
        self.url, self.printed = ready[1], ready[0]

    async def stop(self) -> int:
        """End it as an operator does, and give its exit status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(30):
            return await self._process.wait()

    async def restart(self) -> None:
        """Stop it and start it again, at the same address."""
        assert await self.stop() == 0
        await self.start()

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an operation of the administrator's that has to succeed."""
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    async def submit(self, **given: Any) -> str:
        """The id of a new run."""
        data = await self.ask(
            "mutation($input: SubmitWorkflowInput!) "
            "{ submitWorkflow(input: $input) { run { id } errors { message } } }",
            input=given,
        )
        payload = data["submitWorkflow"]
        assert payload["errors"] == []
        return payload["run"]["id"]

    async def recorded(self, run_id: str) -> list[tuple[int, str]]:
        """What stands in a run's timeline: number and type."""
        data = await self.ask(
            "query($id: ID!) { run(id: $id) { timeline(first: 1000) { nodes { seq type } } } }", id=run_id
        )
        return [(event["seq"], event["type"]) for event in data["run"]["timeline"]["nodes"]]

    async def until(self, run_id: str, type_: str) -> dict[str, Any]:
        """The first event of that type in a run's timeline, as soon as it is there."""
        query = "subscription($id: ID!) { timeline(runId: $id) { seq type approvalId } }"
        body = {"query": query, "variables": {"id": run_id}}
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}
        async with (
            asyncio.timeout(60),
            httpx.AsyncClient(timeout=None) as http,
            http.stream("POST", f"{self.url}/graphql", json=body, headers=headers) as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))["data"]["timeline"]
                    if event["type"] == type_:
                        return event
        raise AssertionError(f"{run_id} ended without {type_}")
