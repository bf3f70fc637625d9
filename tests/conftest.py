"""Fixtures that every test shares: a real PostgreSQL, and a database of its own for each test that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from persistence.database import Database, DatabaseSettings
from persistence.migrate import migrate
from tests.databases import end_cluster, fresh_database, provide_cluster


def pytest_configure(config: pytest.Config) -> None:
    provide_cluster(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    end_cluster()


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """The address of a new, migrated database."""
    async with fresh_database(migrate) as address:
        yield address


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A new, migrated database, open."""
    opened = Database(DatabaseSettings(dsn=dsn, connections=8))
    await opened.open()
    yield opened
    await opened.close()
