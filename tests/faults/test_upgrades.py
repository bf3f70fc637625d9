"""Databases one version ahead of the program, and behind it, with live runs in them; old and new processes at once."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from alembic.script import ScriptDirectory

from engine.plans import PlanStep
from persistence.migrate import configuration, migrate
from persistence.revisions import head, may_be_used
from tests.chaos.checker import check
from tests.chaos.fleet import Member
from tests.chaos.nemesis import World
from tests.chaos.people import Crowd
from tests.chaos.trial import Load, more_runs, trial
from tests.databases import THROW_AWAY, _place, fresh_database
from tests.engine.harness import APPROVE, PATIENCE_SECONDS, Act, acting, forever, running, step
from tests.faults.next_version import NEXT, next_migrations
from tests.faults.test_database_away import Place, followed, place, submitted
from tests.packaging.processes import PROGRAMS, environment, run

__all__ = ["place"]

RELAXED = {**THROW_AWAY, "synchronous_commit": "on", "max_connections": "120"}


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(dir=_place()) as name:
        yield Path(name)


@pytest.fixture
async def own() -> AsyncIterator[str]:
    """The address of a new, migrated database that nobody uses after us."""
    async with fresh_database(migrate) as dsn:
        yield dsn


async def asked_of(dsn: str, question: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def readiness(member: Member) -> int:
    async with httpx.AsyncClient(timeout=10) as http:
        return (await http.get(f"{member.url}/readyz")).status_code


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_an_upgrade_under_load_with_old_and_new_processes_side_by_side_loses_nothing(folder: Path) -> None:
    migrations = next_migrations(folder / "next")
    seen: dict[str, Any] = {}

    async def upgrade(world: World) -> None:
        dsn, old = world.keeper.dsn, tuple(world.fleet.members)
        await more_runs(world, 6)
        seen["live"] = await asked_of(dsn, "SELECT count(*) FROM runs WHERE finished_at IS NULL")
        program = (sys.executable, "-m", "tests.faults.next_version", str(migrations))
        for number, serves in ((1, True), (2, False)):
            member = await world.fleet.add(f"next{number}", serves=serves, program=program)
            await member.ready()
        seen["revision"] = await asked_of(dsn, "SELECT version_num FROM alembic_version")
        await more_runs(world, 8)
        seen["old are ready"] = [await readiness(member) for member in old if member.serves]
        for member in old:
            member.retired = True
            member.signal(signal.SIGTERM, by="SIGTERM")
            await member.ended()
        await more_runs(world, 6)

    history, is_quiet = await trial(
        folder / "trial",
        upgrade,
        random.Random(1),
        Load(servers=1, workers=1, every_seconds=0.4),
        settings={},
        cluster=RELAXED,
    )

    found = check(history)
    assert not found, "\n".join(map(str, found))
    assert is_quiet
    assert seen["live"] > 0
    assert seen["revision"] == NEXT
    assert seen["old are ready"] == [200]
    assert {ending["status"] for ending in history["endings"]} == {0}
    assert [line for line in history["people"] if line.get("code", "").startswith("HTTP 5")] == []


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"], ["migrate"]], ids=lambda command: command[0])
async def test_a_program_that_is_older_than_its_database_refuses_in_one_line(
    command: list[str], own: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(own)
    await connection.execute("UPDATE alembic_version SET version_num = $1", NEXT)
    await connection.close()
    env = environment(tmp_path, LIFEOS_DATABASE_URL=own)

    ended = await asyncio.to_thread(run, [PROGRAMS / "lifeos", *command], env=env, cwd=tmp_path)

    assert ended.status != 0
    assert len(ended.errors.splitlines()) == 1, ended.errors
    line = ended.errors
    assert NEXT in line
    assert "newer" in line


def revisions() -> list[str]:
    """All of them, oldest first."""
    script = ScriptDirectory.from_config(configuration())
    return [each.revision for each in script.walk_revisions()][::-1]


async def asked(crowd: Crowd) -> dict[str, Any]:
    """The one approval that waits."""
    async with asyncio.timeout(3 * PATIENCE_SECONDS):
        while True:
            line = await crowd.api.ask(crowd.admin, "approvals", {})
            if line["outcome"] == "ok" and line["answer"]["nodes"]:
                return line["answer"]["nodes"][0]
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("revision", revisions()[:-1])
async def test_a_program_that_is_newer_than_its_database_migrates_it_with_live_runs_in_it(
    revision: str, place: Place
) -> None:
    server, crowd = await place.server()
    gated = {"key": "s1", "tool": "gated", "args": {"n": 1}, "dependsOn": ["s0"]}
    run = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 0}}, gated)
    approval = await asked(crowd)
    server.signal(signal.SIGTERM, by="SIGTERM")
    await server.ended()
    await migrate(place.keeper.dsn, revision)

    await server.start()
    await server.ready()

    assert await asked_of(place.keeper.dsn, "SELECT version_num FROM alembic_version") == head()
    given = {"approvalId": approval["id"], "decision": "APPROVE", "argsDigest": approval["argsDigest"]}
    until = time.monotonic() + PATIENCE_SECONDS
    line = await crowd.api.insist(crowd.admin, "decideApproval", {"input": given}, until=until)
    assert line["outcome"] == "ok", line
    assert (await followed(run, server))[-1] == "WORKFLOW_COMPLETE"
    assert place.effects() == 2
    await crowd.api.close()


def test_a_database_at_our_revision_or_a_newer_one_may_be_worked_on() -> None:
    assert may_be_used(head())
    assert may_be_used(NEXT)
    assert not may_be_used(revisions()[0])
    assert not may_be_used(None)


async def rows_of(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return {
            name: [json.loads(row[0]) for row in await connection.fetch(f"SELECT row_to_json(t)::text FROM {name} t")]
            for (name,) in tables
            if name != "alembic_version"
        }
    finally:
        await connection.close()


async def test_each_migration_goes_back_and_forward_with_data_in_its_tables(own: str) -> None:
    done, doubt = Act("done"), Act("doubt", forever, risk="L1", idempotent=False, timeout=0.05)
    async with running(own, acting(done, doubt, Act("gated", risk="L3"))) as it:
        run = await it.submit(
            step("a", "done"), step("b", "gated", after=["a"]), step("c", "gated"), step("d", "doubt")
        )
        await it.decide(await it.asked(run, "b"), APPROVE)
        await it.until(run, "STEP_SUCCEEDED", step="b")
        await it.asked(run, "d")
        await it.database.execute(
            "INSERT INTO identities (issuer, subject, user_id, roles_at) VALUES ('https://id', 'ada', $1, now())",
            it.admin.id,
        )
        await it.database.execute("INSERT INTO notices VALUES ($1, 0, '{1 of 2 found}')", run)
        each = PlanStep("each", "done", for_each={"$jmespath": "`[1, 2]`"})
        await it.finished(await it.submit(each, answer={"$jmespath": "each"}))
    before = await rows_of(own)
    assert all(before.values()), "every table has data in it"

    for older in [*revisions()[-2::-1], "base"]:
        await migrate(own, older)
        for table, rows in (await rows_of(own)).items():
            kept = [{name: value for name, value in row.items() if name in rows[0]} for row in before[table]]
            assert rows == kept, f"{table} at {older}"

    await migrate(own)
    assert {name for name, rows in (await rows_of(own)).items() if not rows} == set(before)
