"""The backend under broadcaster: nobody deaf, nothing hung, whatever happens to its two connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self

import asyncpg
import pytest
from broadcaster import Broadcast

from persistence import broadcast as module
from persistence.broadcast import MISSED, PostgresBackend, broadcast_over
from persistence.database import DatabaseSettings
from tests.databases import fresh_database
from tests.faults.proxy import Proxy
from tests.persistence.feeds import until


@pytest.fixture
async def dsn() -> AsyncIterator[str]:
    """The address of an empty database: notifications need no tables."""
    async with fresh_database() as address:
        yield address


class Ear:
    """Somebody who listens on one channel."""

    def __init__(self, broadcast: Broadcast, channel: str = "c") -> None:
        self.heard: list[str] = []
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._listen(broadcast, channel))

    async def _listen(self, broadcast: Broadcast, channel: str) -> None:
        async with broadcast.subscribe(channel) as subscriber:
            self._ready.set()
            while True:
                event: Any = await subscriber.get()
                self.heard.append(str(event.message))

    async def ready(self) -> Ear:
        await self._ready.wait()
        return self

    async def hears(self, *messages: str) -> None:
        """Wait for these, in whatever order and among whatever else."""
        await until(lambda: set(messages) <= set(self.heard))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class Post:
    """One process's broadcast over this address, and everybody who listens in it."""

    def __init__(self, dsn: str) -> None:
        settings = DatabaseSettings(dsn=dsn, connect_seconds=2)
        self.broadcast, backend = broadcast_over(settings, None, hears_itself=True)
        assert backend is not None
        self.backend: PostgresBackend = backend
        self._ears: list[Ear] = []

    async def __aenter__(self) -> Self:
        await self.broadcast.connect()
        return self

    async def __aexit__(self, *_error: object) -> None:
        async with asyncio.timeout(10):
            for ear in self._ears:
                await ear.close()
            await self.broadcast.disconnect()

    async def listening(self) -> None:
        async with asyncio.timeout(10):
            await self.backend.listening.wait()

    async def ear(self, channel: str = "c") -> Ear:
        self._ears.append(Ear(self.broadcast, channel))
        return await self._ears[-1].ready()

    async def publish(self, message: str, channel: str = "c") -> None:
        await self.broadcast.publish(channel, message)


async def kill(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    killed = await connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = $1 AND datname = current_database()",
        name,
    )
    await connection.close()
    assert killed


async def test_five_who_publish_at_once_are_all_heard_everywhere(dsn: str) -> None:
    async with Post(dsn) as here, Post(dsn) as there:
        await here.listening()
        await there.listening()
        ears = [await here.ear(), await there.ear()]

        await asyncio.gather(*(here.publish(f"{number}") for number in range(5)))

        for ear in ears:
            await ear.hears(*"01234")
            assert sorted(ear.heard) == list("01234")


