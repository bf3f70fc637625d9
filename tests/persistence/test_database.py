"""What counts as the database being away, and that a pool is well again afterwards. By experiment, on a real server."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from persistence.database import REPEATS, Connection, Database, DatabaseSettings, Unavailable, translated
from tests.databases import fresh_database

AWAY = {
    "08000": "connection exception",
    "08001": "cannot connect",
    "08003": "connection does not exist",
    "08004": "connection rejected",
    "08006": "connection failure",
    "08007": "nobody knows whether the transaction was committed",
    "08P01": "protocol violation, as poolers report a lost server",
    "25006": "read-only, as a standby is",
    "25P03": "idle in transaction for too long",
    "25P04": "a transaction that took too long",
    "28000": "refused by its configuration",
    "28P01": "wrong password",
    "3D000": "no such database",
    "40003": "nobody knows whether the statement was completed",
    "53000": "insufficient resources",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "53400": "configuration limit exceeded",
    "55P03": "a lock that is not available",
    "57000": "operator intervention",
    "57014": "cancelled by a time-out or an operator",
    "57P01": "shut down, or terminated",
    "57P02": "crashed",
    "57P03": "starting up or shutting down",
    "57P04": "the database was dropped",
    "57P05": "idle for too long",
    "58000": "system error",
    "58030": "input or output error",
}
OURS = {
    "0A000": asyncpg.FeatureNotSupportedError,
    "22012": asyncpg.DivisionByZeroError,
    "22P02": asyncpg.InvalidTextRepresentationError,
    "22P05": asyncpg.UntranslatableCharacterError,
    "23502": asyncpg.NotNullViolationError,
    "23503": asyncpg.ForeignKeyViolationError,
    "23505": asyncpg.UniqueViolationError,
    "23514": asyncpg.CheckViolationError,
    "25P02": asyncpg.InFailedSQLTransactionError,
    "42501": asyncpg.InsufficientPrivilegeError,
    "42601": asyncpg.PostgresSyntaxError,
    "42703": asyncpg.UndefinedColumnError,
    "42P01": asyncpg.UndefinedTableError,
    "54000": asyncpg.ProgramLimitExceededError,
    "P0001": asyncpg.RaiseError,
    "XX000": asyncpg.InternalServerError,
}
"""Faults of ours (or of the server), which waiting does not mend: they stay what they are."""


@pytest.fixture
async def empty() -> AsyncIterator[Database]:
    """A database with nothing in it, two connections, and little patience."""
    async with fresh_database() as dsn:
        opened = Database(DatabaseSettings(dsn=dsn, connections=2, acquire_seconds=0.2))
        await opened.open()
        yield opened
        await opened.close()


@pytest.fixture
async def operator(empty: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody else's connection to the same database."""
    connection = await asyncpg.connect(empty.settings.dsn)
    yield connection
    await connection.close()


def raised(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"


@pytest.mark.parametrize("state", AWAY)
async def test_this_state_means_that_the_database_is_away(empty: Database, state: str) -> None:
    with pytest.raises(Unavailable, match="so it is"):
        await empty.execute(raised(state))


@pytest.mark.parametrize("state", OURS)
async def test_this_state_is_a_fault_of_ours(empty: Database, state: str) -> None:
    with pytest.raises(OURS[state]):
        await empty.execute(raised(state))


async def use_while_busy(connection: Connection, _operator: Any) -> None:
    first = asyncio.create_task(connection.fetchval("SELECT pg_sleep(0.05)"))
    try:
        await asyncio.sleep(0)
        await connection.fetchval("SELECT 1")
    finally:
        await first


async def too_few_values(connection: Connection, _operator: Any) -> None:
    await connection.fetchval("SELECT $1::int")


async def value_of_another_kind(connection: Connection, _operator: Any) -> None:
    await connection.fetchval("SELECT $1::int", "connection to the pool is closed")


async def too_many_values(connection: Connection, _operator: Any) -> None:
    await connection.fetchval("SELECT 1", "the connection is closed")


async def a_transaction_within_a_manual_one(connection: Connection, _operator: Any) -> None:
    await connection.execute("BEGIN")
    async with connection.transaction():
        pass


async def a_transaction_twice(connection: Connection, _operator: Any) -> None:
    transaction = connection.transaction()
    async with transaction, transaction:
        pass


MISUSES: list[Callable[[Connection, Any], Awaitable[None]]] = [
    use_while_busy,
    too_few_values,
    value_of_another_kind,
    too_many_values,
    a_transaction_within_a_manual_one,
    a_transaction_twice,
]


@pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse.__name__)
async def test_wrong_use_is_a_fault_of_ours_and_leaves_the_pool_well(
    empty: Database, misuse: Callable[[Connection, Any], Awaitable[None]]
) -> None:
    with pytest.raises((asyncpg.InterfaceError, asyncpg.DataError)):
        async with empty.connection() as connection:
            await misuse(connection, None)

    assert [await empty.fetchval("SELECT $1::int", each) for each in range(4)] == [0, 1, 2, 3]
    assert await empty.fetchval("SELECT pg_current_xact_id_if_assigned() IS NULL")


