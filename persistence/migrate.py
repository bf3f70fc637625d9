"""Bring a database to the newest schema, safely when several processes start at once."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

MIGRATION_LOCK: Final = 0x11FE05
"""The advisory lock that one migrating process holds; the others wait for it and find nothing left to do."""


class UnknownRevision(Exception):
    """The database was migrated by a newer Life OS than this one."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"the database is at revision {revision}, which this version of Life OS does not know: "
            "run the version that migrated it, or a newer one"
        )


def async_url(dsn: str) -> Any:
    """SQLAlchemy's URL for the `postgresql://…` address that asyncpg takes, socket folders included."""
    return make_url(dsn).set(drivername="postgresql+asyncpg")


def migrations_folder() -> Path:
    """Where the migrations lie: inside the package when installed, at the top level in a checkout."""
    package = Path(str(files("persistence")))
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "alembic"


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration without an ini file, over `connection` where one is given."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision that this version of Life OS knows."""
    revision = ScriptDirectory.from_config(configuration()).get_current_head()
    assert revision is not None
    return revision


async def migrate(dsn: str, revision: str = "head") -> None:
    """Upgrade (or, to an older `revision`, downgrade) the database under an advisory lock.

    Waits without limit for another process that is migrating. Raises UnknownRevision when the database is newer
    than this program.
    """
    engine = create_async_engine(async_url(dsn), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.commit()
            try:
                await connection.run_sync(_move, revision)
                await connection.commit()
            finally:
                await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                await connection.commit()
    finally:
        await engine.dispose()


def _move(connection: Connection, revision: str) -> None:
    config = configuration(connection)
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {each.revision for each in script.walk_revisions()}
    if current is not None and current not in known:
        raise UnknownRevision(current)
    # A waiting ALTER queues every later reader of its table behind itself: better to fail and be started again.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    target = script.get_current_head() if revision == "head" else revision
    if current == target:
        return
    if (current is not None and revision != "head" and current > revision) or revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def migrate_now(dsn: str) -> None:
    """`migrate` for callers without an event loop."""
    asyncio.run(migrate(dsn))
