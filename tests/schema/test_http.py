"""GraphQL over HTTP, from a client's side of a real server."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from schema.edge.http import HttpSettings
from schema.fast.limits import Analysis
from schema.shared.faults import LIMIT_EXCEEDED, RequestError
from tests.schema.serving import BEARER, Server, log, serving

JSON = {"Content-Type": "application/json"}
GRAPHQL = "application/graphql-response+json"
EVIL = {"Origin": "https://evil.example"}
__all__ = ["log"]


Log = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture, log: Log):
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


async def raw(server: Server, head: str, *chunks: bytes) -> str:
    """The answer to a request written by hand."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
    status = (await asyncio.wait_for(reader.readline(), 20)).decode()
    writer.close()
    return status


# ── what is answered ──


async def test_a_query_by_post_is_answered(server: Server):
    response = await server.post("query Q($t: String) {echo(text: $t)}", variables={"t": "hi"}, operationName="Q")

    assert response.status_code == 200
    assert response.json() == {"data": {"echo": "hi"}}
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["cache-control"] == "no-store"


async def test_a_query_by_get_is_answered(server: Server):
    parameters = {"query": "query($t: String) {echo(text: $t)}", "variables": '{"t": "hi"}', "extensions": "{}"}
    response = await server.http.get("/graphql", params=parameters, headers=BEARER)

    assert response.json() == {"data": {"echo": "hi"}}


async def test_a_mutation_by_post_is_done(server: Server):
    response = await server.post('mutation {order(input: {title: "tea", count: 2})}')

    assert response.json() == {"data": {"order": "2 tea"}}


@pytest.mark.parametrize("accept", [None, "*/*", "text/event-stream", GRAPHQL])
async def test_a_mutation_by_get_is_refused_and_not_done(server: Server, accept: str | None):
    headers = {**BEARER, **({"Accept": accept} if accept else {})}
    query = 'mutation {order(input: {title: "tea"})}'
    response = await server.http.get("/graphql", params={"query": query}, headers=headers)

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert server.toy.written == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_other_methods_are_not_allowed(server: Server, method: str):
    response = await server.http.request(method, "/graphql", headers=BEARER)

    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_a_subscription_without_a_stream_is_refused(server: Server):
    response = await server.post("subscription {count}")

    assert response.status_code == 400
    assert "text/event-stream" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        ("application/json", "{", 200),
        ("application/json", "{nothing}", 200),
        ("*/*", "{nothing}", 200),
        (GRAPHQL, "{", 400),
        (GRAPHQL, "{nothing}", 400),
        (GRAPHQL, "query($n: Int!) {echo(number: $n)}", 400),
        (GRAPHQL, "{hello broken}", 200),
        (f"application/json;q=0.5, {GRAPHQL};q=0.9", "{nothing}", 400),
        (f"application/json, {GRAPHQL}", "{nothing}", 200),
        (f"{GRAPHQL};q=0, application/json", "{nothing}", 200),
    ],
)
async def test_the_status_depends_on_the_media_type(server: Server, accept: str, query: str, status: int):
    response = await server.post(query, {"Accept": accept})

    assert response.status_code == status
    assert response.headers["content-type"].split(";")[0] == (
        GRAPHQL if status == 400 or accept == GRAPHQL else "application/json"
    )
    assert ("data" in response.json()) == ("broken" in query)


async def test_urqls_queries_are_no_streams(server: Server):
    accept = f"{GRAPHQL}, application/graphql+json, application/json, text/event-stream, multipart/mixed"
    response = await server.post("{hello}", {"Accept": accept})

    assert response.headers["content-type"].startswith(GRAPHQL)
    assert response.json() == {"data": {"hello": "world"}}


# ── what is refused before it is read ──


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/plain; application/json",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/graphql",
        "application/json; charset=utf-16",
        "",
    ],
)
async def test_a_content_type_that_any_page_may_send_is_refused(server: Server, content_type: str):
    response = await server.http.post(
        "/graphql", content=b'{"query":"{hello}"}', headers={**BEARER, "Content-Type": content_type}
    )

    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_json_in_utf_8_may_say_so(server: Server):
    headers = {**BEARER, "Content-Type": 'Application/JSON; charset="UTF-8"'}
    response = await server.http.post("/graphql", content=b'{"query":"{hello}"}', headers=headers)

    assert response.json() == {"data": {"hello": "world"}}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_a_compressed_body_is_refused(server: Server, encoding: str):
    headers = {**BEARER, **JSON, "Content-Encoding": encoding}
    response = await server.http.post("/graphql", content=gzip.compress(b'{"query":"{hello}"}'), headers=headers)

    assert response.status_code == 415


