"""The processes that are measured and those that load them: started, spoken to, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

ROOT: Final = Path(__file__).parent.parent
TOKEN: Final = "lifeos_a-token-for-benchmarks-alone"  # good for databases that live as long as a benchmark
_READY_SECONDS: Final = 60
_END_SECONDS: Final = 30
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def environment(folder: Path, dsn: str | None, more: Mapping[str, object] = _NOTHING) -> dict[str, str]:
    """The environment of one of our processes: nothing of the caller's settings gets in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIFEOS_", "PG"))}
    ours = {"DATA_DIR": folder, "ADMIN_TOKEN": TOKEN, "TOOLS": "benchmarks.tools", **more}
    if dsn is not None:
        ours["DATABASE_URL"] = dsn
    return {**kept, "PYTHONPATH": str(ROOT), **{f"LIFEOS_{name}": str(value) for name, value in ours.items()}}


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid


@dataclass(frozen=True, slots=True)
class Server(Running):
    """A `lifeos serve` that is ready."""

    host: str
    port: int


@asynccontextmanager
async def worker(folder: Path, dsn: str, **settings: object) -> AsyncGenerator[Running]:
    """A `lifeos worker` on this database, for the length of the block."""
    async with _started(["-m", "server", "worker"], folder, environment(folder, dsn, settings)) as process:
        await _line(process, b"The worker is ready")
        yield Running(process)


@asynccontextmanager
async def server(folder: Path, dsn: str | None, *words: str, **settings: object) -> AsyncGenerator[Server]:
    """A `lifeos serve` on a free port, for the length of the block; with no `dsn` it has its own database."""
    command = ["-m", "server", "serve", "--port", "0", *words]
    async with _started(command, folder, environment(folder, dsn, settings)) as process:
        await _line(process, b"Life OS is ready")
        address = urlsplit((await _line(process, b"/graphql?token=")).strip().decode())
        assert address.hostname is not None
        assert address.port is not None
        yield Server(process, address.hostname, address.port)


@asynccontextmanager
async def broadcast(folder: Path) -> AsyncGenerator[Server]:
    """The bare broadcaster on a free port, for the length of the block."""
    async with _started(["-m", "benchmarks.broadcast"], folder, environment(folder, None)) as process:
        yield Server(process, "127.0.0.1", int(await _line(process, b"")))


class Child:
    """A module of ours in a process of its own, which answers one JSON line for each that it is given."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    async def ask(self, what: str, **details: Any) -> Any:
        """Its answer; raises what it says went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps({"ask": what, **details}) + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process for {what!r} has ended; what it said stands above")
        answer = orjson.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]


@asynccontextmanager
async def child(
    module: str, *words: str, folder: Path, dsn: str | None = None, settings: Mapping[str, object] = _NOTHING
) -> AsyncGenerator[Child]:
    """`python -m MODULE WORDS` that speaks as `answer_lines` does, for the length of the block."""
    async with _started(["-m", module, *words], folder, environment(folder, dsn, settings), speaks=True) as process:
        yield Child(process)


async def answer_lines(answers: Mapping[str, Any]) -> None:
    """The other end of `Child`: answers each line with the function of that name, until there are no more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**30)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    out = sys.stdout.buffer
    while line := await reader.readline():
        asked = orjson.loads(line)
        try:
            answer = {"answer": await answers[asked.pop("ask")](**asked)}
        except Exception as error:  # noqa: BLE001 - sent to the process that asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        out.write(orjson.dumps(answer) + b"\n")
        out.flush()


@asynccontextmanager
async def _started(
    words: Sequence[str], folder: Path, surroundings: Mapping[str, str], *, speaks: bool = False
) -> AsyncGenerator[asyncio.subprocess.Process]:
    log = (folder / "processes.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        cwd=folder,
        env=dict(surroundings),
        stdin=asyncio.subprocess.PIPE if speaks else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if speaks else log,
        limit=2**30,
        # Ctrl-C reaches us alone; we end what we started in order.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        log.close()
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process, with_text: bytes) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(_READY_SECONDS):
        while line := await process.stdout.readline():
            if with_text in line:
                return line
    raise RuntimeError("a process of Life OS ended before it was ready; processes.log says why")
