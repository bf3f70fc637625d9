"""The composition root: environment → settings → objects → one ASGI application; and the `lifeos` command's entry.

Nothing imports this module. `uvicorn server:app` serves the same as `lifeos serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import structlog
import typer
import uvicorn
from platformdirs import user_data_dir
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.types import Receive, Scope, Send

from console.client import Client
from console.demo import run_demo
from console.environment import faults_of_names, read_env_file, unused_names
from console.errors import ConsoleError
from console.exits import plain
from console.processes import app as commands
from console.settings import Address
from engine.engine import Engine
from engine.identity import Identity
from engine.lag import LoopLag
from engine.oidc import Issuer, OidcSettings, fault_of_issuer
from engine.planner import RulePlanner
from engine.secrets import Redaction
from engine.settings import EngineSettings
from engine.tools import ToolDeclarationError, load_registry
from engine.tools.builtin.calendars import calendar_by_token
from persistence import users
from persistence.addresses import fault_of_broadcast, fault_of_database, place_of
from persistence.approvals_feed import ApprovalsFeed
from persistence.broadcast import broadcast_over
from persistence.database import Database, DatabaseSettings, Unavailable
from persistence.gauges import gauges
from persistence.logs import configure_logs
from persistence.reads import Reads
from persistence.revisions import UnknownRevision, head, is_current, may_be_used, revision_of
from persistence.states import Risk
from persistence.supervisor import FAILURES, Background
from persistence.timeline import Timeline
from persistence.wakeups import Wakeups
from schema.api.context import Services
from schema.api.schema import default_limits, sdl
from schema.edge.http import BoundedHttp, Connections, FrameSocket, HttpSettings
from schema.edge.site import Site, SiteSettings, build_site, not_running
from schema.fast.limits import Limits

log = structlog.get_logger()
T = TypeVar("T")

CONSOLE: Final = Path(__file__).parent / "console" / "static"
_WAIT_FOR_DATABASE_SECONDS: Final = 30.0
_RECHECK_SECONDS: Final = 2.0
_GARBAGE: Final = (20_000, 20, 20)
"""One large answer is tens of thousands of objects, which all go at once: by default it is searched a hundred times."""
_SWITCH_SECONDS: Final = 0.001


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Settings(BaseSettings):
    """The environment, prefix LIFEOS_, or a `.env` file in the working folder."""

    model_config = SettingsConfigDict(env_prefix="LIFEOS_", env_file=".env", env_ignore_empty=True, extra="ignore")

    database_url: str | None = None
    data_dir: Path = Field(default_factory=lambda: Path(user_data_dir("lifeos")))
    broadcast_url: str | None = None
    admin_token: SecretStr | None = None
    tools: str = ""
    approve_from: Literal["L0", "L1", "L2", "L3"] = "L3"
    separation_of_duties: bool = False
    approval_timeout_seconds: float = Field(604_800, ge=0, le=100 * 365 * 86_400)
    concurrency: int = Field(100, ge=1, le=100_000)
    lease_seconds: float = Field(15, ge=1, le=3600)
    sweep_seconds: float = Field(1, gt=0, le=60)
    step_timeout_seconds: float = Field(60, gt=0, le=7 * 86_400)
    grace_seconds: float = Field(10, ge=0, le=3600)
    retry_base_seconds: float = Field(1, ge=0, le=86_400)
    retry_cap_seconds: float = Field(300, ge=0, le=7 * 86_400)
    max_plan_steps: int = Field(2000, ge=1, le=100_000)
    max_json_bytes: int = Field(262_144, ge=1024, le=64 * 1024 * 1024)
    max_body_bytes: int = Field(2_097_152, ge=1024, le=1024 * 1024 * 1024)
    max_query_tokens: int = Field(2000, ge=1)
    max_query_depth: int = Field(12, ge=1)
    max_query_aliases: int = Field(30, ge=0)
    max_query_directives: int = Field(10, ge=0)
    max_query_nodes: int = Field(10_000, ge=1)
    max_page: int = Field(100, ge=1, le=10_000)
    max_sockets_per_user: int = Field(50, ge=1)
    max_operations_per_socket: int = Field(50, ge=1)
    request_timeout_seconds: float = Field(10, gt=0, le=3600)
    rate_points_per_minute: int = Field(0, ge=0)
    metrics_public: bool = False
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_role_claim: str = "roles"
    time_zone: str | None = None

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of_database(value)):
            raise ValueError(fault)
        return value

    @field_validator("broadcast_url")
    @classmethod
    def _carries_wakeups(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of_broadcast(value)):
            raise ValueError(fault)
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_folder(cls, value: Path) -> Path:
        try:
            value.expanduser()
        except RuntimeError:
            raise ValueError("begins with ~ and the name of nobody here") from None
        return value

    @field_validator("admin_token")
    @classmethod
    def _is_token(cls, value: SecretStr | None) -> SecretStr | None:
        token = "" if value is None else value.get_secret_value()
        if value is not None and (len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token):
            raise ValueError("should have 16 or more ASCII characters, and no blanks")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):  # unknown; a path elsewhere; a folder of zones
                near = get_close_matches(value, sorted(available_timezones()), n=1)
                raise ValueError(f"should be a time zone like {near[0] if near else 'Europe/Berlin'}") from None
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_issuer(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of_issuer(value)):
            raise ValueError(fault)
        return value

    def oidc(self) -> OidcSettings | None:
        """Whose tokens count beside our own; a StartError for an issuer without an audience."""
        if self.oidc_issuer is None:
            return None
        if self.oidc_audience is None:
            # Any application's tokens of that issuer would open this one.
            raise StartError("bad settings: LIFEOS_OIDC_ISSUER needs LIFEOS_OIDC_AUDIENCE, the audience of our tokens")
        return OidcSettings(self.oidc_issuer, self.oidc_audience, self.oidc_role_claim)

    @property
    def tool_modules(self) -> list[str]:
        """The import paths of people's own tools."""
        return [name.strip() for name in self.tools.split(",") if name.strip()]

    def engine(self) -> EngineSettings:
        """What the engine is told."""
        return EngineSettings(
            data_dir=self.data_dir.expanduser(),
            approve_from=Risk[self.approve_from],
            separation_of_duties=self.separation_of_duties,
            approval_timeout_seconds=self.approval_timeout_seconds,
            concurrency=self.concurrency,
            lease_seconds=self.lease_seconds,
            sweep_seconds=self.sweep_seconds,
            step_timeout_seconds=self.step_timeout_seconds,
            grace_seconds=self.grace_seconds,
            retry_base_seconds=self.retry_base_seconds,
            retry_cap_seconds=self.retry_cap_seconds,
            max_plan_steps=self.max_plan_steps,
            max_json_bytes=self.max_json_bytes,
            time_zone=ZoneInfo(self.time_zone) if self.time_zone else None,
            secrets=secrets_of_environment(),
        )

    def redaction(self) -> Redaction:
        """What no log may hold: people's secrets, and our own."""
        ours = {
            "ADMIN_TOKEN": self.admin_token.get_secret_value() if self.admin_token else None,
            "DATABASE_PASSWORD": _password(self.database_url),
            "BROADCAST_PASSWORD": _password(self.broadcast_url),
        }
        return Redaction({**{name: value for name, value in ours.items() if value}, **secrets_of_environment()})

    def http(self) -> HttpSettings:
        """What the edge is told."""
        return HttpSettings(
            max_body_bytes=self.max_body_bytes,
            max_operations_per_socket=self.max_operations_per_socket,
            max_sockets_per_user=self.max_sockets_per_user,
            request_timeout_seconds=self.request_timeout_seconds,
        )

    def limits(self) -> Limits:
        """What one operation may ask for."""
        return default_limits(
            tokens=self.max_query_tokens,
            depth=self.max_query_depth,
            aliases=self.max_query_aliases,
            directives=self.max_query_directives,
            nodes=self.max_query_nodes,
            page=self.max_page,
        )

    def database(self, dsn: str, *, connections: int) -> DatabaseSettings:
        """How the database is reached; its time-outs end below the lease."""
        bound = max(1.0, min(10.0, self.lease_seconds * 0.6))
        return DatabaseSettings(
            dsn=dsn,
            connections=connections,
            acquire_seconds=min(5.0, self.request_timeout_seconds / 2),
            statement_seconds=bound,
            lock_seconds=min(5.0, bound),
            idle_in_transaction_seconds=bound,
        )