async def test_a_body_may_be_as_long_as_the_limit_and_no_longer():
    async with serving(HttpSettings(max_body_bytes=1000)) as server:
        body = b'{"query":"{hello}"}'
        for length, status in ((1000, 200), (1001, 413)):
            content = body + b" " * (length - len(body))
            response = await server.http.post("/graphql", content=content, headers={**BEARER, **JSON})
            assert response.status_code == status

    assert response.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_a_body_without_a_length_is_counted_as_it_comes():
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10

    async with serving(HttpSettings(max_body_bytes=1000)) as server:
        response = await server.http.post("/graphql", content=chunks(), headers={**BEARER, **JSON})

    assert response.status_code == 413


@pytest.mark.parametrize("length", [3_000_000, 30_000_000])
async def test_who_sends_far_too_much_still_hears_why(server: Server, length: int):
    response = await server.http.post("/graphql", content=b" " * length, headers={**BEARER, **JSON})

    assert response.status_code == 413
    assert (await server.post("{hello}")).status_code == 200


async def test_a_body_announced_as_too_long_is_refused_before_it_comes(server: Server):
    head = (
        "POST /graphql HTTP/1.1\nHost: x\nAuthorization: Bearer ada\n"
        "Content-Type: application/json\nContent-Length: 99999999999"
    )

    assert "413" in await raw(server, head)


async def test_a_body_that_does_not_come_is_not_waited_for():
    async with serving(HttpSettings(request_timeout_seconds=0.1)) as server:
        head = (
            "POST /graphql HTTP/1.1\nHost: x\nAuthorization: Bearer ada\n"
            "Content-Type: application/json\nContent-Length: 100"
        )

        assert "408" in await raw(server, head, b'{"query":')


# ── malformed requests ──


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'"{hello}"',
        b"5",
        b"[]",
        b'[{"query":"{hello}"}]',
        b"{}",
        b'{"query":null}',
        b'{"query":""}',
        b'{"query":5}',
        b'{"query":{"a":1}}',
        b'{"query":"{hello}","variables":"x"}',
        b'{"query":"{hello}","variables":[1]}',
        b'{"query":"{hello}","operationName":5}',
        b'{"query":"{hello}","operationName":["x"]}',
        b'{"query":"{hello}","extensions":5}',
        b'{"query":"{hello}","variables":{"x":NaN}}',
        b'{"query":"{hello}","variables":{"x":Infinity}}',
        b'{"query":"{hello}","variables":{"x":1e999}}',
        b'{"query":"{hello}","variables":{"x":9007199254740992}}',
        b'{"query":"{hello}","variables":{"x":' + b"9" * 5000 + b"}}",
        b'{"query":"{hello}","variables":{"x":"\\u0000"}}',
        b'{"query":"{hello}","variables":{"\\u0000":1}}',
        b'{"query":"{hello}","variables":{"x":"\\ud800"}}',
        b'{"query":"{hello}","variables":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"[" * 1_000_000,
        b'{"query":"\xff"}',
        b'\xef\xbb\xbf{"query":"{hello}"}',
    ],
    ids=lambda body: body[:50].decode("ascii", "replace"),
)
async def test_a_malformed_body_is_a_clear_400(server: Server, body: bytes):
    response = await server.http.post("/graphql", content=body, headers={**BEARER, **JSON})

    assert response.status_code == 400
    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"]


@pytest.mark.parametrize(
    "parameters",
    [{"variables": "{"}, {"variables": "[1]"}, {"variables": "[" * 5000}, {"extensions": "5"}, {"query": ""}],
)
async def test_malformed_parameters_are_a_clear_400(server: Server, parameters: dict[str, str]):
    response = await server.http.get("/graphql", params={"query": "{hello}", **parameters}, headers=BEARER)

    assert response.status_code == 400


