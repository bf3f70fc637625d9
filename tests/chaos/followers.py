"""Subscribers: each follows one run to its end, loses its connection now and then, and goes on from its cursor."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.chaos.documents import TIMELINE
from tests.chaos.fleet import ADMIN_TOKEN, Member, with_an_api

_QUIET_SECONDS: Final = 20.0


@dataclass
class Follower:
    """What one subscriber got, over all its connections."""

    run: str
    received: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    connections: int = 0
    is_over: bool = False
    refusals: list[str] = field(default_factory=list[str])

    def written(self) -> dict[str, Any]:
        """As the history keeps it."""
        return {
            "run": self.run,
            "received": self.received,
            "connections": self.connections,
            "is_over": self.is_over,
            "refusals": self.refusals,
        }


def content(event: dict[str, Any]) -> str:
    """What must be the same for everybody who ever sees this event."""
    kept = {name: event[name] for name in ("seq", "type", "message", "metadata", "stepId", "approvalId")}
    return hashlib.sha256(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


async def follow(follower: Follower, members: Sequence[Member], dice: random.Random) -> None:
    """Follow the run until the server says that it is over."""
    while not follower.is_over:
        try:
            await _once(follower, dice.choice(with_an_api(members)), dice)
        except (OSError, TimeoutError, WebSocketException, EOFError) as error:
            del error  # it is lost; from the cursor, somewhere
        if not follower.is_over:
            await asyncio.sleep(dice.uniform(0.05, 0.5))


async def _once(follower: Follower, server: Member, dice: random.Random) -> None:
    after = follower.received[-1]["cursor"] if follower.received else None
    # A third of the connections are dropped by the subscriber itself, in the middle of it.
    patience = dice.randint(1, 12) if dice.random() < 0.33 else 1_000_000
    async with connect(
        f"ws{server.url.removeprefix('http')}/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        open_timeout=5,
        close_timeout=0.2,
        compression=None,
        ping_interval=5,
        ping_timeout=5,
    ) as socket:
        await socket.send(
            orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {ADMIN_TOKEN}"}}).decode()
        )
        async with asyncio.timeout(10):
            await socket.recv()
        follower.connections += 1
        number = follower.connections
        variables = {"run": follower.run, "after": after}
        await socket.send(
            orjson.dumps(
                {"type": "subscribe", "id": "1", "payload": {"query": TIMELINE, "variables": variables}}
            ).decode()
        )
        for _ in range(patience):
            async with asyncio.timeout(_QUIET_SECONDS):
                message = orjson.loads(await socket.recv())
            match message["type"]:
                case "next" if message["payload"].get("data"):
                    event = message["payload"]["data"]["timeline"]
                    line = {name: event[name] for name in ("cursor", "seq", "type", "createdAt")}
                    line |= {"content": content(event), "at": time.time(), "connection": number}
                    follower.received.append(line)
                case "complete":
                    follower.is_over = True
                    return
                case "next" | "error" if b"UNAVAILABLE" in orjson.dumps(message):
                    return  # the database is away: again, from the cursor
                case "next" | "error":
                    follower.refusals.append(orjson.dumps(message).decode()[:2000])
                    return
                case _:
                    pass
