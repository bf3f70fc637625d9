"""A user's budget of points: one for an operation, and one for each node it may return."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from schema.edge.rates import Rates
from schema.fast.limits import Analysis
from schema.shared.faults import RequestError
from tests.schema.serving import BEARER, serving


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Someone:
    id: str


@dataclass
class Asking:
    viewer: Someone


def costing(points: int) -> Analysis:
    return Analysis(tokens=1, depth=1, aliases=0, directives=0, fields=1, nodes=points - 1, repeats=0)


def bucket(points_per_minute: int = 60) -> tuple[Rates, Clock]:
    clock = Clock()
    return Rates(points_per_minute, clock=clock), clock


def ask(rates: Rates, points: int, user: str = "ada") -> None:
    rates.admit(Asking(Someone(user)), costing(points))


def test_the_whole_budget_may_be_used_and_not_a_point_more():
    rates, _ = bucket()
    ask(rates, 59)
    ask(rates, 1)

    with pytest.raises(RequestError) as refused:
        ask(rates, 1)

    assert refused.value.code == "LIMIT_EXCEEDED"
    assert refused.value.retry_after_seconds == 1
    assert refused.value.extensions == {"limit": "RATE_POINTS_PER_MINUTE", "maximum": 60, "retryAfterSeconds": 1}


def test_points_come_back_evenly_and_after_the_time_that_was_said():
    rates, clock = bucket()
    ask(rates, 60)
    clock.now += 9.5
    with pytest.raises(RequestError) as refused:
        ask(rates, 10)
    assert refused.value.retry_after_seconds is not None

    clock.now += refused.value.retry_after_seconds
    ask(rates, 10)


def test_an_idle_user_saves_up_no_more_than_a_minute():
    rates, clock = bucket()
    ask(rates, 60)
    clock.now += 3600
    ask(rates, 60)

    with pytest.raises(RequestError):
        ask(rates, 1)


def test_a_refused_operation_costs_nothing():
    rates, _ = bucket()
    ask(rates, 50)
    for _ in range(5):
        with pytest.raises(RequestError):
            ask(rates, 11)

    ask(rates, 10)


def test_what_no_minute_can_pay_for_is_refused_as_such():
    rates, _ = bucket()

    ask(rates, 60)
    rates, _ = bucket()
    with pytest.raises(RequestError, match="61 points, and a whole minute has 60"):
        ask(rates, 61)


def test_users_have_budgets_of_their_own():
    rates, _ = bucket()
    ask(rates, 60)

    ask(rates, 60, "bob")


def test_no_budget_means_no_limit():
    rates, _ = bucket(0)

    for _ in range(10):
        ask(rates, 10**6)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("schema.edge.rates._MANY", 100)
    rates, clock = bucket()
    for n in range(1000):
        ask(rates, 1, f"user {n}")
        clock.now += 1

    assert len(rates._buckets) <= 100


# ── on the wire ──

NODES = "{items(first: 9) {nodes {id}}}"
"""Eleven points: one, the page, and nine on it."""


async def test_past_its_budget_a_user_gets_429_and_when_to_come_back():
    async with serving(admit=Rates(22).admit) as server:
        answers = [await server.post(NODES) for _ in range(3)]
        other = await server.post(NODES, {"Authorization": "Bearer bob"})
        same_user = await server.post("{hello}", {"Authorization": "Bearer ada2"})

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refused = answers[2]
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert error["extensions"]["limit"] == "RATE_POINTS_PER_MINUTE"
    assert other.status_code == 200
    assert same_user.status_code == 429


async def test_a_refused_document_costs_nothing():
    async with serving(admit=Rates(11).admit) as server:
        for _ in range(20):
            await server.post("{nothing}")

        assert (await server.post(NODES)).status_code == 200


async def test_event_streams_are_counted_and_refused_like_queries():
    async with serving(admit=Rates(3).admit) as server:
        headers = {**BEARER, "Accept": "text/event-stream"}
        statuses = []
        for _ in range(5):
            answer = await server.http.post("/graphql", json={"query": "{hello}"}, headers=headers)
            statuses.append(answer.status_code)
        assert statuses == [200, 200, 200, 429, 429]
        assert int(answer.headers["retry-after"]) >= 1
        assert len(server.view.connections) == 0


async def test_operations_on_a_socket_are_counted_and_the_socket_stays():
    async with serving(admit=Rates(2).admit) as server, server.signed_in() as socket:
        kinds: list[Any] = []
        for n in range(3):
            await socket.send(json.dumps({"id": str(n), "type": "subscribe", "payload": {"query": "{hello}"}}))
            kinds.append(json.loads(await socket.recv()))
            if kinds[-1]["type"] == "next":
                await socket.recv()

        assert [message["type"] for message in kinds] == ["next", "next", "error"]
        assert kinds[2]["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        await socket.send('{"type": "ping"}')
        assert json.loads(await socket.recv())["type"] == "pong"