async def test_the_largest_exact_integers_and_digits_in_texts_pass(server: Server):
    value = {"n": 9007199254740991, "m": -9007199254740991, "t": "99999999999999999999", "u": "\\u0000"}
    response = await server.post("query($v: JSON) {echo(value: $v)}", variables={"v": value})

    assert response.json() == {"data": {"echo": value}}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_VALIDATION_FAILED"),
        ("{nothing}", "GRAPHQL_VALIDATION_FAILED"),
        ("{pick(state: RUNING)}", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Query {hello}", "GRAPHQL_VALIDATION_FAILED"),
        ('{echo(text: "\\u0000")}', "BAD_USER_INPUT"),
        ("{echo(value: 9007199254740992)}", "BAD_USER_INPUT"),
        ("{echo(value: " + "9" * 5000 + ")}", "BAD_USER_INPUT"),
        ("{echo(value: 1e999)}", "BAD_USER_INPUT"),
        ("{echo(value: " + "[" * 80 + "]" * 80 + ")}", "BAD_USER_INPUT"),
        ('{when(at: "yesterday")}', "BAD_USER_INPUT"),
        ("{items(first: 101) {nodes {id}}}", "BAD_USER_INPUT"),
        ("{forbidden}", "FORBIDDEN"),
        ("{hello " + "a: hello " * 40 + "}", "LIMIT_EXCEEDED"),
    ],
)
async def test_every_error_has_its_code(server: Server, query: str, code: str):
    response = await server.post(query)

    assert [error["extensions"]["code"] for error in response.json()["errors"]] == [code]


@pytest.mark.parametrize(
    ("type_", "value"),
    [("State!", "RUNING"), ("Int", "x"), ("Int", 2**40), ("DateTime!", "2026-01-01T00:00:00"), ("DateTime!", 5)],
)
async def test_a_variable_that_does_not_fit_is_bad_input(server: Server, type_: str, value: object):
    field = {"State!": "pick(state: $v)", "Int": "echo(number: $v)", "DateTime!": "when(at: $v)"}[type_]
    response = await server.post(f"query($v: {type_}) {{{field}}}", variables={"v": value})

    error = response.json()["errors"][0]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "data" not in response.json()


async def test_suggestions_stay_because_the_caller_is_known(server: Server):
    assert "hello" in (await server.post("{helo}")).json()["errors"][0]["message"]


async def test_scalars_go_in_and_out_alike(server: Server):
    response = await server.post(
        'query($s: State!) {pick(state: $s) when(at: "2026-01-02T04:04:05.5+01:00")}', variables={"s": "DONE"}
    )

    assert response.json()["data"] == {"pick": "DONE", "when": "2026-01-02T03:04:05.500Z"}


# ── our own faults ──


async def test_an_unforeseen_error_is_an_id_here_and_a_traceback_in_the_log(log: Log):
    async with serving() as server:
        response = await server.post("{hello broken}")

    body = response.json()
    assert body["data"] == {"hello": "world", "broken": None}
    (error,) = body["errors"]
    assert error["path"] == ["broken"]
    assert error["message"] == "Something went wrong on our side."
    assert "password" not in response.text
    assert "/srv" not in response.text
    assert [(entry["id"], type(entry["exc_info"])) for entry in log] == [(error["extensions"]["id"], RuntimeError)]


async def test_a_clients_mistakes_leave_nothing_in_the_log(server: Server, log: Log):
    for query in ("{", "{nothing}", "{forbidden}", "{items(first: 101) {nodes {id}}}"):
        await server.post(query)

    assert log == []


async def test_the_database_away_is_unavailable(server: Server):
    response = await server.post("{away}")

    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["data"] is None
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert "10.0.0.1" not in response.text


async def test_an_operation_has_a_deadline():
    async with serving(request_timeout_seconds=0.05) as server:
        response = await server.post("{hello slow}")

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_signing_in_is_part_of_the_deadline():
    loop = asyncio.get_running_loop()
    spent: list[float] = []
    async with serving(HttpSettings(request_timeout_seconds=1)) as server:
        server.users.takes_seconds = 0.9
        # A deadline that begins after the sign-in can't end sooner than this, however often we try.
        while not spent or (min(spent) >= 1.9 and len(spent) < 4):
            begun = loop.time()
            response = await server.post("{slow}")
            spent.append(loop.time() - begun)
            assert response.status_code == 503

    assert min(spent) < 1.9


async def test_a_fault_of_the_endpoint_itself_is_masked_too(server: Server, log: Log):
    server.view.make_context = lambda *_: 1 / 0  # pyright: ignore[reportAttributeAccessIssue]

    response = await server.post("{hello}")

    assert response.status_code == 500
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert [type(entry["exc_info"]) for entry in log] == [ZeroDivisionError]


