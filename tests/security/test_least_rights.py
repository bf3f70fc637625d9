"""The server works with no more rights in its database than it needs, and with those it can't undo what it wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.security.house import ADMIN, house


@pytest.fixture
async def limited(dsn: str) -> AsyncIterator[str]:
    """The same database for a user who owns nothing in it."""
    owner = await asyncpg.connect(dsn)
    name = "limited_" + urlsplit(dsn).path.strip("/")
    await owner.execute(f"CREATE ROLE {name} LOGIN")
    await owner.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {name}")
    await owner.execute(f"REVOKE UPDATE ON audit_lines, timeline_events FROM {name}")
    parts = urlsplit(dsn)
    user, host = parts.netloc.rsplit("@", 1) if "@" in parts.netloc else ("", parts.netloc)
    password = f":{user.split(':', 1)[1]}" if ":" in user else ""
    yield parts._replace(netloc=f"{name}{password}@{host}").geturl()
    await owner.execute(f"DROP OWNED BY {name}")
    await owner.execute(f"DROP ROLE {name}")
    await owner.close()


async def test_the_server_works_without_owning_its_tables(limited: str, tmp_path: Path):
    async with house(limited, tmp_path) as home:
        _, token = await home.user("Ada", "SUBMITTER", "APPROVER")
        run = await home.submit(
            token,
            {"key": "a", "tool": "note"},
            {"key": "b", "tool": "pay", "args": {"amount": 1}, "dependsOn": ["a"]},
            {"key": "c", "tool": "fail"},
        )
        await home.until(run, "WORKFLOW_WAITING_APPROVAL")
        [asked] = (await home.ask("{approvals {nodes {id}}}"))["approvals"]["nodes"]
        decided = await home.ask(
            "mutation($i: DecideApprovalInput!) {it: decideApproval(input: $i) {errors {message}}}",
            token,
            i={"approvalId": asked["id"], "decision": "APPROVE"},
        )
        assert decided["it"]["errors"] == []
        await home.finished(run)
        assert (await home.post("{viewer {name}}", ADMIN)).status_code == 200


@pytest.mark.parametrize("table", ["audit_lines", "timeline_events"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = 'x'",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "DROP TRIGGER {trigger} ON {table}",
        "DROP TABLE {table}",
        "CREATE OR REPLACE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT null'",
    ],
)
async def test_what_was_written_down_is_out_of_its_reach(limited: str, table: str, statement: str):
    words = {"audit_lines": ("outcome", "audit_is_immutable"), "timeline_events": ("message", "timeline_is_immutable")}
    column, trigger = words[table]
    connection = await asyncpg.connect(limited)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(table=table, column=column, trigger=trigger))
    finally:
        await connection.close()
