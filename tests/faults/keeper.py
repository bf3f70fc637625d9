"""A PostgreSQL in a process of its own that restarts it on command, so that a test's event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from persistence.embedded import EmbeddedPostgres

ROOT: Final = Path(__file__).parents[2]
_SIGNALS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Keeper:
    """What a test says to the process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.dsn = ""

    async def hear(self) -> str:
        """Its next word."""
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        assert line, "the keeper of PostgreSQL has died"
        return line

    async def stop(self, how: str) -> None:
        """Stop the server, `fast` or `immediate`; returns when it is gone."""
        await self._tell(how)

    async def start(self) -> None:
        """Start the server again; returns when it takes connections."""
        await self._tell("start")

    async def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self.hear()


@asynccontextmanager
async def kept_postgres(folder: Path, settings: Mapping[str, str]) -> AsyncGenerator[Keeper]:
    """A server on this folder for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.keeper",
        str(folder),
        json.dumps(dict(settings)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    keeper = Keeper(process)
    try:
        keeper.dsn = await keeper.hear()
        yield keeper
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def main(folder: Path, settings: Mapping[str, str]) -> None:
    """Keep a server until standard input ends."""
    server = EmbeddedPostgres(folder, settings=settings)
    try:
        print(server.start(), flush=True)  # noqa: T201 - to whoever started us
        for line in sys.stdin:
            word = line.strip()
            if word == "start":
                first, again = server.dsn, server.start()
                assert first == again, "the server moved"
            elif (process := server._process) is not None:  # pyright: ignore[reportPrivateUsage] - to end it in ways it does not offer
                process.send_signal(_SIGNALS[word])
                process.wait()
            print(word, flush=True)  # noqa: T201
    finally:
        server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
