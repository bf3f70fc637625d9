"""AgentDojo's process for all tests of a worker, and an engine with its functions as tools for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.agentdojo import environment
from tests.agentdojo.bridge import Bridge
from tests.agentdojo.dojo import Dojo


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bridge() -> AsyncIterator[Bridge]:
    """AgentDojo, in a process and an environment of its own."""
    try:
        python = await asyncio.to_thread(environment.python)
    except environment.IndexAway as away:
        pytest.skip(f"the package index can't be reached, so AgentDojo can't be installed: {away}")
    async with Bridge(python) as opened:
        yield opened


@pytest.fixture
def dojo(bridge: Bridge, dsn: str) -> Dojo:
    """Runs plans over AgentDojo's worlds."""
    return Dojo(bridge, dsn)
