import asyncpg
import pytest

from tests.databases import fresh_database


async def make_a_table(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('from the template')")
    await connection.close()


async def rows(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row["text"] for row in await connection.fetch("SELECT text FROM notes ORDER BY text")]
    finally:
        await connection.close()


async def test_a_database_starts_as_the_template_was_migrated() -> None:
    async with fresh_database(make_a_table) as dsn:
        assert await rows(dsn) == ["from the template"]


async def test_what_one_test_writes_another_does_not_see() -> None:
    async with fresh_database(make_a_table) as first, fresh_database(make_a_table) as second:
        connection = await asyncpg.connect(first)
        await connection.execute("INSERT INTO notes VALUES ('mine')")
        await connection.close()

        assert await rows(first) == ["from the template", "mine"]
        assert await rows(second) == ["from the template"]


async def test_a_database_without_migrations_is_empty() -> None:
    async with fresh_database() as dsn:
        connection = await asyncpg.connect(dsn)
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        await connection.close()

    assert tables == 0


async def test_a_database_goes_although_somebody_is_connected() -> None:
    async with fresh_database() as dsn:
        connection = await asyncpg.connect(dsn)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(dsn)
