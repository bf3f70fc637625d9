"""When something breaks inside, the client gets an id, and the log has the rest under it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_nullable_type,
    is_enum_type,
)

from schema.api.schema import build_schema
from tests.security.fuzz import INSIDE
from tests.security.house import ADMIN, program

QUERIES = [
    "{runs {nodes {id}}}",
    "{runs {totalCount}}",
    "{approvals {nodes {id}}}",
    "{deadLetters {nodes {id}}}",
    'mutation {submitWorkflow(input: {intent: "Plan groceries"}) {errors {message}}}',
    'mutation {cancelRun(input: {runId: "run_00000000000000000000000000000000"}) {errors {message}}}',
    "subscription {approvals {id}}",
    'subscription {timeline(runId: "run_00000000000000000000000000000000") {seq}}',
]


def masked(errors: list[dict[str, Any]]) -> str:
    """The id of the one error, which says nothing else."""
    [error] = errors
    assert error["message"] == "Something went wrong on our side."
    assert set(error["extensions"]) == {"code", "id"}
    assert error["extensions"]["code"] == "INTERNAL"
    return error["extensions"]["id"]


async def test_a_broken_database_shows_nothing_of_itself(dsn: str, tmp_path: Path):
    async with program(dsn, tmp_path) as server:
        owner = await asyncpg.connect(dsn)
        await owner.execute("ALTER TABLE runs RENAME TO walks")
        said: list[httpx.Response] = []
        ids: list[str] = []
        for query in QUERIES:
            accept = {"Accept": "text/event-stream" if query.startswith("subscription") else "application/json"}
            async with server.http.stream(
                "POST", "/graphql", json={"query": query}, headers={"Authorization": f"Bearer {ADMIN}", **accept}
            ) as answer:
                text = ""
                async for part in answer.aiter_text():
                    text += part
                    if "errors" in text:
                        break
                said.append(answer)
                payload = json.loads(text.split("data: ", 1)[1].split("\n")[0] if "event: next" in text else text)
                ids.append(masked(payload["errors"]))
                assert not INSIDE.search(text), text
        async with server.socket(ADMIN) as socket:
            for number, query in enumerate(QUERIES):
                message = {"id": str(number), "type": "subscribe", "payload": {"query": query}}
                await socket.send(json.dumps(message))
                text = str(await socket.recv())
                answered = json.loads(text)
                if answered["type"] == "next":
                    await socket.recv()
                payload = answered["payload"]
                ids.append(masked(payload if isinstance(payload, list) else payload["errors"]))
                assert not INSIDE.search(text), text
        for path in ("/metrics", "/readyz"):
            answer = await server.http.get(path, headers={"Authorization": f"Bearer {ADMIN}"})
            assert not INSIDE.search(answer.text), answer.text
        await owner.execute("ALTER TABLE walks RENAME TO runs")
        await owner.close()
        assert (await server.ask("{runs {totalCount}}"))["runs"]["totalCount"] >= 0
        log = server.said()

    assert all(answer.status_code == 200 for answer in said)
    assert len(set(ids)) == len(ids) == 2 * len(QUERIES)
    records = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    logged = {record["id"]: record for record in records if "id" in record}
    for id_ in ids:
        assert re.search(r'relation "runs" does not exist', logged[id_]["exception"])


# ── text that can't be kept ──


def inputs() -> list[tuple[str, str, dict[str, Any]]]:
    """A mutation for each text in any input, with what else it needs, and `BAD` in that one place."""
    schema = build_schema().documents.schema
    mutation = schema.mutation_type
    assert isinstance(mutation, GraphQLObjectType)
    found: list[tuple[str, str, dict[str, Any]]] = []
    for name, field in mutation.fields.items():
        of = get_nullable_type(field.args["input"].type)
        assert isinstance(of, GraphQLInputObjectType)
        for path, value in places(of):
            found.append(
                (f"{name}({path})", f"mutation($i: {of.name}!) {{{name}(input: $i) {{errors {{code}}}}}}", value)
            )
    return found


def places(of: GraphQLInputObjectType) -> list[tuple[str, dict[str, Any]]]:
    usual = {name: sample(each.type) for name, each in of.fields.items() if isinstance(each.type, GraphQLNonNull)}
    found: list[tuple[str, dict[str, Any]]] = []
    for name, each in of.fields.items():
        for path, value in bad(each.type):
            found.append((f"{name}{path}", {**usual, name: value}))
    return found


def bad(type_: Any) -> list[tuple[str, Any]]:
    type_ = get_nullable_type(type_)
    if isinstance(type_, GraphQLList):
        return [(f".0{path}", [value]) for path, value in bad(type_.of_type)]
    if isinstance(type_, GraphQLInputObjectType):
        return [(f".{path}", value) for path, value in places(type_)]
    if isinstance(type_, GraphQLScalarType) and type_.name == "JSON":
        return [(" as a value", {"a": ["BAD"]}), (" as a name", {"BAD": 1})]
    return [("", "BAD")] if isinstance(type_, GraphQLScalarType) and type_.name in ("String", "ID") else []


def sample(type_: Any) -> Any:
    type_ = get_nullable_type(type_)
    if isinstance(type_, GraphQLList):
        return [sample(type_.of_type)]
    if isinstance(type_, GraphQLInputObjectType):
        return {name: sample(each.type) for name, each in type_.fields.items() if isinstance(each.type, GraphQLNonNull)}
    return next(iter(type_.values)) if is_enum_type(type_) else "x"


UNKEPT = {"NUL": "\\u0000", "half a pair": "\\ud800", "the other half": "a\\udfffb"}


def test_every_input_is_tried():
    assert len(inputs()) > 20


async def test_text_that_cannot_be_kept_is_refused_wherever_it_stands(dsn: str, tmp_path: Path):
    headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
    async with program(dsn, tmp_path) as server:
        for where, mutation, value in inputs():
            for what, escape in UNKEPT.items():
                body = json.dumps({"query": mutation, "variables": {"i": value}}).replace("BAD", f"x{escape}y")
                answer = await server.http.post("/graphql", content=body.encode(), headers=headers)
                assert answer.status_code == 400, (where, what, answer.text)
                [error] = answer.json()["errors"]
                assert error["extensions"]["code"] == "BAD_USER_INPUT", (where, what, answer.text)
        for text in ('"\\u0000"', '"\\ud800"', '"a\x00b"', '"""a\\u0000"""', '"\\u{d800}"'):
            answer = await server.http.post(
                "/graphql",
                json={"query": f"{{runs(filter: {{intentContains: {text}}}) {{totalCount}}}}"},
                headers=headers,
            )
            assert answer.status_code in (200, 400), text
            codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
            assert codes <= {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}, (text, answer.text)
        records = [json.loads(line) for line in server.said().splitlines() if line.startswith("{")]

    assert [record for record in records if record["level"] == "error"] == []


@pytest.mark.parametrize("over", [False, True])
async def test_integers_beyond_what_json_keeps_are_refused(dsn: str, tmp_path: Path, *, over: bool):
    largest = 2**53 - 1 + over
    async with program(dsn, tmp_path) as server:
        body = '{"query": "mutation($i: SubmitWorkflowInput!) {it: submitWorkflow(input: $i) {errors {code path}}}",'
        body += '"variables": {"i": {"plan": {"steps": [{"key": "a", "tool": "pay", "args": {"amount": %d}}]}}}}'
        answer = await server.http.post(
            "/graphql",
            content=(body % largest).encode(),
            headers={"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"},
        )

    assert answer.status_code == (400 if over else 200), answer.text
