"""The objects of a process, from the database up: opened in order, closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from console.environment import unused_names
from engine.engine import Engine
from engine.identity import Identity
from engine.lag import LoopLag
from engine.oidc import Issuer
from engine.planner import RulePlanner
from engine.tools import ToolDeclarationError, load_registry
from persistence.addresses import place_of
from persistence.approvals_feed import ApprovalsFeed
from persistence.broadcast import broadcast_over
from persistence.database import Database
from persistence.timeline import Timeline
from persistence.wakeups import Wakeups
from serving.admin import admin_token_of
from serving.database import database_address, migrated, patiently, reason_of
from serving.errors import StartError
from serving.settings import Settings

log = structlog.get_logger()


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
        dsn, announce = await stack.enter_async_context(database_address(settings))
        await migrated(dsn)
        database = Database(settings.database(dsn, connections=10))
        work = Database(settings.database(dsn, connections=6))
        for each in (database, work):
            await patiently(each.open, dsn)
            stack.push_async_callback(each.close)
        admin_token = await patiently(lambda: admin_token_of(settings, database), dsn)
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
                f"the broadcaster at {place} can't be used: {reason_of(error)}; look at LIFEOS_BROADCAST_URL"
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