class StartError(ConsoleError):
    """The program can't start; the message says what to do."""


def read_settings() -> Settings:
    """The settings; bad values and names that nobody knows are one clear StartError."""
    faults = faults_of_names()
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue] - every field comes from the environment
    except ValidationError as error:
        faults += [
            f"LIFEOS_{str(each['loc'][0]).upper()} {plain(each['msg'])}"
            for each in error.errors(include_url=False, include_input=False)
        ]
    else:
        if not faults:
            return settings
    raise StartError(f"bad settings: {'; '.join(faults)}")


def _password(url: str | None) -> str | None:
    with contextlib.suppress(ValueError):
        return unquote(urlsplit(url or "").password or "") or None
    return None


def secrets_of_environment() -> dict[str, str]:
    """The secrets that tools may be given, by name, from the environment and the `.env` file."""
    found = {**read_env_file(), **os.environ}
    prefix = "LIFEOS_SECRET_"
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix) and value}


# ── the objects, from the database up ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Parts:
    """What runs in this process."""

    settings: Settings
    database: Database
    engine: Engine
    timeline: Timeline
    approvals_feed: ApprovalsFeed
    wakeups: Wakeups
    identity: Identity
    admin_token: str
    announce: Callable[[str], None]
    lag: LoopLag


@asynccontextmanager
async def running_parts(settings: Settings, *, executes: bool) -> AsyncGenerator[Parts]:
    """Start the database if it is ours, migrate it, and open everything on it; close it in turn."""
    oidc = settings.oidc()
    if unused := unused_names({name.upper() for name in Settings.model_fields}):
        log.warning("settings_not_used", names=unused, reason="this version does not have what they are about")
    try:
        registry = load_registry(settings.tool_modules)
    except ToolDeclarationError as error:
        raise StartError(str(error)) from error
    async with AsyncExitStack() as stack:
        dsn, announce = await stack.enter_async_context(_database_address(settings))
        await _migrated(dsn)
        database = Database(settings.database(dsn, connections=10))
        work = Database(settings.database(dsn, connections=6))
        for each in (database, work):
            await _patiently(each.open, dsn)
            stack.push_async_callback(each.close)
        admin_token = await _patiently(lambda: _admin_token(settings, database), dsn)
        broadcast, backend = broadcast_over(work.settings, settings.broadcast_url)
        wakeups = Wakeups(broadcast, backend)
        timeline = Timeline(database, wakeups)
        feed = ApprovalsFeed(database, wakeups)
        try:
            await wakeups.open()
        except Exception as error:
            # Whatever the broadcaster's library raises; over PostgreSQL, it tries for ever and raises nothing.
            place = place_of(settings.broadcast_url or dsn)
            raise StartError(
                f"the broadcaster at {place} can't be used: {_reason(error)}; look at LIFEOS_BROADCAST_URL"
            ) from error
        stack.push_async_callback(wakeups.close)
        issuer = None if oidc is None else Issuer(oidc)
        if issuer is not None:
            stack.push_async_callback(issuer.close)
        identity = Identity(database, issuer)
        engine = Engine(
            database=database,
            work=work,
            registry=registry,
            planner=RulePlanner(),
            settings=settings.engine(),
            wakeups=wakeups,
            timeline=timeline,
            approvals_feed=feed,
            executes=executes,
            on_revoked=identity.revoked,
        )
        engine.open()
        stack.push_async_callback(engine.close)
        stack.push_async_callback(feed.close)
        stack.callback(timeline.close)
        lag = LoopLag()
        lag.open()
        stack.push_async_callback(lag.close)
        yield Parts(settings, database, engine, timeline, feed, wakeups, identity, admin_token, announce, lag)


