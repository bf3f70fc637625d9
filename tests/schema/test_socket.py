"""The graphql-transport-ws protocol, spoken byte for byte to a real server."""

import asyncio
import json
import logging
import socket as sockets
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from schema.edge.http import HttpSettings
from tests.schema.serving import log, serving, until

INIT = {"type": "connection_init", "payload": {"authorization": "Bearer ada"}}
DEEP = "[" * 100_000 + "]" * 100_000

__all__ = ["log"]
pytestmark = pytest.mark.usefixtures("log")


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture):
    """Whatever a client does, the log holds no error because of it."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def send(socket: ClientConnection, *messages: Any) -> None:
    for message in messages:
        await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 20))


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason that the socket is closed with, whatever comes before."""
    with pytest.raises(ConnectionClosed) as ended:  # noqa: PT012 - the messages before it don't matter
        while True:
            await asyncio.wait_for(socket.recv(), 20)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


def subscribe(operation_id: Any, query: str, **payload: Any) -> dict[str, Any]:
    return {"id": operation_id, "type": "subscribe", "payload": {"query": query, **payload}}


@asynccontextmanager
async def acknowledged(**settings: Any):
    async with serving(HttpSettings(**settings)) as server, server.signed_in() as socket:
        yield server, socket


# ── the handshake ──


async def test_a_socket_that_says_nothing_is_closed_in_time():
    async with serving(HttpSettings(connection_init_timeout_seconds=0.05)) as server, server.socket() as socket:
        assert await closed(socket) == (4408, "Connection initialisation timeout")


async def test_another_subprotocol_is_not_spoken():
    async with serving() as server, server.socket(subprotocols=["graphql-ws"]) as socket:
        assert (await closed(socket))[0] == 4406


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Cookie": "lifeos_session=ada"},
    ],
)
async def test_a_page_of_another_origin_is_refused_the_handshake(headers: dict[str, str]):
    async with serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket(additional_headers=headers):
                pass

    assert refused.value.response.status_code == 403


async def test_our_own_origin_is_welcome():
    async with serving() as server, server.socket(origin=server.url) as socket:
        await send(socket, INIT)

        assert await receive(socket) == {"type": "connection_ack"}


# ── signing in ──


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"authorization": "Bearer nobody"},
        {"authorization": "ada"},
        {"authorization": "Basic ada"},
        {"authorization": ["Bearer ada"]},
        {"authorization": None, "x": 1},
        {"authorization": "Bearer \u0000"},
        {"authorization": "Bearer " + "x" * 100_000},
    ],
)
async def test_a_socket_without_a_known_token_is_forbidden(payload: dict[str, Any]):
    async with serving() as server, server.socket() as socket:
        await send(socket, json.dumps({"type": "connection_init", "payload": payload}))

        code, reason = await closed(socket)

    assert (code, reason) == (4403, "Forbidden") or ("\\u0000" in json.dumps(payload) and code == 4400)


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer ada"}, {"Cookie": "lifeos_session=ada"}],
)
async def test_header_and_cookie_sign_in_too(headers: dict[str, str]):
    async with serving() as server, server.socket(additional_headers=headers) as socket:
        await send(socket, {"type": "connection_init"})

        assert await receive(socket) == {"type": "connection_ack"}


async def test_the_payloads_token_wins_over_the_headers():
    async with serving() as server, server.socket(additional_headers={"Authorization": "Bearer ada"}) as socket:
        await send(socket, {"type": "connection_init", "payload": {"Authorization": "bearer bob"}})
        await receive(socket)
        await send(socket, subscribe("1", "{viewer}"))

        assert (await receive(socket))["payload"] == {"data": {"viewer": "user_bob"}}


async def test_a_directory_that_is_away_asks_to_come_back():
    async with serving() as server, server.socket() as socket:
        server.users.is_away = True
        await send(socket, INIT)

        assert (await closed(socket))[0] == 1013


async def test_a_directory_that_hangs_asks_to_come_back():
    async with serving(HttpSettings(request_timeout_seconds=0.05)) as server, server.socket() as socket:
        server.users.hangs = True
        await send(socket, INIT)

        assert (await closed(socket))[0] == 1013


