"""Speaks to AgentDojo in its own process: one world at a time, one request after the other."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Self

SERVER = Path(__file__).with_name("server.py")
_LONGEST_LINE = 2**24


class Refused(Exception):
    """AgentDojo's function raised; the message is its own."""


class Bridge:
    """A process of AgentDojo's environment; `async with` starts and ends it."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            self._python, "-W", "ignore", SERVER, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.stdin.close()
        await self._process.wait()

    async def describe(self, suite: str) -> dict[str, Any]:
        """The suite's functions with their schemas, and the ids of its tasks and injections."""
        return await self._ask("describe", suite=suite)

    async def open(self, suite: str, task: str, injections: dict[str, str] | None = None) -> dict[str, Any]:
        """Begin a task in a world of its own; its prompt, the calls that solve it, and the output with them."""
        return await self._ask("open", suite=suite, task=task, injections=injections or {})

    async def call(self, function: str, args: dict[str, Any]) -> Any:
        """Call one of the suite's functions in the open world. Raises Refused with what it raised."""
        return await self._ask("call", function=function, args=args)

    async def judge(self, answer: str) -> bool:
        """What AgentDojo's checker says of the open world and this answer."""
        return await self._ask("judge", answer=answer)

    async def _ask(self, method: str, **params: Any) -> Any:
        # Who is cancelled while an answer is under way must not leave it to the next.
        return await asyncio.shield(asyncio.ensure_future(self._exchange(method, params)))

    async def _exchange(self, method: str, params: dict[str, Any]) -> Any:
        assert self._process is not None
        async with self._turn:
            self._process.stdin.write(json.dumps({"method": method, "params": params}).encode() + b"\n")
            await self._process.stdin.drain()
            line = await self._process.stdout.readline()
        answer = json.loads(line)
        if "error" in answer:
            raise Refused("{type}: {message}".format(**answer["error"]))
        return answer["result"]