async def killed(connection: Connection, operator: asyncpg.Connection[asyncpg.Record]) -> None:
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    await operator.execute("SELECT pg_terminate_backend($1)", pid)
    await seen(operator, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1", pid)


async def seen(operator: Any, question: str, *values: Any) -> None:
    """Return when the answer is yes."""
    async with asyncio.timeout(5):
        while not await operator.fetchval(question, *values):  # noqa: ASYNC110 - the server tells nobody of these
            await asyncio.sleep(0.002)


async def die_before_a_statement(connection: Connection, operator: Any) -> None:
    await killed(connection, operator)
    await connection.fetchval("SELECT 1")


async def die_within_a_transaction(connection: Connection, operator: Any) -> None:
    async with connection.transaction():
        await killed(connection, operator)
        await connection.fetchval("SELECT 1")


async def die_before_a_commit(connection: Connection, operator: Any) -> None:
    async with connection.transaction():
        await connection.execute("CREATE TABLE never ()")
        await killed(connection, operator)


async def die_in_the_middle_of_a_statement(connection: Connection, operator: Any) -> None:
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    asleep = asyncio.create_task(connection.fetchval("SELECT pg_sleep(20)"))
    await seen(operator, "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1", pid)
    await operator.execute("SELECT pg_terminate_backend($1)", pid)
    await asleep


async def take_too_long_for_the_server(connection: Connection, _operator: Any) -> None:
    await connection.execute("SET statement_timeout = '20ms'")
    try:
        await connection.fetchval("SELECT pg_sleep(20)")
    finally:
        await connection.execute("SET statement_timeout = '10s'")


async def take_too_long_for_us(connection: Connection, _operator: Any) -> None:
    await connection.fetchval("SELECT pg_sleep(20)", timeout=0.05)


async def idle_in_a_transaction(connection: Connection, operator: Any) -> None:
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    await connection.execute("SET idle_in_transaction_session_timeout = '20ms'")
    async with connection.transaction():
        await connection.fetchval("SELECT 1")
        await seen(operator, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1", pid)
        await connection.fetchval("SELECT 1")


async def wait_for_a_lock(connection: Connection, operator: Any) -> None:
    await operator.execute("CREATE TABLE held ()")
    await connection.execute("SET lock_timeout = '20ms'")
    try:
        async with operator.transaction():
            await operator.execute("LOCK TABLE held")
            await connection.fetch("SELECT FROM held")
    finally:
        await connection.execute("SET lock_timeout = '5s'")


async def write_to_a_standby(connection: Connection, _operator: Any) -> None:
    async with connection.transaction(readonly=True):
        await connection.execute("CREATE TABLE never ()")


DEATHS: list[Callable[[Connection, Any], Awaitable[None]]] = [
    die_before_a_statement,
    die_within_a_transaction,
    die_before_a_commit,
    die_in_the_middle_of_a_statement,
    take_too_long_for_the_server,
    take_too_long_for_us,
    idle_in_a_transaction,
    wait_for_a_lock,
    write_to_a_standby,
]


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.__name__)
async def test_a_lost_connection_is_unavailable_and_the_pool_is_well_at_once(
    empty: Database,
    operator: asyncpg.Connection[asyncpg.Record],
    death: Callable[[Connection, Any], Awaitable[None]],
) -> None:
    for _ in range(3):  # more often than there are connections
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                async with empty.connection() as connection:
                    await death(connection, operator)
        await operator.execute("DROP TABLE IF EXISTS held")

    assert [await empty.fetchval("SELECT $1::int", each) for each in range(4)] == [0, 1, 2, 3]
    assert await empty.fetchval("SELECT to_regclass('never')") is None


async def test_an_exhausted_pool_is_unavailable_soon(empty: Database) -> None:
    async with empty.connection(), empty.connection():
        async with asyncio.timeout(4.5):  # below what is waited for unless it is set
            with pytest.raises(Unavailable):
                await empty.fetchval("SELECT 1")

    assert await empty.fetchval("SELECT 1") == 1


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://127.0.0.1:1/nobody-listens",
        "postgresql:///x?host=/nonexistent",
        "postgresql://host.invalid/x",
    ],
)
async def test_a_server_that_can_not_be_reached_is_unavailable(dsn: str) -> None:
    with pytest.raises(Unavailable):
        await Database(DatabaseSettings(dsn=dsn)).open()


