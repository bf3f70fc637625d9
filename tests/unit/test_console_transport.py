"""A request is repeated where that is harmless, and every other answer is one clear error."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from console import transport
from console.client import Client
from console.errors import ConnectionLost, NotLifeOS, Refused, Rejected, ServerUnreachable
from console.settings import Address
from tests.unit.console_peer import HANG_UP, TOKEN, answer, failure, http_peer

RUN = {"id": "run_1", "state": "QUEUED", "riskLevel": "L0", "createdAt": "2025-01-02T03:04:05Z", "intent": "x"}
SUBMITTED = answer({"data": {"submitWorkflow": {"run": RUN, "errors": []}}})
AWAY = answer(failure("UNAVAILABLE", "the database can't be reached"), status="503 Service Unavailable")
NO_TOOLS = answer({"data": {"tools": []}})
RETRIED = answer({"data": {"retryStep": {"step": None, "errors": []}}})


async def test_a_request_carries_the_token_and_prefers_the_api_media_type() -> None:
    async with http_peer(NO_TOOLS) as peer, Client(peer.address) as client:
        assert await client.tools() == []

    head = peer.headers[0].lower()
    assert f"authorization: bearer {TOKEN}\r\n" in head
    assert "accept: application/graphql-response+json" in head
    assert head.startswith("post /graphql http/1.1")


async def test_a_query_is_repeated_while_the_database_is_away() -> None:
    async with http_peer(AWAY, AWAY, NO_TOOLS) as peer, Client(peer.address) as client:
        assert await client.tools() == []

    assert len(peer.requests) == 3


async def test_a_query_is_repeated_when_the_connection_breaks() -> None:
    async with http_peer(HANG_UP, NO_TOOLS) as peer, Client(peer.address) as client:
        assert await client.tools() == []

    assert len(peer.requests) == 2


async def test_a_submit_that_may_have_arrived_is_repeated_under_the_same_key() -> None:
    async with http_peer(HANG_UP, AWAY, SUBMITTED) as peer, Client(peer.address) as client:
        run = await client.submit(intent="x")

    keys = {request["variables"]["input"]["idempotencyKey"] for request in peer.requests}
    assert run.id == "run_1"
    assert len(peer.requests) == 3
    assert len(keys) == 1
    assert keys != {None}


async def test_two_submits_have_two_keys() -> None:
    async with http_peer(SUBMITTED) as peer, Client(peer.address) as client:
        await client.submit(intent="x")
        await client.submit(intent="x")

    first, second = (request["variables"]["input"]["idempotencyKey"] for request in peer.requests)
    assert first != second


async def test_a_key_of_the_callers_is_the_one_that_is_sent() -> None:
    async with http_peer(SUBMITTED) as peer, Client(peer.address) as client:
        await client.submit(intent="x", key="mine", approve_from="L1")

    assert peer.requests[0]["variables"] == {
        "input": {"intent": "x", "idempotencyKey": "mine", "requireApprovalFrom": "L1"}
    }


@pytest.mark.parametrize(("first", "error"), [(HANG_UP, ConnectionLost), (AWAY, Refused)])
async def test_what_would_happen_twice_is_sent_once(first: bytes, error: type[Exception]) -> None:
    async with http_peer(first, RETRIED) as peer, Client(peer.address) as client:
        with pytest.raises(error):
            await client.retry("step_1")
        assert len(peer.requests) == 1


async def test_patience_with_a_database_that_is_away_ends() -> None:
    async with http_peer(AWAY) as peer, Client(peer.address, patience_seconds=0.3) as client:
        with pytest.raises(Refused, match=r"^UNAVAILABLE: the database can't be reached$"):
            await client.tools()

    assert len(peer.requests) > 1


async def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Client(Address(f"http://127.0.0.1:{port}", TOKEN)) as client:
        with pytest.raises(
            ServerUnreachable, match=rf"^no server answers at http://127.0.0.1:{port} \(connection refused"
        ):
            await client.tools()


async def test_a_server_that_was_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = asyncio.Event()

    def delays(base_seconds: float, cap_seconds: float) -> Iterator[float]:
        yield 0
        while True:
            refused.set()
            yield base_seconds / 10

    async with http_peer(NO_TOOLS) as peer:
        client = Client(peer.address)
        await client.tools()
    monkeypatch.setattr(transport, "growing_delays", delays)
    async with client:
        asking = asyncio.create_task(client.tools())
        await refused.wait()
        async with http_peer(NO_TOOLS, port=int(client.url.rsplit(":", maxsplit=1)[1])):
            assert await asking == []


@pytest.mark.parametrize(
    "said",
    [
        answer("<h1>It works!</h1>"),
        answer("<h1>Not found</h1>", status="404 Not Found"),
        answer([1, 2]),
        answer({"hello": "world"}),
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
)
async def test_an_answer_of_something_else_names_the_address(said: bytes) -> None:
    async with http_peer(said) as peer, Client(peer.address) as client:
        with pytest.raises(NotLifeOS, match=r"is LIFEOS_URL right\?$"):
            await client.tools()


async def test_a_proxy_whose_server_is_away_is_asked_again() -> None:
    bad_gateway = answer("<h1>Bad gateway</h1>", status="502 Bad Gateway")
    async with http_peer(bad_gateway, NO_TOOLS) as peer, Client(peer.address) as client:
        assert await client.tools() == []


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (failure("UNAUTHENTICATED", "no token"), "401 Unauthorized", "UNAUTHENTICATED: the server does not know"),
        (failure("INTERNAL", "an error", id="e-7"), "200 OK", "INTERNAL: an error (the server's log has it as e-7)"),
        (failure("LIMIT_EXCEEDED", "slower"), "429 Too Many Requests", "LIMIT_EXCEEDED: slower (again in 7 s)"),
        ({"errors": [{"message": "odd"}]}, "400 Bad Request", "INTERNAL: odd"),
        ({"errors": ["odd"]}, "400 Bad Request", "INTERNAL: the server gave no reason"),
    ],
)
async def test_a_refusal_says_why(body: Any, status: str, text: str) -> None:
    more = "Retry-After: 7\r\n" if status.startswith("429") else ""
    async with http_peer(answer(body, status=status, more=more)) as peer, Client(peer.address) as client:
        with pytest.raises(Refused) as caught:
            await client.tools()

    assert str(caught.value).startswith(text)


async def test_every_fault_of_an_input_is_named_with_its_path() -> None:
    errors = [
        {"code": "UNKNOWN_TOOL", "message": "there is no tool fly", "path": ["plan", "steps", "0", "tool"]},
        {"code": "INVALID_PLAN", "message": "a cycle", "path": None},
    ]
    refused = answer({"data": {"submitWorkflow": {"run": None, "errors": errors}}})
    async with http_peer(refused) as peer, Client(peer.address) as client:
        with pytest.raises(Rejected) as caught:
            await client.submit(plan={"steps": []})

    assert str(caught.value) == "UNKNOWN_TOOL: there is no tool fly (plan.steps.0.tool); INVALID_PLAN: a cycle"
    assert caught.value.has("INVALID_PLAN")
    assert not caught.value.has("NOT_FOUND")


async def test_what_is_not_there_is_not_found() -> None:
    async with http_peer(answer({"data": {"run": None}})) as peer, Client(peer.address) as client:
        with pytest.raises(Refused, match=r"^NOT_FOUND: there is no run 'run_9' that this user may see$"):
            await client.run("run_9")


async def test_an_answer_without_what_was_promised_is_a_clear_error() -> None:
    async with http_peer(answer({"data": {"run": {"id": "run_1"}}})) as peer, Client(peer.address) as client:
        with pytest.raises(NotLifeOS, match=r"Run\.state"):
            await client.run("run_1")


async def test_all_pages_are_read() -> None:
    def page(*ids: str, after: str | None) -> bytes:
        nodes = [{**RUN, "id": run_id} for run_id in ids]
        info = {"hasNextPage": after is not None, "endCursor": after}
        return answer({"data": {"runs": {"nodes": nodes, "pageInfo": info}}})

    async with (
        http_peer(page("run_3", "run_2", after="c"), page("run_1", after=None)) as peer,
        Client(peer.address) as client,
    ):
        found = await client.runs(limit=5)

    assert [run.id for run in found] == ["run_3", "run_2", "run_1"]
    assert [(each["variables"]["first"], each["variables"]["after"]) for each in peer.requests] == [(5, None), (3, "c")]
