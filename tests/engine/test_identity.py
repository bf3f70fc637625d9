"""Whose a token is."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from engine import identity
from engine.identity import Identity
from engine.tools import Registry
from persistence import users
from persistence.database import Database
from persistence.states import Role
from tests.engine.harness import running


async def test_a_token_that_many_requests_carry_at_once_is_looked_up_once(dsn: str, monkeypatch: pytest.MonkeyPatch):
    asked: Counter[str] = Counter()

    async def user_of_token(database: Database, token: str) -> Any:
        asked[token] += 1
        return await users.user_of_token(database, token)

    monkeypatch.setattr(identity, "user_of_token", user_of_token)
    async with running(dsn, Registry.of(), executes=False) as it:
        tokens = {name: users.new_token() for name in ("ann", "ben")}
        for name, token in tokens.items():

            async def write(tx: Any, name: str = name, token: str = token) -> Any:
                return await users.create_user(tx, name=name, roles=[Role.SUBMITTER], token=token)

            await it.database.transaction(write)
        known = Identity(it.database)
        carried = [tokens["ann"], tokens["ben"], "lifeos_nobody's"] * 20

        viewers = await asyncio.gather(*map(known.viewer_of, carried))

        assert [viewer and viewer.name for viewer in viewers] == ["ann", "ben", None] * 20
        assert asked == Counter(dict.fromkeys(carried, 1))


async def test_one_who_gives_up_takes_the_answer_from_nobody(dsn: str):
    async with running(dsn, Registry.of(), executes=False) as it:
        token = users.new_token()
        await it.database.transaction(lambda tx: users.create_user(tx, name="ann", roles=[Role.SUBMITTER], token=token))
        known = Identity(it.database)
        first, second = (asyncio.create_task(known.viewer_of(token)) for _ in range(2))
        await asyncio.sleep(0)

        first.cancel()

        viewer = await second
        assert viewer is not None
        assert viewer.name == "ann"
