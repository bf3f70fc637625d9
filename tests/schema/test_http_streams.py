"""Subscriptions as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest

from schema.edge.http import HttpSettings
from tests.schema.serving import BEARER, Server, log, serving, until

EVENTS = {**BEARER, "Accept": "text/event-stream"}

__all__ = ["log"]
pytestmark = pytest.mark.usefixtures("log")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


async def frames(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Each event's name and value; a comment is an event named ":"."""
    pending = ""
    async for text in response.aiter_text():
        pending += text
        while "\n\n" in pending:
            frame, pending = pending.split("\n\n", 1)
            assert "\r" not in frame
            if frame.startswith(":"):
                yield ":", frame[1:].strip()
                continue
            event, data = frame.split("\n")
            value = data.removeprefix("data: ")
            yield event.removeprefix("event: "), json.loads(value) if value else None


async def events(response: httpx.Response) -> list[tuple[str, Any]]:
    return [frame async for frame in frames(response) if frame[0] != ":"]


@asynccontextmanager
async def streaming(server: Server, query: str, method: str = "POST", **headers: str) -> AsyncIterator[httpx.Response]:
    asked: dict[str, Any] = {"params": {"query": query}} if method == "GET" else {"json": {"query": query}}
    async with server.http.stream(method, "/graphql", headers={**EVENTS, **headers}, **asked) as response:
        yield response


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_subscription_is_a_stream_of_events(server: Server, method: str):
    async with streaming(server, "subscription {count(to: 2)}", method) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert await events(response) == [
            ("next", {"data": {"count": "1"}}),
            ("next", {"data": {"count": "2"}}),
            ("complete", None),
        ]


@pytest.mark.parametrize(
    "accept",
    ["text/event-stream", "text/event-stream, application/json", "application/json, text/event-stream"],
)
async def test_a_subscription_streams_wherever_event_streams_are_taken(server: Server, accept: str):
    async with streaming(server, "subscription {count(to: 1)}", Accept=accept) as response:
        assert [name for name, _ in await events(response)] == ["next", "complete"]


async def test_a_query_may_be_streamed_too(server: Server):
    async with streaming(server, "{hello}") as response:
        assert await events(response) == [("next", {"data": {"hello": "world"}}), ("complete", None)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {nothing}", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {count " + "count " * 3000 + "}", "LIMIT_EXCEEDED"),
        ("subscription {missing}", "NOT_FOUND"),
    ],
)
async def test_a_faulty_operation_is_one_event_with_errors(server: Server, query: str, code: str):
    async with streaming(server, query) as response:
        (name, value), last = await events(response)

    assert (name, last) == ("next", ("complete", None))
    assert value["errors"][0]["extensions"]["code"] == code
    assert "data" not in value


async def test_a_stream_that_breaks_says_so_and_tells_no_secrets(server: Server):
    async with streaming(server, "subscription {breaks}") as response:
        received = await events(response)

    assert received[0] == ("next", {"data": {"breaks": "fine"}})
    assert received[1][1]["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "/srv" not in json.dumps(received)
    assert received[2] == ("complete", None)


async def test_nobody_gets_no_stream(server: Server):
    response = await server.http.post(
        "/graphql", json={"query": "subscription {count}"}, headers={"Accept": "text/event-stream"}
    )

    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_silent_stream_is_kept_open_with_comments():
    async with (
        serving(HttpSettings(heartbeat_seconds=0.02)) as server,
        streaming(server, "subscription {wait}") as response,
        aclosing(frames(response)) as received,
    ):
        names = [(await anext(received))[1] for _ in range(4)]

    assert names == ["open", {"data": {"wait": "waiting"}}, "ping", "ping"]


async def test_a_client_that_goes_ends_its_generator(server: Server):
    async with streaming(server, "subscription {wait}") as response:
        async with aclosing(frames(response)) as received:
            await anext(received)
            await anext(received)
        await response.aclose()

        await asyncio.wait_for(server.toy.closed_now.wait(), 20)
        await until(lambda: not len(server.view.connections))


async def test_a_reader_that_is_stuck_is_dropped_and_its_generator_ends():
    async with serving(HttpSettings(send_timeout_seconds=0.2)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        body = b'{"query":"subscription {count(to: 2000000000, size: 10000)}"}'
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nAccept: text/event-stream\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await reader.readexactly(100)

        await asyncio.wait_for(server.toy.closed_now.wait(), 20)

        await until(lambda: not len(server.view.connections))
        writer.transport.abort()


async def test_a_stopping_server_ends_streams_so_that_clients_come_back(server: Server):
    async with streaming(server, "subscription {wait}") as response, aclosing(frames(response)) as received:
        await anext(received)
        await anext(received)
        await server.view.connections.close_all(1012)

        assert [frame async for frame in received] == []

    await server.toy.closed_now.wait()


async def test_a_revoked_user_gets_an_error_and_their_stream_completes(server: Server):
    async with streaming(server, "subscription {wait}") as response, aclosing(frames(response)) as received:
        await anext(received)
        await anext(received)
        await server.view.connections.close_user("user_ada")

        (name, value), last = [frame async for frame in received]

    assert (name, last) == ("next", ("complete", None))
    assert value["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_streams_count_among_a_users_sockets():
    async with (
        serving(HttpSettings(max_sockets_per_user=1)) as server,
        server.signed_in("bob"),
        streaming(server, "subscription {wait}") as first,
        aclosing(frames(first)) as received,
        streaming(server, "subscription {wait}") as second,
    ):
        await anext(received)
        await second.aread()

    assert second.status_code == 429
    assert second.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
