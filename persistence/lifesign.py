"""A process's life sign and lease, kept by a thread of its own, so that a busy event loop cannot starve them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import asyncpg
import structlog

from persistence import workers
from persistence.database import DatabaseSettings, session_settings
from persistence.supervisor import FAILURES, Background
from persistence.workers import Worker

log = structlog.get_logger()

_LONGEST_PAUSE = 0.25
"""Between tries to connect: well below the time for which others bear with a missing sign."""


class LifeSign:
    """Registers this process as a worker, and keeps it one until it is closed.

    When the lease could not be renewed in time, or others declared the worker dead, `on_lost` is called with it
    before its lease ends, and the process registers again; `on_alive` is called with each new worker. Both are called
    in the event loop that opened the life sign.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        lease_seconds: float,
        on_alive: Callable[[Worker], None],
        on_lost: Callable[[Worker], None],
    ) -> None:
        self._settings = settings
        self._lease = lease_seconds
        self._period = lease_seconds / 3
        self._on_alive = on_alive
        self._on_lost = on_lost
        self._worker: Worker | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._deadline = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._living = Background("lifesign", self._live)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inner: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

    def open(self) -> None:
        """Start the thread; `on_alive` follows as soon as the database answers."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="lifesign", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stop renewing, declare the worker dead and give its sign back."""
        self._stop.set()
        if self._inner is not None and self._wake is not None:
            self._inner.call_soon_threadsafe(self._wake.set)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 5)

    def _run(self) -> None:
        asyncio.run(self._living.run())

    async def _live(self) -> None:
        self._inner = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        # Others take over when the lease ends by the database's clock; we stop a margin before, by our own.
        margin = min(1.0, self._lease / 10)
        pause = 0.05
        while not self._stop.is_set():
            try:
                # Nothing that is tried, a new connection neither, may outlast the lease that it is to renew.
                async with asyncio.timeout(self._bound()):
                    begun = await self._renew()
                if begun is None:
                    continue
                self._deadline = begun + self._lease - margin
                pause = 0.05
                await self._rest(self._period)
            except Exception as error:  # noqa: BLE001 - the driver raises classes of its own when a link breaks midway
                # This thread lives as long as its process: without it, the process would never own a step again.
                FAILURES[self._living.name] += 1
                log.warning("lifesign_failed", error=str(error) or type(error).__name__)
                self._hang_up()
                if self._worker is not None and time.monotonic() + pause >= self._deadline:
                    self._lose("could not renew the lease in time")
                await self._rest(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        await self._leave()

    def _bound(self) -> float:
        if self._worker is None:
            return self._period
        return max(0.05, min(self._period, self._deadline - time.monotonic()))

    async def _renew(self) -> float | None:
        """Renew the lease, or register; when that began, or None when the worker turned out to be dead."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            if self._worker is not None:
                await workers.take_sign(self._connection, self._worker)
        begun = time.monotonic()
        if self._worker is None:
            self._worker = await workers.register(self._connection, lease_seconds=self._lease)
            self._tell(self._on_alive, self._worker)
        elif not await workers.extend(self._connection, self._worker.id, lease_seconds=self._lease):
            self._lose("declared dead")
            self._hang_up()
            return None
        return begun

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        connection = await asyncpg.connect(
            self._settings.dsn,
            timeout=min(self._period, self._settings.connect_seconds),
            command_timeout=self._period,
            server_settings={
                **session_settings(self._settings),
                "application_name": "lifeos lifesign",
                "statement_timeout": f"{round(self._period * 1000)}",
                "lock_timeout": f"{round(self._period * 1000)}",
            },
        )
        # The sign went with the session: it is taken again at once, not when the lease is next renewed.
        connection.add_termination_listener(self._cut_off)
        return connection

    def _cut_off(self, _connection: object) -> None:
        assert self._wake is not None
        self._wake.set()

    async def _leave(self) -> None:
        if self._connection is None:
            return
        try:
            if self._worker is not None:
                await workers.end(self._connection, [self._worker.id])
            await self._connection.close(timeout=2)
        except Exception as error:  # noqa: BLE001 - as above; others will find that nobody holds the sign
            log.warning("lifesign_failed", error=str(error) or type(error).__name__)
            self._hang_up()

    async def _rest(self, seconds: float) -> None:
        assert self._wake is not None
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _lose(self, why: str) -> None:
        assert self._worker is not None
        log.error("lease_lost", worker=str(self._worker.id), why=why)
        self._tell(self._on_lost, self._worker)
        self._worker = None

    def _tell(self, listener: Callable[[Worker], None], worker: Worker) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(listener, worker)
        except RuntimeError:  # the loop is closed: there is nobody left to inform
            self._stop.set()
