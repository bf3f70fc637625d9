"""The whole server, as it is served, on a port of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from websockets.asyncio.client import ClientConnection, connect

from engine.engine import Engine
from persistence.database import Database
from serving import parts
from serving.application import Application
from serving.settings import Settings
from serving.uvicorn_server import Served, serving
from tests.lending import LastingDatabase

ADMIN = "an-administrators-token"


@dataclass
class Outside:
    """A server as its clients see it."""

    url: str
    http: httpx.AsyncClient

    async def post(
        self, query: str, token: str | None = ADMIN, *, headers: Any = None, **variables: Any
    ) -> httpx.Response:
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables}
        return await self.http.post("/graphql", json=body, headers={**given, **(headers or {})})

    async def ask(self, query: str, token: str = ADMIN, **variables: Any) -> Any:
        answer = (await self.post(query, token, **variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def user(self, name: str, *roles: str) -> tuple[str, str]:
        """A new user's id and token."""
        made = await self.ask(
            "mutation($i: CreateUserInput!) {it: createUser(input: $i) {user {id} token errors {message}}}",
            i={"name": name, "roles": roles},
        )
        assert not made["it"]["errors"], made
        return made["it"]["user"]["id"], made["it"]["token"]

    async def submit(self, token: str, *steps: dict[str, Any], **more: Any) -> str:
        answer = await self.ask(
            "mutation($i: SubmitWorkflowInput!) {it: submitWorkflow(input: $i) {run {id} errors {message path}}}",
            token,
            i={"plan": {"steps": list(steps)}, **more} if steps else more,
        )
        assert not answer["it"]["errors"], answer
        return answer["it"]["run"]["id"]

    @asynccontextmanager
    async def socket(self, token: str, **options: Any) -> AsyncGenerator[ClientConnection]:
        """A socket that is signed in."""
        url = self.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"], compression=None, **options) as socket:  # pyright: ignore[reportArgumentType]
            await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            yield socket

    async def follow(self, token: str, run: str) -> AsyncGenerator[dict[str, Any]]:
        """A run's events, over a socket."""
        async with self.socket(token) as socket:
            query = "subscription($r: ID!) {timeline(runId: $r) {type stepId}}"
            payload = {"query": query, "variables": {"r": run}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "complete":
                    return
                assert message["type"] == "next", message
                yield message["payload"]["data"]["timeline"]

    async def until(self, run: str, *types: str, token: str = ADMIN) -> None:
        async with aclosing(self.follow(token, run)) as events:
            async for event in events:
                if event["type"] in types:
                    return

    async def finished(self, run: str) -> None:
        await self.until(run, "WORKFLOW_COMPLETE", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED")


@dataclass
class House(Outside):
    """A server in this process, to look behind its back."""

    served: Served

    @property
    def application(self) -> Application:
        return self.served.server._application

    @property
    def engine(self) -> Engine:
        assert self.application.parts is not None
        return self.application.parts.engine

    @property
    def database(self) -> Database:
        assert self.application.parts is not None
        return self.application.parts.database


@dataclass
class Program(Outside):
    """A server that runs as its own process, and what it writes."""

    output: Path

    def said(self) -> str:
        """All that it has written so far, to standard output and error."""
        return self.output.read_text()


@asynccontextmanager
async def house(dsn: str, data_dir: Path, **changes: Any) -> AsyncGenerator[House]:
    """The server, for the length of the block."""
    changes = {"tools": "tests.security.house_tools", "admin_token": ADMIN, **changes}
    settings = Settings(_env_file=None, database_url=dsn, data_dir=data_dir, **changes)  # pyright: ignore[reportCallIssue]
    # What a server's new sessions learn about the schema is most of what its start costs.
    with patch.object(parts, "Database", LastingDatabase):
        async with (
            serving(settings, host="127.0.0.1", port=0) as served,
            httpx.AsyncClient(base_url=served.url, timeout=30, limits=_LIMITS) as http,
        ):
            yield House(served.url, http, served)


@asynccontextmanager
async def program(dsn: str, data_dir: Path, **environment: str) -> AsyncGenerator[Program]:
    """The server as a process of its own, stopped at the end of the block."""
    output = data_dir / "output.txt"
    given = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LIFEOS_DATABASE_URL": dsn,
        "LIFEOS_DATA_DIR": str(data_dir),
        "LIFEOS_ADMIN_TOKEN": ADMIN,
        "LIFEOS_TOOLS": "tests.security.house_tools",
        "LIFEOS_RETRY_BASE_SECONDS": "0.01",
        **environment,
    }
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "server.py", "serve", "--port", "0", cwd=ROOT, env=given, stdout=file, stderr=file
        )
    try:
        async with asyncio.timeout(60):
            while (found := _ADDRESS.search(output.read_text())) is None:
                assert process.returncode is None, output.read_text()
                await asyncio.sleep(0.05)
        async with httpx.AsyncClient(base_url=found[0], timeout=30, limits=_LIMITS) as http:
            yield Program(found[0], http, output)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


_LIMITS = httpx.Limits(keepalive_expiry=2)
"""A connection is left before the server, which waits 5 s, may close it at the very moment of its next use."""

ROOT = Path(__file__).parents[2]
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+(?=/graphql)")
