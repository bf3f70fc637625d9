"""The connections: a pool with safe session settings, transactions, and what counts as the database being away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg
import structlog

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy
    from asyncpg.transaction import Transaction

    PoolConnection = PoolConnectionProxy[asyncpg.Record]
else:
    PoolConnection = Transaction = Any

T = TypeVar("T")
log = structlog.get_logger()

_AT_HAND: Final = 2
REPEATS: Final = 5
"""How often a transaction that lost a deadlock or a serialization race is repeated."""


class Unavailable(Exception):
    """The database can't be reached, or did not answer in time: the statement may or may not have been carried out."""


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
    """The settings that each of our sessions sends when it connects."""
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
_TRANSLATED: Final = (*_LOST_RACE, *_AWAY)


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Turns every error that means that the database is away into Unavailable; our own errors stay as they are.

    For calls of the driver only: an OSError or a TimeoutError of other code says nothing about the database.
    """
    try:
        yield
    except _TRANSLATED as error:
        raise _translated(error, is_lost=True) from error


def _translated(error: Exception, *, is_lost: bool) -> Exception:
    """The driver's error as one of ours; `is_lost`: the connection is gone."""
    if isinstance(error, _LOST_RACE):
        return LostRace(str(error))
    # asyncpg raises one class for a closed connection and for wrong use; only the former is the database's doing.
    # An address or a value that is none is a ValueError too, and no time will mend it.
    if isinstance(error, asyncpg.InterfaceError) and (isinstance(error, ValueError) or not is_lost):
        return error
    return Unavailable(str(error) or type(error).__name__)


class Session:
    """A connection of the pool, lent for the length of a block: each call reports the database's errors itself.

    Its calls raise Unavailable and LostRace. Errors of the block itself pass through unchanged.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: PoolConnection) -> None:
        self._raw = raw

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of a statement."""
        return await _asked(self._raw, self._raw.fetch, statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        return await _asked(self._raw, self._raw.fetchrow, statement, *values)

    async def fetchval(self, statement: str, *values: Any, **limits: float) -> Any:
        """The first value of the first row, or None; `timeout=` is in seconds."""
        return await _asked(self._raw, self._raw.fetchval, statement, *values, **limits)

    async def execute(self, statement: str, *values: Any) -> str:
        """The status of a statement."""
        return await _asked(self._raw, self._raw.execute, statement, *values)

    def transaction(self, *, readonly: bool = False) -> SessionTransaction:
        """A transaction for the length of a block; one within another is a savepoint."""
        return SessionTransaction(self._raw, self._raw.transaction(readonly=readonly))


class SessionTransaction:
    """Committed at the end of its block, rolled back when that raises."""

    __slots__ = ("_connection", "_raw")

    def __init__(self, connection: PoolConnection, raw: Transaction) -> None:
        self._connection = connection
        self._raw = raw

    async def start(self) -> None:
        """Begin it, for callers without a block."""
        await _asked(self._connection, self._raw.start)

    async def rollback(self) -> None:
        """Undo what it did."""
        await _asked(self._connection, self._raw.rollback)

    async def __aenter__(self) -> None:
        await _asked(self._connection, self._raw.__aenter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _asked(self._connection, self._raw.__aexit__, kind, raised, trace)


async def _asked(connection: PoolConnection, call: Callable[..., Awaitable[T]], *values: Any, **more: Any) -> T:
    """One call of the driver."""
    try:
        return await call(*values, **more)
    except _TRANSLATED as error:
        raise _translated(error, is_lost=_is_closed(connection)) from error


def _is_closed(connection: PoolConnection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool takes back at once what the server has closed.
        return True


if TYPE_CHECKING:
    Connection = Session | PoolConnection | asyncpg.Connection[asyncpg.Record]
else:
    Connection = Any


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
        """A connection taken from the pool directly: the pool's own way takes longer than small reads do."""

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
                # The largest statements gain the most: by default asyncpg plans those over 15 kB again each time.
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
            yield Session(connection)
        except BaseException:
            # In whatever state it is, the pool finds out; what was raised is what happened.
            with suppress(*_AWAY):
                await pool.release(connection)
            raise
        if len(self._at_hand) < _AT_HAND and pool is self._pool and _is_idle(connection):
            self._at_hand.append(connection)
        else:
            async with translated():
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
        """The result of `work`, once its transaction is committed.

        A transaction that loses a deadlock or a serialization race is repeated, so `work` must not keep what it read.
        """
        for repeat in range(REPEATS):
            try:
                async with self.connection() as connection, connection.transaction():
                    return await work(connection)
            except LostRace as error:
                await _pause(repeat, error)
        raise AssertionError

    async def alone(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """The result of one statement that is a transaction by itself.

        Repeated when it loses a race, for example with a migration that locks its tables.
        """
        for repeat in range(REPEATS):
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except LostRace as error:
                await _pause(repeat, error)
        raise AssertionError

    async def answers(self) -> bool:
        """Whether the server does what it is asked to. Raises Unavailable when nothing comes back."""
        return await self.fetchval("SELECT 1") == 1

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
    return not _is_closed(connection) and not connection.is_in_transaction()


async def _pause(repeat: int, error: LostRace) -> None:
    if repeat == REPEATS - 1:
        raise error
    log.info("transaction_repeated", error=str(error))
    await asyncio.sleep(random.uniform(0, 0.02 * 2**repeat))  # noqa: S311 - jitter, not a secret
