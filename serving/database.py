"""The database of a process: its address, its schema brought up to date, and waiting while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import structlog

from persistence.addresses import place_of
from persistence.away import is_away
from persistence.database import Unavailable
from persistence.revisions import UnknownRevision, is_current
from serving.errors import StartError
from serving.settings import Settings

log = structlog.get_logger()
T = TypeVar("T")

_WAIT_FOR_DATABASE_SECONDS: Final = 30.0


@asynccontextmanager
async def database_address(settings: Settings) -> AsyncGenerator[tuple[str, Callable[[str], None]]]:
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


async def migrated(dsn: str) -> None:
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
            if loop.time() > deadline or not is_away(error):
                raise _no_database(dsn, error) from error
            if not is_waiting:
                log.warning("waiting_for_the_database", at=place_of(dsn), error=reason_of(error))
            is_waiting = True
            await asyncio.sleep(0.5)
        else:
            return


def _no_database(dsn: str, error: Exception) -> StartError:
    return StartError(f"the database at {place_of(dsn)} can't be used: {reason_of(error)}; look at LIFEOS_DATABASE_URL")


def reason_of(error: Exception) -> str:
    """What an error says, on one line; its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


async def patiently(work: Callable[[], Awaitable[T]], dsn: str) -> T:
    """What `work` gives, begun anew for a while when the database goes away in the middle of it."""
    deadline = asyncio.get_running_loop().time() + _WAIT_FOR_DATABASE_SECONDS
    while True:
        try:
            return await work()
        except Unavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                raise _no_database(dsn, error) from error
            await asyncio.sleep(0.5)
