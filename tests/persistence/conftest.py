from collections.abc import AsyncIterator

import pytest

from tests.persistence.stage import Stage, staged


@pytest.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    """A new database with people in it, and the verbs on runs."""
    async with staged(dsn) as opened:
        yield opened
