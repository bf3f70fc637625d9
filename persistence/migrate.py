"""Bring a database to the newest schema, safely when several processes start at once."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any, Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from persistence.revisions import UnknownRevision, head, migrations_folder

MIGRATION_LOCK: Final = 0x11FE05
"""The advisory lock that one migrating process holds; the others wait for it and find nothing left to do."""


_TRIES: Final = 5
"""How often a migration is tried that finds its tables in use."""

_LOCK_SECONDS: Final = 2
"""A waiting ALTER queues every later reader of its table behind itself: better to let them pass, and try again."""

_IN_USE: Final = ("40P01", "55P03")
"""PostgreSQL's codes for a deadlock, and for a lock that was not free in time."""


def async_url(dsn: str) -> Any:
    """SQLAlchemy's URL for the `postgresql://…` address that asyncpg takes, socket folders included."""
    return make_url(dsn).set(drivername="postgresql+asyncpg")


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration without an ini file, over `connection` where one is given."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def migrate(dsn: str, revision: str = "head") -> None:
    """Upgrade (or, to an older `revision`, downgrade) the database under an advisory lock.

    Waits without limit for another process that is migrating, and tries again when it meets others at work. Raises
    UnknownRevision when the database is newer than this program.
    """
    # asyncpg reads the address itself: SQLAlchemy would hand it what stands behind the ? as arguments that it has not.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=partial(asyncpg.connect, dsn), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.commit()
            try:
                await _move_patiently(connection, revision)
            finally:
                await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                await connection.commit()
    finally:
        await engine.dispose()


async def _move_patiently(connection: AsyncConnection, revision: str) -> None:
    for tries in range(1, _TRIES + 1):
        try:
            await connection.run_sync(_move, revision)
            await connection.commit()
        except DBAPIError as error:
            # Each migration is a transaction: those that are done stay, and the one that failed left nothing.
            await connection.rollback()
            if tries == _TRIES or getattr(error.orig, "sqlstate", None) not in _IN_USE:
                raise
            await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - jitter, not a secret
        else:
            return


def _move(connection: Connection, revision: str) -> None:
    config = configuration(connection)
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {each.revision for each in script.walk_revisions()}
    if current is not None and current not in known:
        raise UnknownRevision(current)
    connection.execute(text(f"SET lock_timeout = '{_LOCK_SECONDS}s'"))
    connection.commit()
    target = head() if revision == "head" else revision
    if current == target:
        return
    if (current is not None and revision != "head" and current > revision) or revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def migrate_now(dsn: str) -> None:
    """`migrate` for callers without an event loop."""
    asyncio.run(migrate(dsn))
