"""Two crowds of subscribers in one process: of Life OS, and of the bare broadcast. Spoken to by lines."""

from __future__ import annotations

from typing import Any

import uvloop

from benchmarks import sockets
from benchmarks.processes import answer_lines
from benchmarks.sockets import Crowd


async def main() -> None:
    """Do what is asked."""
    crowds: dict[str, Crowd] = {}

    async def follow_run(host: str, port: int, run: str, size: int) -> None:
        hello = [sockets.INIT, sockets.subscribe_message(sockets.TIMELINE, {"run": run})]
        crowds["lifeos"] = Crowd(host, port, path="/graphql", protocol="graphql-transport-ws", hello=hello)
        await crowds["lifeos"].open(size)

    async def follow_bare(host: str, port: int, size: int) -> None:
        crowds["bare"] = Crowd(host, port, path="/follow", protocol=None, hello=[])
        await crowds["bare"].open(size)

    async def get(crowd: str, messages: int) -> dict[str, Any]:
        """Wait until everybody of the crowd has so many more."""
        at = await crowds[crowd].get(messages)
        return {"at": at, "message": crowds[crowd].sample.decode()}

    await answer_lines({"follow_run": follow_run, "follow_bare": follow_bare, "get": get})


if __name__ == "__main__":
    uvloop.run(main())