async def test_while_stopping_everything_is_unavailable(server: Server):
    server.stopping.append(True)

    response = await server.post("{hello}")

    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_a_budget_that_is_used_up_says_when_to_come_back():
    seen: list[int] = []

    def admit(context: Any, analysis: Analysis) -> None:
        seen.append(analysis.points)
        if len(seen) > 1:
            raise RequestError("Slow down.", LIMIT_EXCEEDED, retry_after_seconds=1.2)

    async with serving(admit=admit) as server:
        first, second = [await server.post("{items(first: 10) {nodes {id}}}") for _ in range(2)]

    assert first.status_code == 200
    assert (second.status_code, second.headers["retry-after"]) == (429, "2")
    assert second.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert seen == [12, 12]


# ── signing in ──


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nobody"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic ada"},
        {"Authorization": "ada"},
        {"Authorization": "Bearer " + "x" * 10_000},
        {"Cookie": "lifeos_session=nobody"},
        {"Cookie": "lifeos_session=ada", **EVIL},
        {"Cookie": "lifeos_session=ada", "Origin": "null"},
        {"Cookie": "lifeos_session=ada", "Sec-Fetch-Site": "cross-site"},
        {"Cookie": "lifeos_session=ada", "Sec-Fetch-Site": "same-site"},
        {"Cookie": "lifeos_session=ada", "Authorization": "Bearer nobody"},
    ],
)
@pytest.mark.parametrize("query", ["{hello}", "{__schema {types {name}}}", "{"])
async def test_nobody_gets_nothing(server: Server, headers: dict[str, str], query: str):
    response = await server.http.post("/graphql", json={"query": query}, headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "bearer ada"},
        {"Cookie": "other=1; lifeos_session=ada"},
        {"Cookie": "lifeos_session=ada", "Sec-Fetch-Site": "same-origin"},
        {"Authorization": "Bearer ada", "Cookie": "lifeos_session=bob"},
        {"Authorization": "Bearer ada", **EVIL},
    ],
)
async def test_somebody_gets_their_answer(server: Server, headers: dict[str, str]):
    response = await server.http.post("/graphql", json={"query": "{viewer}"}, headers=headers)

    assert response.json() == {"data": {"viewer": "user_ada"}}


async def test_a_cookie_from_our_own_origin_counts(server: Server):
    headers = {"Cookie": "lifeos_session=ada", "Origin": server.url}

    assert (await server.http.post("/graphql", json={"query": "{hello}"}, headers=headers)).status_code == 200


@pytest.mark.parametrize("trouble", ["is_away", "hangs"])
async def test_a_directory_in_trouble_is_unavailable(trouble: str):
    async with serving(HttpSettings(request_timeout_seconds=0.05)) as server:
        setattr(server.users, trouble, True)

        response = await server.post("{hello}")

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


@pytest.mark.parametrize("path", ["/", "/graphql"])
async def test_the_printed_address_signs_a_browser_in(server: Server, path: str):
    response = await server.http.get(f"{path}?a=1&token=ada&b=%2F", headers={"Accept": "text/html"})

    assert response.status_code == 303
    assert response.headers["location"] == f"{path}?a=1&b=%2F"
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith("lifeos_session=ada;")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert response.headers["referrer-policy"] == "no-referrer"

    assert (await server.http.post("/graphql", json={"query": "{viewer}"})).json()["data"] == {"viewer": "user_ada"}


async def test_over_https_the_cookie_is_secure(server: Server):
    response = await server.http.get("/?token=ada", headers={"X-Forwarded-Proto": "https"})

    assert "secure" in response.headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["nobody", "", "%00", "%F0%9F%98%80"])
async def test_a_wrong_address_is_a_page_with_401(server: Server, token: str):
    response = await server.http.get(f"/graphql?token={token}", headers={"Accept": "text/html"})

    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert response.headers["content-type"].startswith("text/")


async def test_signing_in_while_the_directory_is_away_is_a_page_with_503(server: Server):
    server.users.is_away = True

    assert (await server.http.get("/?token=ada")).status_code == 503


# ── pages ──


async def test_a_browser_gets_the_page(server: Server):
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    response = await server.http.get("/graphql", headers={"Accept": accept})

    assert response.text == "<title>Toy</title>"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html;q=0.5"])
async def test_a_request_for_no_page_gets_none(server: Server, accept: str):
    response = await server.http.get("/graphql", headers={**BEARER, "Accept": accept})

    assert response.status_code == 400
    assert response.json()["errors"]


async def test_a_browsers_query_is_answered_as_one(server: Server):
    response = await server.http.get("/graphql?query={hello}", headers={**BEARER, "Accept": "text/html,*/*;q=0.8"})

    assert json.loads(response.text) == {"data": {"hello": "world"}}