async def test_an_address_that_is_none_is_a_fault_of_ours() -> None:
    for dsn in ("http://host/x", "postgresql://host/x?sslmode=connect"):
        with pytest.raises(asyncpg.InterfaceError):
            await Database(DatabaseSettings(dsn=dsn)).open()


async def test_a_closed_database_is_unavailable() -> None:
    async with fresh_database() as dsn:
        database = Database(DatabaseSettings(dsn=dsn, connections=1))
        await database.open()
        assert await database.fetchval("SELECT 1") == 1
        await database.close()

        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")


async def test_closing_waits_for_what_is_going_on() -> None:
    async with fresh_database() as dsn:
        database = Database(DatabaseSettings(dsn=dsn, connections=1))
        await database.open()
        async with database.connection() as connection:
            closing = asyncio.create_task(database.close())
            await asyncio.sleep(0)
            assert await connection.fetchval("SELECT 1") == 1
        await closing


async def test_an_error_of_the_work_itself_passes_through(empty: Database) -> None:
    class Refused(Exception):
        pass

    async def work(tx: Connection) -> None:
        await tx.execute("CREATE TABLE never ()")
        raise Refused

    with pytest.raises(Refused):
        await empty.transaction(work)

    assert await empty.fetchval("SELECT to_regclass('never')") is None


ASLEEP = """SELECT count(*) = 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'"""


async def test_a_cancelled_transaction_leaves_nothing_behind(
    empty: Database, operator: asyncpg.Connection[asyncpg.Record]
) -> None:
    await operator.execute("CREATE TABLE notes (text text)")

    async def work(tx: Connection) -> None:
        await tx.execute("INSERT INTO notes VALUES ('cancelled')")
        await tx.fetchval("SELECT pg_sleep(20)")

    for _ in range(4):
        task = asyncio.create_task(empty.transaction(work))
        await seen(operator, ASLEEP)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def write(tx: Connection) -> None:
        await tx.execute("INSERT INTO notes VALUES ('kept')")

    await empty.transaction(write)
    assert [row[0] for row in await operator.fetch("SELECT text FROM notes")] == ["kept"]


