"""The ASGI application: one site over the parts of this process."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send

from console.errors import ConsoleError
from engine.tools.builtin.calendars import calendar_by_token
from persistence.database import Unavailable
from persistence.logs import configure_logs
from persistence.reads import Reads
from persistence.supervisor import Background
from schema.api.context import Services
from schema.edge.site import Site, SiteSettings, build_site, not_running
from serving.metrics import Metrics
from serving.parts import Parts, running_parts
from serving.readiness import checks_of
from serving.settings import Settings, read_settings

log = structlog.get_logger()

CONSOLE: Final = Path(__file__).parents[1] / "console" / "static"
_RECHECK_SECONDS: Final = 2.0
_GARBAGE: Final = (20_000, 20, 20)
"""One large answer is tens of thousands of objects, which all go at once: by default it is searched a hundred times."""
_SWITCH_SECONDS: Final = 0.001


class Application:
    """The ASGI application: opens its parts when the server starts, and closes them when it stops."""

    def __init__(self, settings: Settings | None = None, *, executes: bool = True) -> None:
        self._settings = settings
        self._executes = executes
        self._site: Site | None = None
        self._closing: set[asyncio.Future[None]] = set()
        self.parts: Parts | None = None
        self.is_stopping = False
        self.failure: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one socket, or the life of the application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._site is not None:
            await self._site.app(scope, receive, send)
        elif scope["type"] == "http":
            await not_running()(scope, receive, send)

    def stop(self) -> None:
        """Begin to stop: nothing new is taken, sockets are closed so that their clients go elsewhere."""
        self.is_stopping = True
        if self.parts is not None:
            self.parts.engine.stop_claiming()
        if self._site is not None:
            closing = asyncio.ensure_future(self._site.view.connections.close_all(1012))
            # The loop knows its tasks by weak references only: what nobody holds may be gone before it is done.
            self._closing.add(closing)
            closing.add_done_callback(self._closed)

    def _closed(self, closing: asyncio.Future[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled() and (error := closing.exception()) is not None:
            log.error("sockets_not_closed", exc_info=error)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        # A thread at work (a long document, somebody's tool) gives way to the loop five times sooner than it would.
        sys.setswitchinterval(_SWITCH_SECONDS)
        async with AsyncExitStack() as stack:
            try:
                settings = self._settings or read_settings()
                if self._settings is None and not structlog.is_configured():
                    # A process manager started us: what structlog does by itself is slow, and shows people's arguments.
                    configure_logs(redact=settings.redaction().of_text)
                self.parts = await stack.enter_async_context(running_parts(settings, executes=self._executes))
                self._site = self._built(self.parts)
                rechecking = Background("recheck", self._recheck)
                rechecking.open()
                stack.push_async_callback(rechecking.close)
            except Exception as error:
                if not isinstance(error, ConsoleError | Unavailable):
                    log.exception("could_not_start")
                self.failure = str(error) or type(error).__name__
                await send({"type": "lifespan.startup.failed", "message": self.failure})
                return
            # What is here now stays: looking through it for garbage again and again would hold everybody up.
            gc.collect()
            gc.freeze()
            before = gc.get_threshold()
            gc.set_threshold(*_GARBAGE)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            gc.set_threshold(*before)
            gc.unfreeze()
            self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _recheck(self) -> None:
        """A revoked token ends its sockets within seconds."""
        while True:
            await asyncio.sleep(_RECHECK_SECONDS)
            assert self._site is not None
            await self._site.view.recheck()

    def _built(self, parts: Parts) -> Site:
        settings = parts.settings
        services = Services(
            engine=parts.engine,
            reads=Reads(parts.database),
            timeline=parts.timeline,
            approvals_feed=parts.approvals_feed,
            limits=settings.limits(),
            may_go_on=parts.identity.holds,
        )
        data_dir = settings.data_dir.expanduser()
        metrics = Metrics(parts)
        site = build_site(
            services,
            SiteSettings(settings.http(), CONSOLE, settings.metrics_public, settings.rate_points_per_minute),
            authenticate=parts.identity.viewer_of,
            is_stopping=lambda: self.is_stopping,
            checks=checks_of(parts, is_stopping=lambda: self.is_stopping),
            metrics=metrics.registry,
            refresh_metrics=metrics.refresh,
            find_calendar=lambda token: calendar_by_token(data_dir, token),
        )
        metrics.connections = site.view.connections
        return site
