"""Fixtures that every test shares: a real PostgreSQL, and a database of its own for each test that asks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import httpx
import httpx._transports.default
import pytest
import pytest_asyncio
from hypothesis import settings

from persistence.database import Database, DatabaseSettings
from tests import lending
from tests.databases import end_cluster, provide_cluster

TESTS = Path(__file__).parent


# How long an example takes is the machine's matter.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Reading the certificates of all authorities takes longer than most tests, and httpx does it anew for each client.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)  # pyright: ignore[reportPrivateImportUsage] - no other place to say it


def pytest_configure(config: pytest.Config) -> None:
    provide_cluster(config)


LONGEST = (
    "packaging/test_wheel.py",
    "faults/test_random_moves.py",
    "security/test_fuzz.py",
    "readme/",
    "security/test_secrets.py",
    "security/test_walk.py",
    "browser/",
    "clients/",
    "packaging/",
    "faults/",
    "security/test_floods.py",
    "chaos/",
)
"""What takes long comes first, so that at the end each worker has short tests to share with the others."""

SLOW = (
    "packaging/",
    "readme/test_blocks.py",
    "readme/test_examples.py",
    "faults/test_random_moves.py",
    "faults/test_database_away.py",
    "faults/test_processes.py",
    "faults/test_exhaustion.py",
    "faults/test_upgrades.py",
    "security/test_fuzz.py",
    "security/test_floods.py",
)
"""Whole programs, restarted and starved, beside those that say so themselves: `make test-slow` runs them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        within = item.path.relative_to(TESTS).as_posix()
        return next((number for number, each in enumerate(LONGEST) if within.startswith(each)), len(LONGEST))

    for item in items:
        if item.path.relative_to(TESTS).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    # The others keep their order: those of one module share what it imports and opens.
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a fifth of the time, a test waits for a lease, a restart or another process."""
    return (os.cpu_count() or 1) + 1


def pytest_unconfigure(config: pytest.Config) -> None:
    end_cluster()


@pytest.fixture(autouse=True)
async def _stragglers() -> AsyncIterator[None]:
    """Tests share one event loop: what one leaves running in it ends before the next begins."""
    before = asyncio.all_tasks()
    yield
    stragglers = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in stragglers:
        task.cancel()
    await asyncio.gather(*stragglers, return_exceptions=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lender() -> AsyncIterator[lending.Lender]:
    """Who lends databases to the tests of this process."""
    lending.current = lending.Lender()
    yield lending.current
    await lending.current.close()
    lending.current = None


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(lender: lending.Lender) -> AsyncIterator[str]:
    """The address of a migrated database without rows."""
    async with lender.lend() as address:
        yield address


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A migrated database without rows, open."""
    opened = lending.LastingDatabase(DatabaseSettings(dsn=dsn, connections=8))
    await opened.open()
    yield opened
    await opened.close()