async def test_thirty_who_subscribe_at_once_all_hear(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        ears = await asyncio.gather(*(post.ear(f"channel-{number % 3}") for number in range(30)))

        for number in range(3):
            await post.publish(f"to {number}", f"channel-{number}")

        for number, ear in enumerate(ears):
            await ear.hears(f"to {number % 3}")
            assert ear.heard == [f"to {number % 3}"]


async def test_a_subscriber_that_comes_while_the_last_one_leaves_hears(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        for number in range(20):
            leaving = await post.ear()
            _, coming = await asyncio.gather(leaving.close(), post.ear())
            await post.publish(f"{number}")
            await coming.hears(f"{number}")
            await coming.close()


async def test_after_a_killed_listener_every_subscriber_looks_again_and_hears_on(dsn: str) -> None:
    async with Post(dsn) as post, Post(dsn) as other:
        await post.listening()
        ears = [await post.ear("a"), await post.ear("b")]
        for number in range(3):
            await kill(dsn, "lifeos listen")
            await other.publish(f"in the gap {number}", "a")
            for ear in ears:
                await until(lambda ear=ear, number=number: ear.heard.count(MISSED) == number + 1)
            await other.publish(f"after {number}", "a")
            await ears[0].hears(f"after {number}")


async def test_after_a_killed_notifier_at_most_one_message_is_refused(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        ear = await post.ear()
        await post.publish("before")
        await kill(dsn, "lifeos notify")

        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            await post.publish("perhaps")
        await post.publish("after")

        await ear.hears("before", "after")


async def test_a_message_that_is_too_long_is_refused_and_the_next_one_heard(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        ear = await post.ear()

        with pytest.raises(asyncpg.PostgresError):
            await post.publish("x" * 8000)
        await post.publish("short")

        await ear.hears("short")


async def test_a_publisher_that_is_cancelled_harms_no_other(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        ear = await post.ear()
        for number in range(20):
            impatient = [asyncio.create_task(post.publish(f"never mind {number}")) for _ in range(3)]
            await asyncio.sleep(0)
            for each in impatient:
                each.cancel()
            await asyncio.wait(impatient)
            await post.publish(f"{number}")
        await ear.hears(*(f"{number}" for number in range(20)))


async def test_a_frozen_link_is_found_by_the_ping(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PING_SECONDS", 0.05)
    monkeypatch.setattr(module, "_PONG_SECONDS", 0.1)
    proxy = Proxy(dsn)
    await proxy.open()
    async with Post(proxy.dsn) as post, Post(dsn) as other:
        await post.listening()
        ear = await post.ear()

        proxy.freeze()
        await until(lambda: not post.backend.listening.is_set())
        await other.publish("nobody hears this")
        proxy.thaw()

        await ear.hears(MISSED)
        await post.listening()
        await other.publish("heard again")
        await ear.hears("heard again")
    await proxy.close()


async def test_publishing_over_a_frozen_link_is_refused_and_no_hang(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PONG_SECONDS", 0.1)
    proxy = Proxy(dsn)
    await proxy.open()
    async with Post(proxy.dsn) as post, Post(dsn) as other:
        await other.listening()
        ear = await other.ear()
        await post.publish("before")

        proxy.freeze()
        async with asyncio.timeout(5):
            with pytest.raises((TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await post.publish("lost")
        proxy.thaw()
        await post.publish("after")

        await ear.hears("before", "after")
    await proxy.close()


async def test_a_server_that_comes_late_or_goes_for_a_while_is_waited_for(dsn: str) -> None:
    proxy = Proxy(dsn)
    await proxy.open()
    await proxy.close()
    async with Post(proxy.dsn) as post, Post(dsn) as other:
        ear = await post.ear()
        for number in range(2):
            assert not post.backend.listening.is_set()
            await proxy.open()
            await post.listening()
            await other.publish(f"{number}")
            await ear.hears(f"{number}")
            await proxy.close()
            await until(lambda: not post.backend.listening.is_set())
        assert ear.heard.count(MISSED) == 1


async def test_a_server_that_hangs_up_in_the_middle_of_a_greeting_is_tried_again(dsn: str) -> None:
    greeted = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        await reader.read(8)
        # Half of an answer, nonsense, or nothing at all.
        writer.write([b"", b"R\0\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"][greeted % 3])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Post(f"postgresql://somebody@127.0.0.1:{port}/x?sslmode=disable") as post:
        await until(lambda: greeted >= 4)
        assert post.backend._listener is not None  # pyright: ignore[reportPrivateUsage]
        assert post.backend._listener.is_well  # pyright: ignore[reportPrivateUsage]
    server.close()


async def test_a_flood_that_nobody_reads_becomes_one_word_to_look(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 100)
    async with Post(dsn) as post:
        await post.listening()
        await post.backend.subscribe("c")
        for number in range(1000):
            post.backend._heard(None, 0, "", f"c {number}")  # pyright: ignore[reportPrivateUsage]
            assert post.backend._waiting.qsize() <= 100  # pyright: ignore[reportPrivateUsage]

        messages = [post.backend._waiting.get_nowait().message for _ in range(post.backend._waiting.qsize())]  # pyright: ignore[reportPrivateUsage]

        assert MISSED in messages
        assert messages[-1] == "999"


async def test_what_nobody_subscribed_to_is_dropped(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        ear = await post.ear("mine")
        await post.publish("not mine", "other")
        await post.publish("mine", "mine")
        await ear.hears("mine")
        assert ear.heard == ["mine"]


ODD = asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress")
"""What asyncpg raises when a session is terminated in the middle of a statement."""


async def test_whatever_the_driver_raises_the_listener_listens_again(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original, errors = asyncpg.connect, [ODD, ODD]

    async def connect(*given: Any, **more: Any) -> Any:
        if errors and more["server_settings"]["application_name"] == "lifeos listen":
            raise errors.pop()
        return await original(*given, **more)

    monkeypatch.setattr(module.asyncpg, "connect", connect)
    async with Post(dsn) as post:
        await post.listening()
        ear = await post.ear()

        await post.publish("hello")

        await ear.hears("hello")
        assert errors == []


class Broken:
    """A connection whose protocol has lost its thread, and does not say so."""

    def __init__(self, connection: Any) -> None:
        self.terminate = connection.terminate

    def is_closed(self) -> bool:
        return False

    async def execute(self, *_: Any, **__: Any) -> None:
        raise ODD


async def test_whatever_the_driver_raises_at_most_one_message_is_refused(dsn: str) -> None:
    async with Post(dsn) as post:
        await post.listening()
        ear = await post.ear()
        await post.publish("one")
        post.backend._notifier = Broken(post.backend._notifier)  # type: ignore[assignment]
        with pytest.raises(asyncpg.InternalClientError):
            await post.publish("two")

        await post.publish("three")

        await ear.hears("one", "three")


async def test_who_does_not_want_to_hear_itself_hears_the_others_alone(dsn: str) -> None:
    settings = DatabaseSettings(dsn=dsn)
    mine, theirs = (broadcast_over(settings, None)[0] for _ in range(2))
    async with mine, theirs, asyncio.timeout(20), mine.subscribe("wake") as here, theirs.subscribe("wake") as there:
        for broadcast in (mine, theirs):
            await broadcast._backend.listening.wait()  # pyright: ignore[reportAttributeAccessIssue] - ours
        await mine.publish("wake", "mine")
        await theirs.publish("wake", "theirs")
        assert (await here.get()).message == "theirs"
        assert (await there.get()).message == "mine"