async def test_a_transaction_that_loses_a_deadlock_is_begun_anew(
    empty: Database, operator: asyncpg.Connection[asyncpg.Record]
) -> None:
    await operator.execute(
        "CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0), (2, 0)"
    )
    await operator.execute(
        f"ALTER DATABASE {empty.settings.dsn.split('/')[3].split('?')[0]} SET deadlock_timeout = '10ms'"
    )
    both = asyncio.Barrier(2)
    begun: list[int] = []

    def crossing(first: int, second: int) -> Callable[[Connection], Awaitable[None]]:
        async def work(tx: Connection) -> None:
            begun.append(first)
            await tx.execute("UPDATE counters SET n = n + 1 WHERE id = $1", first)
            if begun.count(first) == 1:
                await both.wait()
            await tx.execute("UPDATE counters SET n = n + 1 WHERE id = $1", second)

        return work

    fresh = Database(empty.settings)
    await fresh.open()
    async with asyncio.timeout(20):
        await asyncio.gather(fresh.transaction(crossing(1, 2)), fresh.transaction(crossing(2, 1)))
    await fresh.close()

    assert len(begun) == 3
    assert [row[0] for row in await operator.fetch("SELECT n FROM counters")] == [2, 2]


async def test_a_statement_that_loses_a_deadlock_is_made_anew(
    empty: Database, operator: asyncpg.Connection[asyncpg.Record]
) -> None:
    await operator.execute("CREATE TABLE counters (id int PRIMARY KEY); INSERT INTO counters VALUES (1), (2)")
    # As a migration does that wants one table after the other; it is not the one whom the server ends.
    other = await asyncpg.connect(empty.settings.dsn, server_settings={"deadlock_timeout": "1h"})
    async with asyncio.timeout(20), other.transaction():
        await other.execute("SELECT FROM counters WHERE id = 1 FOR UPDATE")
        reading = asyncio.create_task(empty.fetch("SELECT id FROM counters ORDER BY id DESC FOR UPDATE"))
        waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = $1"
        name = await operator.fetchval("SELECT current_database()")
        while not await operator.fetchval(waiting, name):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await other.execute("SELECT FROM counters WHERE id = 2 FOR UPDATE")
    await other.close()

    assert [row[0] for row in await reading] == [2, 1]


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_connection_that_loses_a_race_says_that_nobody_knows(empty: Database, state: str) -> None:
    with pytest.raises(Unavailable):
        async with empty.connection() as connection:
            await connection.execute(raised(state))


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_race_that_is_lost_for_ever_is_unavailable_in_the_end(empty: Database, state: str) -> None:
    begun = 0

    async def work(tx: Connection) -> None:
        nonlocal begun
        begun += 1
        await tx.execute(raised(state))

    with pytest.raises(Unavailable):
        await empty.transaction(work)

    assert begun == REPEATS


async def test_what_is_no_database_error_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with translated():
            raise ZeroDivisionError


class Strange(Exception):
    """Whatever a tool's check raises, say."""


FOREIGN = [
    FileNotFoundError("config.toml"),
    TimeoutError("its server is slow"),
    ConnectionResetError("its server is gone"),
    asyncpg.InterfaceError("the connection pool is closed, it says"),
    asyncpg.DeadlockDetectedError("it says"),
    asyncpg.CannotConnectNowError("it says"),
    Strange("the pool is closed and the connection was terminated"),
    SystemExit(3),
]
"""Errors that speak of the database, or could, and that no call of the driver raised."""


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_only_what_the_driver_raises_says_that_the_database_is_away(
    empty: Database, error: BaseException
) -> None:
    begun = 0

    async def work(tx: Connection) -> None:
        nonlocal begun
        begun += 1
        await tx.execute("CREATE TABLE never ()")
        raise error

    for use in (empty.transaction, empty.alone):
        with pytest.raises(type(error)) as caught:
            await use(work)
        assert caught.value is error
        await empty.execute("DROP TABLE IF EXISTS never")

    assert begun == 2
    assert [await empty.fetchval("SELECT $1::int", each) for each in range(4)] == [0, 1, 2, 3]


async def test_a_connection_that_was_taken_back_is_unavailable(empty: Database) -> None:
    async with empty.connection() as connection:
        pass
    for pooled in tuple(empty._at_hand):
        empty._at_hand.remove(pooled)
        assert empty._pool is not None
        await empty._pool.release(pooled)

    with pytest.raises(Unavailable):
        await connection.fetchval("SELECT 1")
