"""Migrated databases that go from test to test, emptied in between, with the sessions that tests have opened to them.

A new session of PostgreSQL knows no table and has planned no statement: learning that costs more than most tests do.
What a test changed besides rows, and what it left connected, takes the database with it instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from persistence.database import Database, DatabaseSettings, Unavailable
from persistence.migrate import migrate
from tests.databases import fresh_database

_USES: Final = 50
"""How many tests use a database; the dead rows of more would slow it down."""

_SECONDS: Final = 5.0
"""For what a test leaves behind to end."""

_SCHEMA: Final = " UNION ALL ".join(
    f"SELECT '{table}', count(*), max(xmin::text::bigint) FROM {table}"
    for table in (
        "alembic_version",
        "pg_class",
        "pg_attribute",
        "pg_constraint",
        "pg_trigger",
        "pg_proc",
        "pg_type",
        "pg_namespace",
        "pg_statistic",
        "pg_db_role_setting",
    )
)
"""Any change of the schema, of its revision, of rights or of statistics shows in one of these."""

_EMPTY: Final = """
    SELECT format('DELETE FROM %s', c.oid::regclass) FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
    UNION ALL
    SELECT format('SELECT setval(%L, %s, false)', format('%I.%I', schemaname, sequencename), start_value)
    FROM pg_sequences
"""
"""The statements after which a database is as the migrations left it: they write no rows."""

_OTHERS: Final = """
    SELECT bool_and(pg_terminate_backend(pid, $2)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL ($1::int[])
"""

_LOST: Final = (
    TimeoutError,
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
)

Pool = Any
"""What asyncpg makes: generic for the type checker alone, and we look behind its face."""


@dataclass
class _Lent:
    dsn: str
    keeper: asyncpg.Connection[Any]
    stack: AsyncExitStack
    schema: list[tuple[Any, ...]]
    empty: str
    uses: int = 0
    pools: dict[DatabaseSettings, list[Pool]] = field(default_factory=dict)


class Lender:
    """Lends databases within one event loop. Close it in the end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._free: list[_Lent] = []
        self._lent: dict[str, _Lent] = {}

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[str]:
        """The DSN of a migrated database without rows."""
        lent = self._free.pop() if self._free else await self._made()
        self._lent[lent.dsn] = lent
        try:
            yield lent.dsn
        finally:
            del self._lent[lent.dsn]
            lent.uses += 1
            if lent.uses < _USES and await _is_as_new(lent):
                self._free.append(lent)
            else:
                await lent.stack.aclose()

    async def close(self) -> None:
        """Drop all databases."""
        for lent in self._free:
            await lent.stack.aclose()

    def kept(self, settings: DatabaseSettings) -> list[Pool] | None:
        """The pools with these settings that nobody uses; None for a database that was not lent here."""
        lent = self._lent.get(settings.dsn)
        if lent is None or asyncio.get_running_loop() is not self._loop:
            return None
        return lent.pools.setdefault(settings, [])

    async def _made(self) -> _Lent:
        async with AsyncExitStack() as stack:
            dsn = await stack.enter_async_context(fresh_database(migrate))
            keeper = await asyncpg.connect(dsn, command_timeout=_SECONDS)
            stack.callback(keeper.terminate)
            statements = [row[0] for row in await keeper.fetch(_EMPTY)]
            empty = "; ".join(["BEGIN; SET LOCAL session_replication_role = replica", *statements, "COMMIT"])
            lent = _Lent(dsn, keeper, stack, await _schema(keeper), empty)
            stack.callback(_terminate, lent)
            lent.stack = stack.pop_all()
            return lent


current: Lender | None = None
"""Of the tests of this process, while they run."""


class LastingDatabase(Database):
    """A database whose sessions stay open for the next test where it was lent, and nothing else otherwise."""

    async def open(self) -> None:
        pools = None if current is None else current.kept(self.settings)
        while pools:
            pool = pools.pop()
            if _is_well(pool):
                self._pool = pool
                return
            pool.terminate()
        await super().open()

    async def close(self) -> None:
        pools = None if current is None else current.kept(self.settings)
        await self.give_back()
        if pools is not None and self._pool is not None and await _is_at_rest(self._pool):
            pools.append(self._pool)
            self._pool = None
        await super().close()


def _connections(pool: Pool) -> list[Any]:
    return [holder._con for holder in pool._holders if holder._con is not None]


def _is_well(pool: Pool) -> bool:
    return not pool.is_closing() and not any(connection.is_closed() for connection in _connections(pool))


async def _is_at_rest(pool: Pool) -> bool:
    """Wait until nobody uses the pool's connections, and undo what was set in their sessions."""
    try:
        async with asyncio.timeout(_SECONDS):
            while pool.get_idle_size() < pool.get_size():  # noqa: ASYNC110 - a pool tells nobody
                await asyncio.sleep(0)
            for connection in _connections(pool):
                if connection.is_in_transaction():
                    return False
                await connection.execute("RESET ALL; SELECT pg_advisory_unlock_all()")
    except _LOST:
        return False
    return _is_well(pool)


async def _is_as_new(lent: _Lent) -> bool:
    """Empty the database; whether nothing of the last test is left in it."""
    ours = [
        connection.get_server_pid()
        for pools in lent.pools.values()
        for pool in pools
        for connection in _connections(pool)
    ]
    try:
        if await lent.keeper.fetchval(_OTHERS, ours, round(_SECONDS * 1000)) is False:
            return False
        if await _schema(lent.keeper) != lent.schema:
            return False
        await lent.keeper.execute(lent.empty)
    except _LOST:
        return False
    return True


async def _schema(keeper: asyncpg.Connection[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await keeper.fetch(_SCHEMA)]


def _terminate(lent: _Lent) -> None:
    for pools in lent.pools.values():
        for pool in pools:
            with suppress(Unavailable, OSError):
                pool.terminate()
