"""A process that says it is open hears the others, if that can be had at all."""

from __future__ import annotations

import asyncio

import pytest

from persistence import wakeups
from persistence.broadcast import broadcast_over
from persistence.database import DatabaseSettings
from persistence.wakeups import Wakeups
from tests.faults.proxy import Proxy


async def test_who_has_opened_it_is_listening(dsn: str) -> None:
    post = Wakeups(*broadcast_over(DatabaseSettings(dsn=dsn), None))

    await post.open()

    assert post.is_listening
    await post.close()


async def test_a_start_does_not_wait_for_ever_for_what_it_can_do_without(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "_LISTENS_SECONDS", 0.05)
    proxy = Proxy(dsn)
    await proxy.open()
    await proxy.close()
    post = Wakeups(*broadcast_over(DatabaseSettings(dsn=proxy.dsn, connect_seconds=0.5), None))

    async with asyncio.timeout(10):
        await post.open()

    assert not post.is_listening
    await post.close()


async def test_a_start_that_is_given_up_meanwhile_leaves_nothing_behind(dsn: str) -> None:
    proxy = Proxy(dsn)
    await proxy.open()
    await proxy.close()
    before = asyncio.all_tasks()
    post = Wakeups(*broadcast_over(DatabaseSettings(dsn=proxy.dsn, connect_seconds=0.5), None))
    opening = asyncio.create_task(post.open())
    await asyncio.sleep(0)

    opening.cancel()

    with pytest.raises(asyncio.CancelledError):
        await opening
    assert asyncio.all_tasks() <= before
