from collections.abc import AsyncIterator

import pytest

from tests.persistence.stage import Stage, staged


@pytest.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    """A new database with people in it, and the verbs on runs, for many at once."""
    async with staged(dsn, connections=20) as opened:
        yield opened
