"""A secret goes into the call and nowhere else, however the tool that was given it hands it back."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import asyncpg

from tests.security.house import Program, program
from tests.security.house_tools import FORMS

API = 'kanári/"<7>&+ =\\{x}'
PIN = "48151623421"
SECRETS = {"API": API, "PIN": PIN}
WAYS = ("result", "error", "raised", "doubt")

EVERYTHING = """query($id: ID!) {
    run(id: $id) {
        intent error {code message} diagram notices
        steps {notices key name state waitingFor args resolvedArgs result error {code message}
            approvals {reason proposedArgs editedArgs argsDigest decisionReason}
            toolCalls {args result error {code message} status}}
        approvals {reason proposedArgs editedArgs decisionReason}
        timeline(first: 1000) {nodes {message metadata}}
    }
    deadLetters(first: 100) {nodes {error {message} result}}
    auditLog(first: 100) {nodes {subject detail userName}}
}"""


def written() -> dict[str, str]:
    """Every form of every secret that could be found somewhere, by how it was written."""
    forms = {f"{name}, {how}": form(value) for name, value in SECRETS.items() for how, form in FORMS.items()}
    forms |= {f"{name}, utf-16": value.encode("utf-16-le").hex() for name, value in SECRETS.items()}
    forms |= {f"{name}, json in json": json.dumps(json.dumps(value)) for name, value in SECRETS.items()}
    return {how: form.strip("\"'").removeprefix("Basic ").rstrip("=") for how, form in forms.items()}


def found_in(text: str) -> list[str]:
    """The forms that stand in a text, in base64 within it too."""
    found = [how for how, form in written().items() if form in text]
    for token in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        for shift in range(4):
            inner = token[shift:].replace("-", "+").replace("_", "/")
            decoded = base64.b64decode(inner + "=" * (-len(inner) % 4) if len(inner) % 4 != 1 else inner[:-1])
            found += [f"{name} within {token}" for name, value in SECRETS.items() if value.encode() in decoded]
    return found


def test_the_search_finds_each_form():
    for how, form in written().items():
        assert found_in(f"xx {form} yy"), how
    assert found_in(base64.b64encode(b"user:" + API.encode() + b"!").decode())
    assert found_in(json.dumps({"a": PIN}))
    assert found_in('{"a": 48151623421}')
    assert not found_in("nothing of the kind")


def plan() -> list[dict[str, Any]]:
    reference = {"$secret": "API"}
    steps: list[dict[str, Any]] = [
        {"key": f"{how} {n}", "tool": "echo", "args": {"secret": reference, "how": how, "form": form}, "maxAttempts": 2}
        for how in WAYS
        for n, form in enumerate(FORMS)
    ]
    return [
        *steps,
        {"key": "unfit", "tool": "number", "args": {"amount": reference}},
        {"key": "digits", "tool": "read_number", "args": {"secret": {"$secret": "PIN"}}},
        {"key": "missing", "tool": "echo", "args": {"secret": {"$secret": "NOT_THERE"}}},
        {"key": "gated", "tool": "pay", "args": {"amount": 1, "to": reference}},
        {
            "key": "after",
            "tool": "note",
            "dependsOn": ["result 0"],
            "args": {"text": {"$jmespath": "join(' ', [\"result 0\".inside, 'and'])"}},
        },
    ]


async def approve(server: Program, run: str) -> dict[str, Any]:
    """Approve what the run asks for, with other arguments that hold the secret too; what was shown."""
    data = await server.ask("query($r: ID!) {run(id: $r) {approvals {id proposedArgs argsDigest reason}}}", r=run)
    [asked] = data["run"]["approvals"]
    decision = {
        "approvalId": asked["id"],
        "decision": "APPROVE",
        "argsDigest": asked["argsDigest"],
        "editedArgs": {"amount": 2, "to": {"$secret": "API"}},
    }
    mutation = "mutation($i: DecideApprovalInput!) {it: decideApproval(input: $i) {errors {message}}}"
    assert (await server.ask(mutation, i=decision))["it"]["errors"] == []
    return asked


async def dump(dsn: str) -> dict[str, str]:
    """All that the database holds, as text, by table."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {
            table["tablename"]: "\n".join(
                row[0] for row in await connection.fetch(f'SELECT t::text FROM "{table["tablename"]}" t')
            )
            for table in tables
        }
    finally:
        await connection.close()


async def test_secrets_are_nowhere_but_in_the_call(dsn: str, tmp_path: Path):
    environment = {f"LIFEOS_SECRET_{name}": value for name, value in SECRETS.items()}
    async with program(dsn, tmp_path, **environment) as server:
        run = await server.submit("an-administrators-token", *plan())
        await server.until(run, "APPROVAL_REQUIRED")
        asked = await approve(server, run)
        await server.finished(run)
        shown = await server.ask(EVERYTHING, id=run)
        metrics = (await server.http.get("/metrics", headers={"Authorization": "Bearer an-administrators-token"})).text
        refused = [
            (await server.post("query($r: ID!) {run(id: $r) {id}}", r={"$secret": "API"})).text,
            (await server.post('{previewPlan(intent: "{$secret: API}") {errors {message}}}')).text,
        ]
    said = server.said()

    tables = await dump(dsn)
    assert {name: found for name, text in tables.items() if (found := found_in(text))} == {}
    assert found_in(said) == []
    assert found_in(metrics) == []
    assert found_in(json.dumps(shown, ensure_ascii=False)) == []
    assert found_in(json.dumps(shown)) == []
    assert found_in(" ".join(refused)) == []
    # It was not found because it was replaced, not because nothing was written.
    assert "[secret API]" in said
    assert set(tables) >= {"runs", "steps", "tool_calls", "timeline_events", "approvals", "audit_lines", "tokens"}
    steps = {step["key"]: step for step in shown["run"]["steps"]}
    assert len(steps) == len(WAYS) * len(FORMS) + 5
    assert steps["result 0"]["state"] == "SUCCEEDED"
    assert steps["result 0"]["result"]["plain"] == {"$secret": "API"}
    assert steps["result 0"]["result"]["inside"] == "<<[secret API]>>"
    assert steps["result 0"]["notices"] == ["<<[secret API]>>"]
    assert len(shown["run"]["notices"]) == len(FORMS)
    assert steps["after"]["result"] == {"text": "<<[secret API]>> and"}
    assert steps["digits"]["result"]["in"] == [{"$secret": "PIN"}]
    assert steps["missing"]["error"]["code"] == "SECRET_MISSING"
    assert steps["gated"]["result"] == {"paid": 2, "to": {"$secret": "API"}}
    assert asked["proposedArgs"] == {"amount": 1, "to": {"$secret": "API"}}
    assert all(steps[f"{how} 0"]["error"]["message"].count("[secret API]") for how in WAYS[1:])


async def test_the_servers_own_secrets_are_not_logged(dsn: str, tmp_path: Path):
    async with program(dsn, tmp_path) as server:
        run = await server.submit(
            "an-administrators-token", {"key": "a", "tool": "echo", "args": {"secret": "an-administrators-token"}}
        )
        await server.finished(run)
        # What is printed for the person who started it is not in a log.
        said = "\n".join(line for line in server.said().splitlines() if "?token=" not in line)

    assert "[secret ADMIN_TOKEN]" in said
    assert "an-administrators-token" not in said
