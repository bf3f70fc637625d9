"""The connections: a pool with safe session settings, transactions, and what counts as the database being away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg
import structlog

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    PoolConnection = PoolConnectionProxy[asyncpg.Record]
    Connection = PoolConnection | asyncpg.Connection[asyncpg.Record]
else:
    Connection = PoolConnection = Any

T = TypeVar("T")
log = structlog.get_logger()

_AT_HAND: Final = 2
REPEATS: Final = 5
"""How often a transaction that lost a deadlock or a serialization race is begun anew."""


class Unavailable(Exception):
    """The database can't be reached, or did not answer in time: what was asked may or may not have happened."""


class LostRace(Unavailable):
    """A deadlock or a serialization race was lost: nothing happened, and it may be tried again."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How to reach the database, and how long anything may take there.

    The time-outs stand below the lease, so that a frozen or cut-off process holds no lock or open transaction by the
    time when its steps go on elsewhere.
    """

    dsn: str
    connections: int = 10
    acquire_seconds: float = 5
    connect_seconds: float = 5
    statement_seconds: float = 10
    lock_seconds: float = 5
    idle_in_transaction_seconds: float = 10


def session_settings(settings: DatabaseSettings) -> dict[str, str]:
    """What every session of ours tells the server when it connects."""
    return {
        "application_name": "lifeos",
        "statement_timeout": f"{round(settings.statement_seconds * 1000)}",
        "lock_timeout": f"{round(settings.lock_seconds * 1000)}",
        "idle_in_transaction_session_timeout": f"{round(settings.idle_in_transaction_seconds * 1000)}",
        # The server finds a link without an other end within 4 + 3 * 2 seconds, and gives its locks back.
        "tcp_keepalives_idle": "4",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
        "client_connection_check_interval": "2000",
        "timezone": "UTC",
        # Statements with array parameters are planned once: their cost does not depend on the values.
        "plan_cache_mode": "force_generic_plan",
        # A plan made while the tables are still small must serve when they are large: every access has its index.
        "enable_seqscan": "off",
        "enable_mergejoin": "off",
        "random_page_cost": "1.1",
        "jit": "off",
    }


_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, terminated, starting up, query cancelled by its time-out
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.StatementCompletionUnknownError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    ConnectionError,
    TimeoutError,
    OSError,
)
_LOST_RACE: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Turns whatever means that the database is away into Unavailable; a fault of ours stays what it is."""
    try:
        yield
    except _LOST_RACE as error:
        raise LostRace(str(error)) from error
    except _AWAY as error:
        if isinstance(error, asyncpg.InterfaceError) and not _is_about_the_connection(error):
            raise
        raise Unavailable(str(error) or type(error).__name__) from error


def _is_about_the_connection(error: asyncpg.InterfaceError) -> bool:
    # asyncpg raises one class for a closed connection and for wrong use; only the former is the database's doing.
    # An address or a value that is none is a ValueError too, and no time will mend it.
    return not isinstance(error, ValueError) and any(
        word in str(error) for word in ("clos", "connect", "pool", "released", "terminat")
    )


async def _keep(_connection: Any) -> None:
    """In place of asyncpg's reset, which costs a round trip at each release: our sessions carry nothing to reset."""


class Database:
    """A pool of connections with our session settings. Open it, use it, close it.

    Statements name their tables plainly; every connection is asked for with a time limit, so that an exhausted pool is
    an error (`Unavailable`) and not a hang.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._at_hand: list[PoolConnection] = []
        """Taken from the pool, for whoever comes next: the pool's own way takes longer than small reads do."""

    async def open(self) -> None:
        """Connect. Raises Unavailable when the server does not answer."""
        async with translated():
            self._pool = await asyncpg.create_pool(
                self.settings.dsn,
                min_size=1,
                max_size=self.settings.connections,
                timeout=self.settings.connect_seconds,
                command_timeout=self.settings.statement_seconds + 2,
                server_settings=session_settings(self.settings),
                max_inactive_connection_lifetime=0,
                max_cached_statement_lifetime=0,
                statement_cache_size=200,
                # The largest statements gain the most: by default asyncpg plans those over 15 kB anew each time.
                max_cacheable_statement_size=0,
                reset=_keep,
            )

    async def close(self) -> None:
        """Give the connections back, waiting shortly for what still uses them."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self.give_back()
                    await self._pool.close()
            except (TimeoutError, *_AWAY):
                self._pool.terminate()
            self._pool = None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection without a transaction: each statement commits by itself."""
        if self._pool is None:
            # While a process stops, some of it still asks.
            raise Unavailable("the database is not open")
        pool = self._pool
        async with translated():
            connection = await self._taken(pool)
            try:
                yield connection
            except BaseException:
                # In whatever state it is, the pool finds out.
                await pool.release(connection)
                raise
            if len(self._at_hand) < _AT_HAND and pool is self._pool and _is_idle(connection):
                self._at_hand.append(connection)
            else:
                await pool.release(connection)

    async def give_back(self) -> None:
        """Let the pool have the connections that are at hand."""
        while self._at_hand and self._pool is not None:
            await self._pool.release(self._at_hand.pop())

    async def _taken(self, pool: asyncpg.Pool[asyncpg.Record]) -> PoolConnection:
        while self._at_hand:
            connection = self._at_hand.pop()
            if _is_idle(connection):
                return connection
            await pool.release(connection)
        return await pool.acquire(timeout=self.settings.acquire_seconds)

    async def transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` gives back, once its transaction is committed.

        A transaction that loses a deadlock or a serialization race is done anew, so `work` must not keep what it read.
        """
        for repeat in range(REPEATS):
            try:
                async with self.connection() as connection, connection.transaction():
                    return await work(connection)
            except LostRace as error:
                await _pause(repeat, error)
        raise AssertionError

    async def alone(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What one statement gives that is a transaction by itself.

        Made anew when it loses a race: with a migration, say, that wants its tables.
        """
        for repeat in range(REPEATS):
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except LostRace as error:
                await _pause(repeat, error)
        raise AssertionError

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of one statement."""
        return await self.alone(lambda connection: connection.fetch(statement, *values))

    async def fetchrow(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The first row of one statement, or None."""
        return await self.alone(lambda connection: connection.fetchrow(statement, *values))

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """The first value of the first row, or None."""
        return await self.alone(lambda connection: connection.fetchval(statement, *values))

    async def execute(self, statement: str, *values: Any) -> str:
        """The status of one statement."""
        return await self.alone(lambda connection: connection.execute(statement, *values))


def _is_idle(connection: PoolConnection) -> bool:
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:
        # The pool takes back at once what the server has closed.
        return False


async def _pause(repeat: int, error: LostRace) -> None:
    if repeat == REPEATS - 1:
        raise error
    log.info("transaction_repeated", error=str(error))
    await asyncio.sleep(random.uniform(0, 0.02 * 2**repeat))  # noqa: S311 - jitter, not a secret