@asynccontextmanager
async def _database_address(settings: Settings) -> AsyncGenerator[tuple[str, Callable[[str], None]]]:
    """The address of the database, an embedded one started for the length of the block if none is set."""
    if settings.database_url is not None:
        yield settings.database_url, lambda _address: None
        return
    # Only where it is used: the embedded server is for POSIX systems.
    from persistence.embedded import EmbeddedError, EmbeddedPostgres  # noqa: PLC0415

    postgres = EmbeddedPostgres(settings.data_dir.expanduser())
    try:
        dsn = postgres.start()
    except EmbeddedError as error:
        raise StartError(str(error)) from error
    try:
        yield dsn, postgres.announce
    finally:
        postgres.stop()


async def _migrated(dsn: str) -> None:
    """Migrate, waiting a while for a database that is not there yet."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_FOR_DATABASE_SECONDS
    is_waiting = False
    while True:
        try:
            async with asyncio.timeout_at(deadline + 1):
                if not await is_current(dsn):
                    from persistence import migrate as migrations  # noqa: PLC0415 - slow to load; most starts need none

                    await migrations.migrate(dsn)
        except UnknownRevision as error:
            raise StartError(str(error)) from error
        except Exception as error:
            if loop.time() > deadline or not _is_away(error):
                raise _no_database(dsn, error) from error
            if not is_waiting:
                log.warning("waiting_for_the_database", at=place_of(dsn), error=_reason(error))
            is_waiting = True
            await asyncio.sleep(0.5)
        else:
            return


def _no_database(dsn: str, error: Exception) -> StartError:
    return StartError(f"the database at {place_of(dsn)} can't be used: {_reason(error)}; look at LIFEOS_DATABASE_URL")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


async def _patiently(work: Callable[[], Awaitable[T]], dsn: str) -> T:
    """What `work` gives, begun anew for a while when the database goes away in the middle of it."""
    deadline = asyncio.get_running_loop().time() + _WAIT_FOR_DATABASE_SECONDS
    while True:
        try:
            return await work()
        except Unavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                raise _no_database(dsn, error) from error
            await asyncio.sleep(0.5)


def _is_away(error: BaseException | None) -> bool:
    """Whether waiting may help: nothing answers, or it is just starting. SQLAlchemy wraps what the driver raises."""
    import asyncpg  # noqa: PLC0415 - the only look at the driver up here

    while error is not None:
        if isinstance(
            error,
            OSError
            | TimeoutError
            | asyncpg.PostgresConnectionError
            | asyncpg.OperatorInterventionError  # shutting down, or just starting
            | asyncpg.TooManyConnectionsError,
        ):
            return True
        error = error.__cause__ or getattr(error, "orig", None)
    return False


async def _admin_token(settings: Settings, database: Database) -> str:
    """The administrator's token: the one that is set, or one of our own, kept in the data folder."""
    if settings.admin_token is not None:
        token = settings.admin_token.get_secret_value()
        if not await database.transaction(lambda tx: users.ensure_admin(tx, token)):
            raise StartError("LIFEOS_ADMIN_TOKEN was revoked: set another one")
        return token
    path = settings.data_dir.expanduser() / "admin-token"
    try:
        return await _own_token(path, database)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "what it holds is no token"
        raise StartError(f"LIFEOS_DATA_DIR can't be used: {path}: {reason}") from error