async def test_a_second_init_is_one_too_many():
    async with acknowledged() as (_, socket):
        await send(socket, INIT)

        assert await closed(socket) == (4429, "Too many initialisation requests")


async def test_an_operation_before_the_acknowledgement_is_unauthorized():
    async with serving() as server, server.socket() as socket:
        await send(socket, subscribe("1", "{hello}"))

        assert await closed(socket) == (4401, "Unauthorized")


async def test_a_user_has_only_so_many_sockets_and_closing_one_makes_room():
    async with (
        serving(HttpSettings(max_sockets_per_user=2)) as server,
        server.signed_in("ada"),
        server.signed_in("ada2") as second,
        server.signed_in("bob"),
    ):
        third = await server.socket()
        await send(third, INIT)
        assert await closed(third) == (4429, "Too Many Requests")
        await second.close()
        await until(lambda: len(server.view.connections) == 2)
        async with server.signed_in("ada"):
            pass


# ── malformed messages ──


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "nonsense",
        "[]",
        '"x"',
        "1",
        "null",
        "{}",
        DEEP,
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":{"x":' + DEEP + "}}}",
        '{"type":"ping","payload":[]}',
        '{"type":"ping","payload":"x"}',
        '{"type":1}',
        '{"type":["ping"]}',
        '{"type":"' + "é" * 1000 + '"}',
        '{"type":"start","id":"1"}',
        '{"type":"connection_ack"}',
        '{"type":"complete"}',
        '{"type":"complete","id":1}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"","payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":"1","payload":null}',
        '{"type":"subscribe","id":"1","payload":[]}',
        '{"type":"subscribe","id":"1","payload":{"query":5}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":[1]}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":{"x":NaN}}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":{"x":9007199254740993}}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":{"x":"\\u0000"}}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":{"x":"\\ud800"}}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","operationName":5}}',
        '{"type":"subscribe","id":["x"],"payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":{"x":1},"payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":null,"payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":7,"payload":{"query":"{hello}"}}',
        b'{"type":"ping"}',
        b"\xff\xfe",
    ],
    ids=lambda message: str(message)[:60].encode("ascii", "replace").decode(),
)
async def test_a_malformed_message_closes_with_4400(message: str | bytes):
    async with acknowledged() as (_, socket):
        await send(socket, message)

        code, reason = await closed(socket)

    assert code == 4400
    assert reason
    assert len(reason.encode()) <= 123


