"""Broadcaster's Postgres backend, on its own seam: one connection that listens, and one that notifies.

The one that comes with broadcaster loses one of two concurrent subscribers, publishes on the listening connection,
and hangs its subscribers for ever when that connection dies.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import asyncpg
import structlog
from broadcaster import Broadcast
from broadcaster._backends.base import BroadcastBackend  # pyright: ignore[reportPrivateUsage] - the seam has no other name
from broadcaster._base import Event  # pyright: ignore[reportPrivateUsage]

from persistence.database import DatabaseSettings, session_settings
from persistence.supervisor import FAILURES, Background

log = structlog.get_logger()

CHANNEL: Final = "lifeos"
"""The one PostgreSQL channel; broadcaster's channels travel inside the payload."""

MISSED: Final = "?"
"""The message that says: something may have been missed, look at everything."""

_PING_SECONDS: Final = 5.0
_PONG_SECONDS: Final = 3.0
_MOST_WAITING: Final = 10_000


class PostgresBackend(BroadcastBackend):
    """LISTEN and NOTIFY with reconnection. After each reconnect every channel in use gets `MISSED`.

    Messages are wake-ups: when more wait than anybody could need, they are dropped for one `MISSED`. The listening
    connection must reach PostgreSQL directly, not through a transaction pooler.
    """

    def __init__(self, settings: DatabaseSettings, *, hears_itself: bool = True) -> None:
        self._settings = settings
        self._hears_itself = hears_itself
        self._channels: set[str] = set()
        self._waiting: asyncio.Queue[Event] = asyncio.Queue()
        self._listener = Background("broadcast-listener", self._listen)
        self._has_listened = False
        self._notifier: asyncpg.Connection[asyncpg.Record] | None = None
        self._notifying = asyncio.Lock()
        self.listening = asyncio.Event()
        """Set while the listening connection is known to be well."""

    async def connect(self) -> None:
        """Start listening, in a task that never gives up."""
        self._listener.open()

    async def disconnect(self) -> None:
        """Stop listening and close both connections."""
        await self._listener.close()
        if self._notifier is not None:
            self._notifier.terminate()

    async def subscribe(self, group: str) -> None:
        """Nothing is awaited, so that subscriptions can't get in each other's way."""
        self._channels.add(group)

    async def unsubscribe(self, group: str) -> None:
        """The connection listens on; messages without a subscriber are dropped here."""
        self._channels.discard(group)

    async def publish(self, channel: str, message: Any) -> None:
        """Notify all listeners; raises what asyncpg raises when the database is away."""
        async with self._notifying:
            if self._notifier is None or self._notifier.is_closed():
                self._notifier = await self._open("lifeos notify", synchronous_commit="off")
            try:
                await self._notifier.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{channel} {message}")
            except Exception:
                # Whatever state it is in, the next one gets a connection that is well.
                self._notifier.terminate()
                self._notifier = None
                raise

    async def next_published(self) -> Event:
        """The next message on a channel that somebody subscribed to."""
        return await self._waiting.get()

    async def _open(self, name: str, **more: str) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            self._settings.dsn,
            timeout=self._settings.connect_seconds,
            command_timeout=_PONG_SECONDS,
            server_settings={**session_settings(self._settings), "application_name": name, **more},
        )

    async def _listen(self) -> None:
        pause = 0.05
        while True:
            connection: asyncpg.Connection[asyncpg.Record] | None = None
            try:
                connection = await self._open("lifeos listen", idle_in_transaction_session_timeout="0")
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _connection, lost=lost: lost.set())
                await connection.add_listener(CHANNEL, self._heard)
                self.listening.set()
                if self._has_listened:
                    self._missed()
                self._has_listened = True
                pause = 0.05
                await self._watch(connection, lost)
            except Exception as error:  # noqa: BLE001 - the driver has errors of its own when a link breaks midway
                # Links break, and the database goes away: each is counted, and no traceback says more about it.
                FAILURES[self._listener.name] += 1
                log.warning("listener_lost", error=str(error) or type(error).__name__)
            finally:
                self.listening.clear()
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    async def _watch(self, connection: asyncpg.Connection[asyncpg.Record], lost: asyncio.Event) -> None:
        # A half-open link fires no callback and delivers nothing: only a question that gets no answer finds it.
        while not lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PING_SECONDS):
                    await lost.wait()
                    return
            await connection.execute("SELECT 1", timeout=_PONG_SECONDS)

    def _heard(self, _connection: object, pid: int, _channel: str, payload: object) -> None:
        if not self._hears_itself and self._notifier is not None and pid == self._notifier.get_server_pid():
            return
        channel, _, message = str(payload).partition(" ")
        if channel not in self._channels:
            return
        if self._waiting.qsize() >= _MOST_WAITING:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._missed()
        else:
            self._waiting.put_nowait(Event(channel, message))

    def _missed(self) -> None:
        for channel in self._channels:
            self._waiting.put_nowait(Event(channel, MISSED))


def broadcast_over(
    settings: DatabaseSettings, url: str | None, *, hears_itself: bool = False
) -> tuple[Broadcast, PostgresBackend | None]:
    """A Broadcast over the database, or over `url` (`redis://…`, or another database).

    Over PostgreSQL it receives its own messages only if that is wanted: the publisher has informed its own process
    already.
    """
    if url is not None and not url.startswith(("postgres://", "postgresql://")):
        return Broadcast(url), None
    if url is not None:
        settings = DatabaseSettings(dsn=url)
    backend = PostgresBackend(settings, hears_itself=hears_itself)
    return Broadcast(backend=backend), backend