async def _own_token(path: Path, database: Database) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        kept = path.read_text(encoding="ascii").strip()  # noqa: ASYNC240 - a line, at the start
        if kept and await database.transaction(lambda tx: users.ensure_admin(tx, kept)):
            return kept
    token = users.new_token()
    await database.transaction(lambda tx: users.ensure_admin(tx, token))
    draft = path.with_name(f".admin-token.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    draft.replace(path)
    return token


# ── the ASGI application ──────────────────────────────────────────────────────────────────────────────────────────────


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
            checks=_checks(parts, is_stopping=lambda: self.is_stopping),
            metrics=metrics.registry,
            refresh_metrics=metrics.refresh,
            find_calendar=lambda token: calendar_by_token(data_dir, token),
        )
        metrics.connections = site.view.connections
        return site


def _checks(parts: Parts, *, is_stopping: Callable[[], bool]) -> dict[str, Callable[[], Awaitable[bool]]]:
    async def database() -> bool:
        try:
            return await parts.database.answers()
        except Unavailable:
            return False

    async def migrations() -> bool:
        try:
            return may_be_used(await revision_of(parts.database))
        except Unavailable:
            return False

    async def listener() -> bool:
        return parts.wakeups.is_listening

    async def staying() -> bool:
        return not is_stopping()

    return {"database": database, "migrations": migrations, "listener": listener, "staying": staying}


class Failures(Collector):
    """How often each background task has failed and gone on."""

    def collect(self) -> Generator[Metric]:
        """The counts as they are now."""
        counter = CounterMetricFamily(
            "lifeos_background_failures", "How often a task in the background failed, and went on.", labels=["task"]
        )
        for name, count in sorted(FAILURES.items()):
            counter.add_metric([name], count)
        yield counter


