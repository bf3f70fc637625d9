"""Every limit that the contract names, as it is set by default: the last that fits, and the first that doesn't."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.security.house import ADMIN, House, house


@pytest.fixture
async def home(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(dsn, tmp_path) as opened:
        yield opened


PREVIEW = "query($p: PlanInput, $i: String) {previewPlan(plan: $p, intent: $i) {errors {code message}}}"


async def codes(home: House, **variables: Any) -> list[str]:
    found = await home.ask(PREVIEW, **variables)
    return [error["code"] for error in found["previewPlan"]["errors"]]


async def test_a_plan_has_2000_steps_and_no_more(home: House):
    def plan(count: int) -> dict[str, Any]:
        return {"steps": [{"key": f"k{n}", "tool": "note"} for n in range(count)]}

    assert await codes(home, p=plan(2000)) == []
    assert await codes(home, p=plan(2001)) == ["INVALID_PLAN"]


async def test_arguments_take_262144_bytes_and_no_more(home: House):
    def plan(size: int) -> dict[str, Any]:
        text = "x" * (size - len('{"text":""}'))
        return {"steps": [{"key": "a", "tool": "note", "args": {"text": text}}]}

    assert await codes(home, p=plan(262_144)) == []
    assert await codes(home, p=plan(262_145)) == ["INVALID_PLAN"]


@pytest.mark.parametrize(("over", "state"), [(0, "COMPLETED"), (1, "FAILED")], ids=["at the limit", "one past it"])
async def test_a_result_takes_262144_bytes_and_no_more(home: House, over: int, state: str):
    # No step's arguments are too long here: {"t":…} is three bytes shorter than {"said":…}.
    text = "x" * (262_144 - len('{"said":""}') - 100)
    first = {"key": "a", "tool": "note", "args": {"text": text}}
    longer = {"$jmespath": f"join('', [a.text, '{'y' * (100 + over)}'])"}
    run = await home.submit(ADMIN, first, {"key": "b", "tool": "say", "dependsOn": ["a"], "args": {"t": longer}})
    await home.finished(run)

    shown = await home.ask(f'{{run(id: "{run}") {{state steps {{error {{code}}}}}}}}')

    assert shown["run"]["state"] == state
    assert shown["run"]["steps"][1]["error"] == (None if state == "COMPLETED" else {"code": "RESULT_UNFIT"})


async def test_integers_are_those_that_every_reader_keeps(home: House):
    def plan(number: int) -> dict[str, Any]:
        return {"steps": [{"key": "a", "tool": "number", "args": {"amount": number}}]}

    for sign in (1, -1):
        assert await codes(home, p=plan(sign * (2**53 - 1))) == []
        answer = await home.post(PREVIEW, p=plan(sign * 2**53))
        assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("{runs(first: %d) {nodes {id}}}", 100),
        ("{approvals(first: %d) {nodes {id}}}", 100),
        ("{deadLetters(first: %d) {nodes {id}}}", 100),
        ("{auditLog(first: %d) {nodes {action}}}", 100),
        ('{run(id: "RUN") {timeline(first: %d) {nodes {seq}}}}', 1000),
    ],
)
async def test_a_page_is_as_long_as_it_may_be_and_no_longer(home: House, query: str, most: int):
    query = query.replace("RUN", await home.submit(ADMIN, {"key": "a", "tool": "note"}))

    assert "errors" not in (await home.post(query % most)).json()
    for first in (most + 1, -1):
        answer = (await home.post(query % first)).json()
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_a_user_has_50_sockets_and_a_socket_50_operations_and_no_more(home: House):
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(home.socket(ADMIN)) for _ in range(50)]
        url = home.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"]) as one_more:  # pyright: ignore[reportArgumentType]
            await one_more.send(
                json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {ADMIN}"}})
            )
            with pytest.raises(ConnectionClosed) as closed:
                await one_more.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4429

        for number in range(51):
            payload = {"query": "subscription {approvals {id}}"}
            await sockets[0].send(json.dumps({"id": str(number), "type": "subscribe", "payload": payload}))
        async with asyncio.timeout(20):
            refused = json.loads(await sockets[0].recv())
        assert (refused["id"], refused["type"]) == ("50", "error")
        assert refused["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(("over", "answer"), [(0, "pong"), (1, 1009)], ids=["at the limit", "one past it"])
async def test_a_message_has_256_kib_and_no_more(home: House, over: int, answer: str | int):
    head, tail = '{"type":"ping","payload":{"x":"', '"}}'
    async with home.socket(ADMIN, max_size=None) as socket:
        await socket.send(head + "x" * (256 * 1024 - len(head) - len(tail) + over) + tail)
        try:
            said: str | int = json.loads(await socket.recv())["type"]
        except ConnectionClosed as closed:
            said = closed.rcvd.code if closed.rcvd else 1006

    assert said == answer
