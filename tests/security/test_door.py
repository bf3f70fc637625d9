"""Who gets in, and how they are thrown out again: at the whole server, from outside."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.security.house import ADMIN, House, house

LONGEST = 5.0
"""How long a revoked token may keep its sockets."""

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
async def home(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(dsn, tmp_path) as opened:
        yield opened


async def closed_with(socket: Any) -> int:
    async with asyncio.timeout(LONGEST + 5):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                return 1006 if closed.rcvd is None else closed.rcvd.code


# ── one door, three ways in ──


async def test_a_token_opens_http_sockets_and_event_streams_alike(home: House):
    _, token = await home.user("Ada", "SUBMITTER")
    me = "{viewer {name}}"

    over_http = (await home.post(me, token)).json()
    over_sse = (await home.post(me, token, headers=STREAM)).text
    async with home.socket(token) as socket:
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": me}}))
        over_socket = json.loads(await socket.recv())["payload"]
    url = home.url.replace("http", "ws") + "/graphql"
    async with connect(
        url,
        subprotocols=["graphql-transport-ws"],  # pyright: ignore[reportArgumentType]
        additional_headers={"Authorization": f"Bearer {token}"},
    ) as socket:
        await socket.send('{"type": "connection_init"}')
        assert json.loads(await socket.recv())["type"] == "connection_ack"

    assert over_http == over_socket == {"data": {"viewer": {"name": "Ada"}}}
    assert '{"data":{"viewer":{"name":"Ada"}}}' in over_sse


WRONG = ["x", "lifeos_" + "A" * 43, "Bearer", "a" * 9000, "eyJhbGciOiJub25lIn0.e30."]


@pytest.mark.parametrize("token", [None, *WRONG])
async def test_without_a_valid_token_nothing_is_answered(home: House, token: str | None):
    for query in ("{viewer {name}}", "{__schema {types {name}}}", "{__typename}", "{", "subscription {approvals {id}}"):
        for headers in ({}, STREAM, {"Accept": "application/graphql-response+json"}):
            answer = await home.post(query, token, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["UNAUTHENTICATED"]
            assert "data" not in answer.json()
    assert (await home.http.get("/metrics")).status_code == 401
    url = home.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # pyright: ignore[reportArgumentType]
        payload = {} if token is None else {"authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert await closed_with(socket) == 4403


async def test_the_door_is_open_for_nothing_but_health(home: House):
    assert (await home.http.get("/healthz")).json() == {"status": "alive"}
    assert (await home.http.get("/readyz")).status_code == 200


async def test_a_browser_is_given_a_cookie_that_scripts_and_other_sites_never_get(home: House):
    plain = await home.http.get("/graphql", params={"token": ADMIN, "x": "1"})
    secure = await home.http.get("/graphql", params={"token": ADMIN}, headers={"X-Forwarded-Proto": "https"})

    assert plain.status_code == 303
    assert plain.headers["location"] == "/graphql?x=1"
    flags = {flag.strip().lower() for flag in plain.headers["set-cookie"].split(";")[1:]}
    assert flags == {"httponly", "path=/", "samesite=strict"}
    assert "secure" in secure.headers["set-cookie"].lower()
    assert ADMIN not in plain.text
    cookie = {"Cookie": f"lifeos_session={ADMIN}"}
    assert (await home.post("{viewer {name}}", None, headers=cookie)).status_code == 200
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ):
        assert (await home.post("{viewer {name}}", None, headers={**cookie, **headers})).status_code == 401


async def test_a_socket_of_another_origin_is_refused(home: House):
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            home.url.replace("http", "ws") + "/graphql",
            subprotocols=["graphql-transport-ws"],  # pyright: ignore[reportArgumentType]
            additional_headers={"Cookie": f"lifeos_session={ADMIN}"},
            origin="https://evil.example",  # pyright: ignore[reportArgumentType]
        ):
            pass

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["http://{}", "https://{}", "HTTPS://{}:443", "HTTP://{}:80"])
async def test_where_there_is_tls_a_page_that_came_without_is_of_another_origin(home: House, origin: str):
    headers = {
        "Cookie": f"lifeos_session={ADMIN}",
        "Host": "life.example",
        "Origin": origin.format("life.example"),
        "X-Forwarded-Proto": "https",
    }

    answer = await home.post("{viewer {name}}", None, headers=headers)

    assert answer.status_code == (200 if origin.lower().startswith("https") else 401)


@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n"])
@pytest.mark.parametrize("upgrade", ["", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"])
async def test_a_request_names_one_host(home: House, hosts: str, upgrade: str):
    host, port = home.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" if upgrade else "Connection: close\r\n"
    request = f"GET /graphql?query={{__typename}} HTTP/1.1\r\n{hosts}{upgrade}{key}"
    writer.write(f"{request}Authorization: Bearer {ADMIN}\r\n\r\n".encode())

    async with asyncio.timeout(15):
        status = (await reader.readline()).split()[1]
    writer.close()

    assert status in ((b"400", b"403") if upgrade else (b"400",))


# ── tokens ──


async def test_tokens_are_kept_as_hashes_and_their_use_is_noted(home: House):
    _, token = await home.user("Ada", "SUBMITTER")
    digest = hashlib.sha256(token.encode()).digest()
    row = "SELECT last_used_at FROM tokens WHERE hash = $1"
    assert await home.database.fetchval(row, digest) is None

    await home.ask("{viewer {name}}", token)

    assert await home.database.fetchval(row, digest) is not None
    everything = await home.database.fetch("SELECT t::text FROM tokens t")
    assert token not in str(everything)


async def test_an_expired_token_opens_nothing(home: House):
    _, token = await home.user("Ada", "SUBMITTER")
    hash_ = hashlib.sha256(token.encode()).digest()
    await home.database.execute(
        "UPDATE tokens SET expires_at = clock_timestamp() - interval '1 ms' WHERE hash = $1", hash_
    )

    assert (await home.post("{viewer {name}}", token)).status_code == 401


# ── thrown out ──


async def by_mutation(home: House, user: str) -> None:
    answer = await home.ask(
        "mutation($i: RevokeTokensInput!) {it: revokeTokens(input: $i) {errors {message}}}", i={"userId": user}
    )
    assert answer["it"]["errors"] == []


async def elsewhere(home: House, user: str) -> None:
    """Another process revoked it."""
    await home.database.execute(
        "UPDATE tokens SET revoked_at = clock_timestamp() WHERE user_id = $1::uuid", user.removeprefix("user_")
    )


async def by_time(home: House, user: str) -> None:
    await home.database.execute(
        "UPDATE tokens SET expires_at = clock_timestamp() WHERE user_id = $1::uuid", user.removeprefix("user_")
    )


async def by_role(home: House, user: str) -> None:
    await home.database.execute(
        "UPDATE users SET roles = '{SUBMITTER}' WHERE id = $1::uuid", user.removeprefix("user_")
    )


@pytest.mark.parametrize("revoke", [by_mutation, elsewhere, by_time, by_role])
async def test_who_may_no_more_is_thrown_out_of_sockets_and_streams_within_seconds(home: House, revoke: Any):
    user, token = await home.user("Ada", "SUBMITTER", "APPROVER")
    query = {"query": "subscription {approvals {id}}"}
    async with home.socket(token) as socket, home.socket(ADMIN) as other:
        for each in (socket, other):
            await each.send(json.dumps({"id": "1", "type": "subscribe", "payload": query}))
        headers = {"Authorization": f"Bearer {token}", **STREAM}
        async with home.http.stream("POST", "/graphql", json=query, headers=headers) as stream:
            text = stream.aiter_text()
            assert await anext(text) == ": open\n\n"

            begun = time.monotonic()
            await revoke(home, user)
            assert await closed_with(socket) == 4403
            rest = "".join([each async for each in text])
            assert time.monotonic() - begun < LONGEST

        assert "UNAUTHENTICATED" in rest
        await other.send('{"type": "ping"}')
        assert json.loads(await other.recv())["type"] == "pong"
    status = (await home.post("{viewer {roles}}", token)).status_code
    assert status == (200 if revoke is by_role else 401)


async def test_an_open_socket_does_nothing_more_once_its_token_is_revoked(home: House):
    user, token = await home.user("Ada", "ADMIN")
    async with home.socket(token) as socket:
        await by_mutation(home, user)
        mutation = {"query": 'mutation {createUser(input: {name: "Mole", roles: [ADMIN]}) {token}}'}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": mutation}))
        assert await closed_with(socket) == 4403

    assert await home.database.fetchval("SELECT count(*) FROM users WHERE name = 'Mole'") == 0


# ── what is written down ──


async def test_the_audit_log_says_from_where_and_with_which_token(home: House):
    user, token = await home.user("Ada", "SUBMITTER")
    run = await home.submit(token, {"key": "a", "tool": "note"})
    async with home.socket(token) as socket:
        payload = {"query": f'mutation {{cancelRun(input: {{runId: "{run}"}}) {{errors {{code}}}}}}'}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        await socket.recv()

    rows = await home.database.fetch("SELECT * FROM audit_lines WHERE user_id = $1::uuid", user.removeprefix("user_"))

    assert [row["subject"] for row in rows] == [run, run]
    assert {row["address"] for row in rows} == {"127.0.0.1"}
    assert {row["token"] for row in rows} == {hashlib.sha256(token.encode()).hexdigest()[:16]}
    assert len({row["request"] for row in rows}) == 2


async def test_failed_sign_ins_are_written_down_wherever_they_come(home: House):
    await home.post("{viewer {name}}", "wrong")
    await home.post("{viewer {name}}", None)
    await home.post("{viewer {name}}", "wrong", headers=STREAM)
    await home.http.get("/graphql", params={"token": "wrong"})
    await home.http.get("/metrics")
    async with connect(home.url.replace("http", "ws") + "/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # pyright: ignore[reportArgumentType]
        await socket.send('{"type": "connection_init"}')
        assert await closed_with(socket) == 4403
    await home.engine.audit.close()

    rows = await home.database.fetch("SELECT * FROM audit_lines WHERE action = 'SIGN_IN'")
    assert sum(row["times"] for row in rows) == 6
    assert {(row["outcome"], row["address"], row["user_id"]) for row in rows} == {
        ("UNAUTHENTICATED", "127.0.0.1", None)
    }


# ── what goes out ──


async def test_every_answer_carries_the_headers_that_browsers_go_by(home: House):
    token = {"Authorization": f"Bearer {ADMIN}"}
    answers: list[httpx.Response] = [
        await home.post("{viewer {name}}"),
        await home.post("{viewer {name}}", None),
        await home.post("{viewer {name}}", headers=STREAM),
        await home.http.get("/graphql", headers={"Accept": "text/html"}),
        await home.http.get("/graphql", params={"token": "wrong"}),
        await home.http.get("/graphql", params={"token": ADMIN}),
        await home.http.get("/"),
        await home.http.get("/healthz"),
        await home.http.get("/readyz"),
        await home.http.get("/metrics"),
        await home.http.get("/metrics", headers=token),
        await home.http.get("/nothing/here"),
        await home.http.get("/calendar/unknown.ics"),
        await home.http.request("DELETE", "/graphql"),
        await home.http.post("/graphql", content=b"x" * 3_000_000, headers={"Content-Type": "application/json"}),
    ]

    for answer in answers:
        where = f"{answer.request.url} {answer.status_code}"
        assert answer.headers["x-content-type-options"] == "nosniff", where
        assert answer.headers["x-frame-options"] == "DENY", where
        assert answer.headers["referrer-policy"] == "no-referrer", where
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", where
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, where
        assert "frame-ancestors 'none'" in policy, where
        assert "http" not in policy, where
        assert answer.headers["cache-control"] in ("no-store", "no-cache, no-transform"), where
        assert "server" not in answer.headers, where
        assert "access-control-allow-origin" not in answer.headers, where
