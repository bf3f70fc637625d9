"""The outside world: a process that notes every call it receives, durably, before it answers.

One line of JSON a request, one a reply. What it wrote is the truth about effects: a call that is not in its book did
not happen, one that is `applied` did, whatever anybody heard of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

PORT_VARIABLE: Final = "CHAOS_LEDGER_PORT"
_ROOT: Final = Path(__file__).parents[2]


class Ledger:
    """The book, and who may write into it."""

    def __init__(self, path: Path) -> None:
        self._book = path.open("ab")
        self._answers: dict[str, int] = {}
        self._applied: dict[str, set[int]] = {}
        self._void: dict[str, int] = {}
        self._outage = ""
        self._count = 0
        self._back = asyncio.Event()
        self._back.set()

    def close(self) -> None:
        """Put the book away."""
        self._book.close()

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What a request gets."""
        match asked["op"]:
            case "call":
                return await self._call(asked)
            case "void":
                return self._give_up(asked["key"], asked["attempt"])
            case "outage":
                self._outage = asked["how"]
                (self._back.set if not self._outage else self._back.clear)()
            case other:
                raise ValueError(other)
        return {}

    async def _call(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A tool's call: `honours` says that a second call under one key is answered like the first."""
        if self._outage == "hang":
            await self._back.wait()
        key, attempt = asked["key"], asked["attempt"]
        refused = ""
        if self._outage == "refuse":
            refused = "the service is down"
        elif attempt <= self._void.get(key, 0):
            refused = "a person has given this attempt up"
        is_repeat = asked["honours"] and key in self._answers
        applies = not refused and not is_repeat and bool(asked["applies"])
        if applies:
            self._count += 1
            self._answers[key] = self._count
            self._applied.setdefault(key, set()).add(attempt)
        self._write({**asked, "applied": applies, "refused": refused, "answer": self._answers.get(key)})
        return {"refused": refused, "answer": self._answers.get(key), "applied": applies}

    def _give_up(self, key: str, attempt: int) -> dict[str, Any]:
        """A person looks whether a call happened, and sees to it that it does not happen any more."""
        self._void[key] = max(attempt, self._void.get(key, 0))
        self._write({"op": "void", "key": key, "attempt": attempt})
        return {"applied": bool(self._applied.get(key)), "answer": self._answers.get(key)}

    def _write(self, line: dict[str, Any]) -> None:
        self._book.write(json.dumps({"at": time.time(), **line}).encode() + b"\n")
        self._book.flush()
        os.fsync(self._book.fileno())


async def ask(port: int, **asked: Any) -> dict[str, Any]:
    """The ledger's reply to one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(json.dumps(asked).encode() + b"\n")
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise ConnectionError("the ledger hung up")
    return json.loads(line)


@asynccontextmanager
async def ledger_at(path: Path) -> AsyncGenerator[int]:
    """A ledger in a process of its own; the port where it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.ledger", str(path), cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def serve(path: Path) -> None:
    """Keep a ledger, and print the port where."""
    ledger = Ledger(path)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if line:
                writer.write(json.dumps(await ledger.answer(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # who asked is dead; what was written counts
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - to whoever started us
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