class Metrics:
    """The numbers of this process, and those that the database knows."""

    def __init__(self, parts: Parts) -> None:
        self.registry = CollectorRegistry()
        self._database = parts.database
        self.connections: Connections | None = None
        """Of the site, once there is one."""
        local: dict[str, tuple[str, Callable[[], float]]] = {
            "steps_owned": ("Steps that this process runs now.", lambda: parts.engine.running),
            "timeline_followers": ("Subscriptions to timelines here.", lambda: parts.timeline.followers),
            "approvals_followers": ("Subscriptions to approvals here.", lambda: parts.approvals_feed.followers),
            "sockets_open": ("WebSockets that are served here.", lambda: self._open("sockets")),
            "streams_open": ("Event streams that are served here.", lambda: self._open("streams")),
            "wakeups_published": ("Notifications sent by this process.", lambda: parts.wakeups.published),
            "wakeups_failed": ("Notifications that could not be sent.", lambda: parts.wakeups.failed),
            "loop_lag_seconds": (
                "Longest hold-up of the loop in the last minute.",
                lambda: parts.lag.worst_seconds,
            ),
        }
        for name, (text, value) in local.items():
            Gauge(f"lifeos_{name}", text, registry=self.registry).set_function(value)
        self.registry.register(Failures())
        self._shared = {
            name: Gauge(f"lifeos_{name}", text, registry=self.registry)
            for name, text in {
                "ready": "Steps that wait for a worker.",
                "running": "Steps that run anywhere.",
                "dead_letters": "Steps that wait for a person to retry them.",
                "approvals_open": "Approvals that wait for a person.",
                "runs_queued": "Runs that wait to be planned.",
                "workers_alive": "Processes that run steps.",
            }.items()
        }

    def _open(self, kind: str) -> int:
        return 0 if self.connections is None else self.connections.open[kind]

    async def refresh(self) -> bool:
        """Ask the database; False when it is away."""
        try:
            found = await gauges(self._database)
        except Unavailable:
            return False
        for name, value in found.items():
            self._shared[name].set(value)
        return True


app = Application()
"""For `uvicorn server:app`; it reads the environment when it starts."""


# ── the commands that run something ───────────────────────────────────────────────────────────────────────────────────


class _Server(uvicorn.Server):
    """uvicorn, but a signal ends it with status 0 and the application hears of it first."""

    def __init__(self, config: uvicorn.Config, application: Application, *, heeds_signals: bool) -> None:
        super().__init__(config)
        self._application = application
        self._heeds_signals = heeds_signals
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()

    async def run_to_its_end(self) -> None:
        """Serve until told to end; returns at once, with `ready` unset, when it can't start."""
        # uvicorn says so by SystemExit, which would leave a task by ending the loop below everybody.
        with contextlib.suppress(SystemExit):
            await self.serve()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        # What keeps it from starting is told once, by whoever started it.
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
        if server.ended.is_set():  # told to stop while it still waited for the database, say
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


async def _serve(settings: Settings, *, host: str, port: int, executes: bool) -> None:
    async with serving(settings, host=host, port=port, executes=executes) as served:
        typer.echo(f"Life OS is ready. Open GraphiQL at\n  {served.url}/graphql?token={served.token}")
        sys.stdout.flush()
        await served.server.ended.wait()


def serve(*, host: str, port: int, engine: bool) -> None:
    """Serve the API, and run steps, in one process."""
    settings = read_settings()
    configure_logs(redact=settings.redaction().of_text)
    _run(_serve(settings, host=host, port=port, executes=engine))


def worker() -> None:
    """Run steps alone; any number of workers share one database."""
    settings = read_settings()
    if settings.database_url is None:
        raise StartError(
            "a worker needs LIFEOS_DATABASE_URL: an embedded database serves one `lifeos serve`, "
            "which runs steps itself"
        )
    configure_logs(redact=settings.redaction().of_text)
    _run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    starting = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        if starting is not None:
            starting.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    with contextlib.suppress(asyncio.CancelledError):
        async with running_parts(settings, executes=True):
            starting = None
            print("The worker is ready.", flush=True)  # noqa: T201
            await stop.wait()


def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = read_settings()
    configure_logs()

    async def work() -> None:
        async with _database_address(settings) as (dsn, _):
            await _migrated(dsn)

    _run(work())
    typer.echo(f"The database is at revision {head()}.")


def schema() -> None:
    """Print the GraphQL schema in its own language."""
    typer.echo(sdl(), nl=False)


def demo(*, yes: bool) -> None:
    """Run the demo against a server of its own: one sentence, a plan, two approvals, and what was made."""
    settings = read_settings()
    configure_logs(quiet=True, redact=settings.redaction().of_text)

    async def work() -> None:
        async with (
            # Ctrl-C is for the demo, which then cancels its run while the server is still there.
            serving(settings, host="127.0.0.1", port=0, heeds_signals=False) as served,
            Client(Address(served.url, served.token)) as client,
        ):
            await run_demo(client, yes=yes, data_dir=settings.data_dir.expanduser())

    _run(work())


def _run(work: Any) -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)


def main() -> None:
    """The `lifeos` command; `console.processes` says how those above are called."""
    commands()


if __name__ == "__main__":
    sys.exit(main())
