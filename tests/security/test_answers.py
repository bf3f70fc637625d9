"""Short documents that ask for endless answers, at the whole server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.security.house import ADMIN, House, house


@pytest.fixture
async def home(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(dsn, tmp_path) as opened:
        yield opened


def steps(*before: list[int]) -> list[dict[str, Any]]:
    """A plan's steps, by what each depends on."""
    return [{"key": f"k{n}", "tool": "note", "dependsOn": [f"k{m}" for m in each]} for n, each in enumerate(before)]


def all_after_all(count: int) -> list[dict[str, Any]]:
    return steps(*(list(range(n)) for n in range(count)))


ENDLESS = {
    "there and back": "steps {dependsOn {dependents {dependsOn {dependents {key}}}}}",
    "through the run": "steps {run {steps {run {steps {key}}}}}",
    "through fields that are resolved": "steps {dependsOn {run {id} dependents {run {id} dependsOn {run {id}}}}}",
    "by other names": " ".join(f"a{n}: diagram" for n in range(29)) + " steps {dependsOn {dependents {key state}}}",
}


@pytest.mark.parametrize("fields", ENDLESS.values(), ids=ENDLESS.keys())
async def test_an_answer_without_end_is_refused_and_nobody_waits_for_it(home: House, fields: str):
    run = await home.submit(ADMIN, *all_after_all(160))
    await home.finished(run)

    asking = asyncio.create_task(home.post(f'{{run(id: "{run}") {{{fields}}}}}'))
    answered = 0
    async with asyncio.timeout(20):
        while not asking.done():
            assert (await home.post("{viewer {name}}")).status_code == 200
            answered += 1
        refused = (await asking).json()

    assert refused["data"] is None
    [error] = refused["errors"]
    assert error["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": "MAX_QUERY_NODES", "maximum": 250_000}
    assert answered > 1


@pytest.mark.parametrize(("edges", "is_refused"), [(950, False), (951, True)], ids=["at the limit", "one past it"])
async def test_entries_of_unpaged_lists_are_counted_as_they_come(
    dsn: str, tmp_path: Path, edges: int, *, is_refused: bool
):
    before: list[list[int]] = []
    for n in range(50):
        before.append(list(range(min(n, edges))))
        edges -= len(before[-1])
    # 25 for each of these nodes: one for each of 50 steps, one for each edge between them.
    async with house(dsn, tmp_path, max_query_nodes=40) as home:
        run = await home.submit(ADMIN, *steps(*before))

        answer = (await home.post(f'{{run(id: "{run}") {{steps {{key dependsOn {{key}}}}}}}}')).json()

    assert ("errors" in answer) is is_refused, answer


async def test_a_large_run_is_shown_whole(home: House):
    run = await home.submit(ADMIN, *all_after_all(300))

    shown = await home.ask(
        f'{{run(id: "{run}") {{diagram steps {{key dependsOn {{key}} dependents {{key}} run {{id}}}}}}}}'
    )

    assert [len(step["dependsOn"]) for step in shown["run"]["steps"]] == list(range(300))
    assert [len(step["dependents"]) for step in shown["run"]["steps"]] == list(range(299, -1, -1))


async def test_over_a_socket_the_operation_ends_and_the_socket_stays(home: House):
    run = await home.submit(ADMIN, *all_after_all(160))
    query = f'{{run(id: "{run}") {{{ENDLESS["there and back"]}}}}}'
    async with home.socket(ADMIN) as socket:
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        refused = json.loads(await socket.recv())
        assert json.loads(await socket.recv()) == {"id": "1", "type": "complete"}
        await socket.send('{"type": "ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}

    assert refused["payload"]["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_an_event_that_leads_to_everything_ends_its_subscription(home: House):
    run = await home.submit(ADMIN, *all_after_all(160))
    await home.finished(run)
    query = f'subscription {{timeline(runId: "{run}") {{seq run {{{ENDLESS["there and back"]}}}}}}}'
    async with home.socket(ADMIN) as socket:
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        ended = json.loads(await socket.recv())

    assert (ended["type"], ended["payload"][0]["extensions"]["code"]) == ("error", "LIMIT_EXCEEDED")


async def test_a_plan_that_takes_long_to_look_through_holds_nobody_up(home: House):
    hostile: list[dict[str, Any]] = [
        {"key": f"k{n}", "tool": "note", "dependsOn": ["a"], "args": {"text": {"$jmespath": f"a.t{n}" + "[0]" * 300}}}
        for n in range(500)
    ]
    plan = {"steps": [{"key": "a", "tool": "note"}, *hostile]}
    preview = "query($p: PlanInput!) {previewPlan(plan: $p) {errors {message}}}"
    submit = """mutation($p: PlanInput!) {submitWorkflow(input: {plan: $p, idempotencyKey: "x"}) {errors {message}}}"""

    for document in (preview, submit):
        asking = asyncio.create_task(home.post(document, p=plan))
        answered = 0
        while not asking.done():
            assert (await home.post("{viewer {name}}")).status_code == 200
            answered += 1

        assert (await asking).status_code in (200, 503)
        assert answered > 10
