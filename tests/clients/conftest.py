"""A real server for each test that asks, and what its clients are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.programs import NODE, built_typescript, relay_artifacts
from tests.clients.server import Server


@pytest.fixture
async def server(dsn: str, tmp_path: Path) -> AsyncIterator[Server]:
    """A running server."""
    started = Server(dsn, tmp_path)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture(scope="session")
def frontends() -> Path:
    """The folder of the frontends' programs, with all that they need."""
    built_typescript()
    relay_artifacts()
    return NODE
