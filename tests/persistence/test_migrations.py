"""The migrations: forward and back, from several processes at once, and held against the tables in Python."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from persistence.migrate import async_url, configuration, migrate
from persistence.models import metadata
from persistence.revisions import UnknownRevision, head
from tests.databases import fresh_database


@pytest.fixture
async def empty() -> AsyncIterator[str]:
    """The address of a new database with nothing in it."""
    async with fresh_database() as dsn:
        yield dsn


async def catalogue(dsn: str) -> dict[str, list[Any]]:
    """Everything that a migration can leave behind in a schema."""
    connection = await asyncpg.connect(dsn)
    try:
        return {
            "relations": [
                tuple(row)
                for row in await connection.fetch(
                    """SELECT c.relname, c.relkind, c.reloptions, pg_get_expr(d.adbin, d.adrelid), a.attname,
                        format_type(a.atttypid, a.atttypmod), a.attnotnull
                    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
                    WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'alembic_version%'
                    ORDER BY c.relname, a.attname"""
                )
            ],
            "constraints": [
                tuple(row)
                for row in await connection.fetch(
                    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
                    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
                    ORDER BY 1, 2"""
                )
            ],
            "indexes": [
                tuple(row)
                for row in await connection.fetch(
                    """SELECT indexname, indexdef FROM pg_indexes
                    WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"""
                )
            ],
            "triggers": [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
                )
            ],
            "functions": [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
                )
            ],
            "types": [
                row[0]
                for row in await connection.fetch(
                    """SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
                    ORDER BY 1"""
                )
            ],
        }
    finally:
        await connection.close()


async def revision(dsn: str) -> str | None:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT version_num FROM alembic_version")
    finally:
        await connection.close()


async def test_the_newest_revision_is_reached_and_named(empty: str) -> None:
    await migrate(empty)

    assert await revision(empty) == head()


async def test_migrating_again_changes_nothing(empty: str) -> None:
    await migrate(empty)
    before = await catalogue(empty)

    await migrate(empty)

    assert await catalogue(empty) == before


async def test_going_back_leaves_nothing_and_forward_again_the_same(empty: str) -> None:
    await migrate(empty)
    before = await catalogue(empty)

    await migrate(empty, "base")
    assert {kind: found for kind, found in (await catalogue(empty)).items() if found} == {}
    await migrate(empty)

    assert await catalogue(empty) == before


async def test_each_revision_goes_forward_and_back_by_itself(empty: str) -> None:
    script = ScriptDirectory.from_config(configuration())
    revisions = [each.revision for each in script.walk_revisions()][::-1]

    left: list[dict[str, list[Any]]] = [await catalogue(empty)]
    for each in revisions:
        await migrate(empty, each)
        left.append(await catalogue(empty))

    for place in range(len(revisions) - 1, -1, -1):
        await migrate(empty, "base" if place == 0 else revisions[place - 1])
        assert await catalogue(empty) == left[place]


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    )
    return list(compare_metadata(context, metadata))


async def test_the_tables_in_python_are_those_of_the_migrations(dsn: str) -> None:
    engine = create_async_engine(async_url(dsn), poolclass=NullPool)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_partial_indexes_cover_the_same_rows_in_python_and_in_the_migrations(dsn: str, empty: str) -> None:
    # Alembic compares an index's columns, and not its predicate: let the database print both.
    engine = create_async_engine(async_url(empty), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    declared = {str(index.name) for table in metadata.tables.values() for index in table.indexes}

    async def printed(address: str) -> dict[str, str]:
        return dict((await catalogue(address))["indexes"])

    migrated, made = await printed(dsn), await printed(empty)
    assert {name: migrated[name] for name in declared} == {name: made[name] for name in declared}
    assert declared == {name for name in migrated if not name.endswith(("_pkey", "_key"))}


_MIGRATE = "import sys; from persistence.migrate import migrate_now; migrate_now(sys.argv[1])"


async def test_four_processes_migrate_an_empty_database_at_once(empty: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _MIGRATE, empty, stderr=asyncio.subprocess.PIPE, env={**os.environ}
        )
        for _ in range(4)
    ]

    errors = [(await process.communicate())[1].decode() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0, 0], errors
    assert await revision(empty) == head()


async def test_eight_tasks_migrate_an_empty_database_at_once(empty: str) -> None:
    await asyncio.gather(*(migrate(empty) for _ in range(8)))

    assert await revision(empty) == head()


async def test_a_database_of_a_newer_version_is_refused_by_name(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UnknownRevision, match="9999") as refused:
        await migrate(dsn)

    assert refused.value.revision == "9999"
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
    await connection.close()


async def test_a_refused_migration_gives_its_lock_back(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnknownRevision):
        await migrate(dsn)
    await connection.execute("UPDATE alembic_version SET version_num = $1", head())
    await connection.close()

    async with asyncio.timeout(10):
        await migrate(dsn)


async def test_a_migration_that_has_to_wait_for_a_table_gives_up_and_changes_nothing(dsn: str) -> None:
    reader = await asyncpg.connect(dsn)
    whole = await catalogue(dsn)
    await migrate(dsn, "0001")  # which touches tables, as not every migration does
    before = await catalogue(dsn)

    async with reader.transaction():
        for table in await reader.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            await reader.fetch(f"SELECT FROM {table['tablename']}")
        async with asyncio.timeout(20):
            with pytest.raises(DBAPIError, match="lock timeout"):
                await migrate(dsn, "base")

    await reader.close()
    assert await revision(dsn) == "0001"
    assert await catalogue(dsn) == before
    # Nothing is left of it that would be in the way of the next attempt.
    await migrate(dsn, "base")
    await migrate(dsn)
    assert await catalogue(dsn) == whole