@pytest.mark.parametrize("ws_max_size", [10_000, 1024 * 1024])
async def test_a_message_that_is_too_long_closes_with_1009(ws_max_size: int):
    settings = HttpSettings(max_message_bytes=10_000)
    async with serving(settings, ws_max_size=ws_max_size) as server, server.signed_in() as socket:
        message = json.dumps({"type": "ping", "payload": {"x": ""}})
        await send(socket, message[:-3] + "é" * ((10_000 - len(message)) // 2) + message[-3:])
        assert await receive(socket) == {"type": "pong"}

        await send(socket, message[:-3] + "é" * 5000 + message[-3:])

        assert (await closed(socket))[0] == 1009


async def test_null_payloads_count_as_none():
    async with serving() as server, server.socket(additional_headers={"Authorization": "Bearer ada"}) as socket:
        await send(socket, {"type": "connection_init", "payload": None}, {"type": "ping", "payload": None})

        assert [await receive(socket), await receive(socket)] == [{"type": "connection_ack"}, {"type": "pong"}]


async def test_pings_are_answered_and_pongs_are_not():
    async with acknowledged() as (_, socket):
        await send(socket, {"type": "pong"}, {"type": "ping"}, {"type": "ping", "payload": {"a": 1}})

        assert [(await receive(socket))["type"] for _ in range(2)] == ["pong", "pong"]


# ── operations ──


async def test_a_query_gets_its_answer_and_completes():
    async with acknowledged() as (_, socket):
        await send(socket, subscribe("1", "query Q($t: String) {echo(text: $t)}", variables={"t": "hi"}))

        assert await receive(socket) == {"id": "1", "type": "next", "payload": {"data": {"echo": "hi"}}}
        assert await receive(socket) == {"id": "1", "type": "complete"}


async def test_a_mutation_runs_over_a_socket():
    async with acknowledged() as (server, socket):
        await send(socket, subscribe("1", 'mutation {order(input: {title: "tea"})}'))

        assert (await receive(socket))["payload"] == {"data": {"order": "1 tea"}}
        assert server.toy.written == ["tea"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": ""}, "BAD_USER_INPUT"),
        ({"query": None}, "BAD_USER_INPUT"),
        ({}, "BAD_USER_INPUT"),
        ({"variables": {"n": 1}}, "BAD_USER_INPUT"),
        ({"query": " \n\t,"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "# nothing but a remark"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "\ufeff"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "hello"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "fragment F on Query {hello}"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "type T {x: Int}"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{hello}", "operationName": "Other"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{nothing}"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{hello}", "operationName": "x" * 300}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A{hello} query B{hello}"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{" * 2000}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query($n: Int!){echo(number: $n)}", "variables": {"n": "x"}}, "BAD_USER_INPUT"),
        ({"query": "{" + "hello " * 3000 + "}"}, "LIMIT_EXCEEDED"),
        ({"query": "subscription {missing}"}, "NOT_FOUND"),
    ],
)
async def test_a_faulty_operation_is_an_error_message_and_the_socket_stays(payload: dict[str, Any], code: str):
    async with acknowledged() as (_, socket):
        await send(socket, {"id": "1", "type": "subscribe", "payload": payload})

        message = await receive(socket)
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        assert message["payload"][0]["message"]
        await send(socket, subscribe("1", "{hello}"))
        assert (await receive(socket))["payload"] == {"data": {"hello": "world"}}


async def test_an_operation_without_a_query_leaves_those_that_run_alone():
    async with acknowledged() as (server, socket):
        await send(socket, subscribe("live", "subscription {wait}"))
        assert (await receive(socket))["payload"] == {"data": {"wait": "waiting"}}

        await send(socket, subscribe("1", ""))
        message = await receive(socket)
        server.toy.go_on.set()

        assert (message["id"], message["type"]) == ("1", "error")
        assert await receive(socket) == {"id": "live", "type": "next", "payload": {"data": {"wait": "done"}}}


async def test_the_id_of_a_running_operation_is_taken_for_one_without_a_query_too():
    async with acknowledged() as (_, socket):
        await send(socket, subscribe("1", "subscription {wait}"), subscribe("1", ""))

        assert (await closed(socket))[0] == 4409


async def test_errors_of_fields_come_with_the_data_and_tell_no_secrets():
    async with acknowledged() as (_, socket):
        await send(socket, subscribe("1", "{hello broken}"))
        message = await receive(socket)

    assert message["payload"]["data"] == {"hello": "world", "broken": None}
    assert message["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "password" not in json.dumps(message)


async def test_a_stream_that_breaks_ends_with_an_error_message():
    async with acknowledged() as (_, socket):
        await send(socket, subscribe("1", "subscription {losesDatabase}"))

        assert (await receive(socket))["payload"] == {"data": {"losesDatabase": "fine"}}
        message = await receive(socket)
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNAVAILABLE")
        assert "10.0.0.1" not in json.dumps(message)


async def test_an_id_in_use_closes_with_4409():
    async with acknowledged() as (server, socket):
        await send(socket, subscribe("x" * 500, "subscription {wait}"))
        await receive(socket)
        await send(socket, subscribe("x" * 500, "{hello}"))

        code, reason = await closed(socket)
        await server.toy.closed_now.wait()

    assert (code, len(reason)) == (4409, 123)


async def test_an_id_is_free_again_once_its_operation_is_over():
    async with acknowledged() as (_, socket):
        for _ in range(3):
            await send(socket, subscribe("1", "{hello}"))
            assert [(await receive(socket))["type"] for _ in range(2)] == ["next", "complete"]


async def test_an_operation_too_many_is_an_error_message_and_the_socket_stays():
    async with acknowledged(max_operations_per_socket=2) as (server, socket):
        for operation_id in ("1", "2", "3"):
            await send(socket, subscribe(operation_id, "subscription {wait}"))
        messages = [await receive(socket) for _ in range(3)]
        refused = next(message for message in messages if message["id"] == "3")
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "LIMIT_EXCEEDED")

        await send(socket, {"id": "1", "type": "complete"})
        await server.toy.closed_now.wait()
        await send(socket, subscribe("3", "subscription {wait}"))

        assert (await receive(socket))["payload"] == {"data": {"wait": "waiting"}}


async def test_complete_ends_the_generator_and_sends_nothing_more():
    async with acknowledged() as (server, socket):
        await send(socket, subscribe("1", "subscription {wait}"))
        await receive(socket)

        await send(socket, {"id": "1", "type": "complete"}, {"id": "unknown", "type": "complete"}, {"type": "ping"})

        assert await receive(socket) == {"type": "pong"}
        await server.toy.closed_now.wait()
        assert server.toy.closed == 1


async def test_a_subscription_sends_each_event_in_order_and_completes():
    async with acknowledged() as (_, socket):
        await send(socket, subscribe("1", "subscription {count(to: 100)}"))

        messages = [await receive(socket) for _ in range(101)]

    assert [message["payload"]["data"]["count"] for message in messages[:-1]] == [str(n) for n in range(1, 101)]
    assert messages[-1] == {"id": "1", "type": "complete"}


async def test_a_generator_that_never_waits_starves_nobody():
    async with acknowledged() as (server, socket):
        await send(socket, subscribe("1", "subscription {count(to: 2000000000)}"))
        await receive(socket)
        draining = asyncio.create_task(closed(socket))

        assert (await server.post("{hello}")).json() == {"data": {"hello": "world"}}
        draining.cancel()


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_client_that_goes_ends_its_generators(*, abruptly: bool):
    async with serving() as server, server.signed_in() as socket:
        await send(socket, subscribe("1", "subscription {wait}"))
        await receive(socket)

        if abruptly:
            socket.transport.abort()
        else:
            await socket.close()

        await asyncio.wait_for(server.toy.closed_now.wait(), 20)
        await until(lambda: not len(server.view.connections))


async def test_a_reader_that_is_stuck_is_dropped_and_its_generators_end():
    async with serving(HttpSettings(send_timeout_seconds=0.2)) as server:
        # Little room in the kernel, so that the sender notices soon.
        raw = sockets.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.setblocking(False)  # noqa: FBT003 - its only parameter
        host, port = server.url.removeprefix("http://").split(":")
        await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
        async with server.signed_in(sock=raw, max_queue=1, close_timeout=0.1) as socket:
            await send(socket, subscribe("1", "subscription {count(to: 2000000000, size: 10000)}"))
            await receive(socket)
            socket.transport.pause_reading()

            await asyncio.wait_for(server.toy.closed_now.wait(), 20)

            await until(lambda: not len(server.view.connections))
            socket.transport.abort()


# ── closing from outside ──


async def test_stopping_closes_every_socket_with_1012_and_its_generators():
    async with serving() as server, server.signed_in() as first, server.signed_in("bob") as second:
        await send(first, subscribe("1", "subscription {wait}"))
        await receive(first)

        await server.view.connections.close_all(1012)

        assert await closed(first) == (1012, "Service Restart")
        assert await closed(second) == (1012, "Service Restart")
        await server.toy.closed_now.wait()


async def test_while_stopping_nobody_is_acknowledged():
    async with serving() as server, server.socket() as socket:
        server.stopping.append(True)
        await send(socket, INIT)

        assert (await closed(socket))[0] == 1012


async def test_a_revoked_users_sockets_are_closed_and_no_others():
    async with serving() as server, server.signed_in() as ada, server.signed_in("bob") as bob:
        await server.view.connections.close_user("user_ada")

        assert await closed(ada) == (4403, "Forbidden")
        await send(bob, {"type": "ping"})
        assert await receive(bob) == {"type": "pong"}


async def test_a_recheck_ends_what_hangs_on_a_token_that_no_longer_holds():
    async with serving() as server, server.signed_in() as ada, server.signed_in("ada2") as other:
        del server.users.tokens["ada"]
        server.users.asked.clear()

        await server.view.recheck()

        assert await closed(ada) == (4403, "Forbidden")
        assert sorted(server.users.asked) == ["ada", "ada2"]
        server.users.is_away = True
        await server.view.recheck()
        await send(other, {"type": "ping"})
        assert await receive(other) == {"type": "pong"}
