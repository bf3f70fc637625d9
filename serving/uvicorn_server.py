"""The application under uvicorn, for the length of a block."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import typer
import uvicorn

from schema.edge.http import BoundedHttp, FrameSocket
from serving.application import Application
from serving.errors import StartError
from serving.settings import Settings


class _Server(uvicorn.Server):
    """uvicorn, but a signal ends it with status 0 and the application hears of it first."""

    def __init__(self, config: uvicorn.Config, application: Application, *, heeds_signals: bool) -> None:
        super().__init__(config)
        self._application = application
        self._heeds_signals = heeds_signals
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()

    async def run_to_its_end(self) -> None:
        """Serve until a signal or `end` stops it; returns at once, with `ready` unset, when it can't start."""
        # uvicorn says so by SystemExit, which would leave a task by ending the loop below everybody.
        with contextlib.suppress(SystemExit):
            await self.serve()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        # What keeps it from starting is said once, by the caller.
        said = logging.getLogger("uvicorn.error")
        level = said.level
        said.setLevel(logging.CRITICAL)
        try:
            await super().startup(sockets)
        finally:
            said.setLevel(level)
        if self.started:
            self.ready.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        if not self._heeds_signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.end)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def end(self) -> None:
        """Stop cleanly; a second time, at once."""
        self.ended.set()
        self._application.stop()
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def _server(application: Application, settings: Settings, *, host: str, port: int, heeds_signals: bool) -> _Server:
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=BoundedHttp,
        ws=FrameSocket,
        ws_max_size=settings.http().max_message_bytes,
        # Compressing each event for each socket costs more than it saves.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
    )
    return _Server(config, application, heeds_signals=heeds_signals)


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is ready: where, and the administrator's token for it."""

    url: str
    token: str
    server: _Server


@asynccontextmanager
async def serving(
    settings: Settings, *, host: str, port: int, executes: bool = True, heeds_signals: bool = True
) -> AsyncGenerator[Served]:
    """A server for the length of the block, which ends before if a signal says so and it heeds them."""
    application = Application(settings, executes=executes)
    server = _server(application, settings, host=host, port=port, heeds_signals=heeds_signals)
    task = asyncio.create_task(server.run_to_its_end())
    waits = [asyncio.create_task(event.wait()) for event in (server.ready, server.ended)]
    await asyncio.wait({task, *waits}, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if not server.ready.is_set():
        if server.ended.is_set():  # a signal came while it still waited for the database, say
            task.cancel()
            raise typer.Exit
        await task
        taken = f"can't listen on {host}:{port}: it is in use, or not ours; choose another --port or --host"
        raise StartError(application.failure or taken)
    bound = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    assert application.parts is not None
    application.parts.announce(url)
    try:
        yield Served(url, application.parts.admin_token, server)
    finally:
        if not server.should_exit:  # a second end is for the impatient: nothing would be waited for or handed back
            server.end()
        await task
