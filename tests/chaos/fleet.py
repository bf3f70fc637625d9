"""The real processes of a trial: `lifeos serve` and `lifeos worker`, each with a link to PostgreSQL of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import httpx

from tests.chaos.ledger import PORT_VARIABLE
from tests.faults.keeper import ROOT
from tests.faults.proxy import Proxy

LEASE_SECONDS: Final = 3.0
SWEEP_SECONDS: Final = 0.5
ADMIN_TOKEN: Final = "chaos-administrator-token"
SETTINGS: Final = {
    "LIFEOS_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "LIFEOS_SWEEP_SECONDS": f"{SWEEP_SECONDS:g}",
    "LIFEOS_GRACE_SECONDS": "1",
    "LIFEOS_RETRY_BASE_SECONDS": "0.2",
    "LIFEOS_RETRY_CAP_SECONDS": "1",
    "LIFEOS_REQUEST_TIMEOUT_SECONDS": "5",
    "LIFEOS_CONCURRENCY": "20",
    "LIFEOS_TOOLS": "tests.chaos.tools",
    "LIFEOS_ADMIN_TOKEN": ADMIN_TOKEN,
    "LIFEOS_MAX_SOCKETS_PER_USER": "1000",
}
_READY_SECONDS: Final = 60
PROGRAM: Final = (str(Path(sys.executable).with_name("lifeos")),)


@dataclass
class Ended:
    """How a process ended, and whether somebody had ended it."""

    name: str
    pid: int
    at: float
    status: int
    by: str


@dataclass
class Member:
    """One process, started again under the same name and port whenever it has ended."""

    name: str
    serves: bool
    proxy: Proxy
    port: int
    log: IO[bytes]
    env: Mapping[str, str]
    endings: list[Ended]
    program: Sequence[str] = PROGRAM
    args: Sequence[str] = ()
    process: asyncio.subprocess.Process | None = None
    ended_by: str = ""
    retired: bool = False
    """Nobody starts it again."""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a fault that ends or stops this process."""
    _watch: asyncio.Task[None] | None = None
    _said: int = 0

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id, 0 when there is none."""
        return self.process.pid if self.process is not None and self.process.returncode is None else 0

    async def start(self) -> None:
        """Start it; returns at once."""
        what = ["serve", "--port", str(self.port)] if self.serves else ["worker"]
        self.ended_by = ""
        self._said = os.fstat(self.log.fileno()).st_size
        self.process = await asyncio.create_subprocess_exec(
            *self.program, *what, *self.args, cwd=ROOT, env={**self.env, "LIFEOS_DATABASE_URL": self.proxy.dsn},
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self._watch = asyncio.create_task(self._watched(self.process))

    def signal(self, number: int, by: str = "") -> None:
        """Send it a signal; `by` says that it is meant to end of it."""
        if by:
            self.ended_by = by
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self._watch is not None:
            await asyncio.shield(self._watch)

    async def _watched(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        self.endings.append(Ended(self.name, process.pid, time.time(), status, self.ended_by))

    async def ready(self) -> None:
        """Wait until it answers, or (a worker) has said that it is ready."""
        async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient(timeout=2) as http:
            while True:
                if self.pid == 0:
                    return
                if not self.serves and await asyncio.to_thread(self._has_said, b"ready"):
                    return
                with suppress(httpx.HTTPError):
                    if self.serves and (await http.get(f"{self.url}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    def _has_said(self, word: bytes) -> bool:
        with Path(self.log.name).open("rb") as log:
            log.seek(self._said)
            return word in log.read()


def with_an_api(members: Sequence[Member]) -> list[Member]:
    """Those that people may ask at this moment."""
    return [each for each in members if each.serves and not each.retired]


class Fleet:
    """All members."""

    def __init__(self, folder: Path, dsn: str, ledger_port: int, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._dsn = dsn
        self.endings: list[Ended] = []
        self.members: list[Member] = []
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "PATH") if name in os.environ}
        self._env = {
            **kept,
            **SETTINGS,
            **(settings or {}),
            "HOME": str(folder),
            "LIFEOS_DATA_DIR": str(folder / "data"),
            "PYTHONPATH": str(ROOT),
            "PYTHONFAULTHANDLER": "1",
            PORT_VARIABLE: str(ledger_port),
        }

    @property
    def lease_seconds(self) -> float:
        """Of each of them."""
        return float(self._env["LIFEOS_LEASE_SECONDS"])

    @property
    def servers(self) -> list[Member]:
        """Those with an API."""
        return with_an_api(self.members)

    @property
    def workers(self) -> list[Member]:
        """Those without."""
        return [each for each in self.members if not each.serves and not each.retired]

    async def add(
        self,
        name: str,
        *,
        serves: bool,
        starts: bool = True,
        program: Sequence[str] = PROGRAM,
        args: Sequence[str] = (),
    ) -> Member:
        """A new member, started unless told otherwise."""
        proxy = Proxy(self._dsn)
        await proxy.open()
        log = (self._folder / f"{name}.log").open("ab")
        member = Member(name, serves, proxy, _free_port(), log, self._env, self.endings, program, args)
        self.members.append(member)
        if starts:
            await member.start()
        return member

    async def close(self) -> None:
        """End all; what does not end by itself is killed."""
        for member in self.members:
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM, by="the end")
        for member in self.members:
            try:
                async with asyncio.timeout(20):
                    await member.ended()
            except TimeoutError:
                member.signal(signal.SIGKILL)
                await member.ended()
            await member.proxy.close()
            member.log.close()


@asynccontextmanager
async def fleet(
    folder: Path,
    dsn: str,
    ledger_port: int,
    *,
    servers: int,
    workers: int,
    settings: Mapping[str, str] | None = None,
) -> AsyncGenerator[Fleet]:
    """So many servers and workers for the length of the block."""
    found = Fleet(folder, dsn, ledger_port, settings)
    try:
        # The first one migrates alone: a migration is no fault.
        for number in range(servers):
            await (await found.add(f"server{number + 1}", serves=True)).ready()
        for number in range(workers):
            await found.add(f"worker{number + 1}", serves=False)
        yield found
    finally:
        await found.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
