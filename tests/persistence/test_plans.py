"""What the planner makes of the hot statements: their cost follows what moves, not what ever was, nor its square."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence import approvals_feed, gauges, timeline, workers
from persistence.database import session_settings
from persistence.moves import begin, planning, rescue
from persistence.moves.claim import Entry, claim, enter
from persistence.moves.decide import overdue_runs
from persistence.moves.inputs import Claimer
from persistence.moves.locks import lock_free_runs, lock_runs
from persistence.moves.references import freed_references
from persistence.moves.row import ClaimedStep
from persistence.moves.settle import advance, advance_free
from persistence.moves.submit import submit
from persistence.moves.succeed import succeed
from tests.persistence.stage import Draft, Stage, failed, planned, staged, succeeded

HISTORY = 3000
"""Runs that ended long ago, of three steps each."""
MOVING = 120
"""Runs whose steps move at once."""


class Explaining:
    """A connection that runs statements to see what they cost, and takes them back."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection
        self.nodes: list[dict[str, Any]] = []

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            answer = await self._connection.fetchval(f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {statement}", *values)
        finally:
            await transaction.rollback()
        self.nodes += list(_nodes(json.loads(answer)[0]["Plan"]))
        return []

    async def fetchrow(self, statement: str, *values: Any) -> None:
        await self.fetch(statement, *values)

    async def execute(self, statement: str, *values: Any) -> str:
        await self.fetch(statement, *values)
        return "UPDATE 0"

    @property
    def most_rows(self) -> int:
        """How many rows any node of any plan gave, threw away or looked up, all its loops together."""
        keys = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
        return max(round(node["Actual Loops"] * max(node.get(key, 0) for key in keys)) for node in self.nodes)

    @property
    def scanned_whole(self) -> set[str]:
        return {
            node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan" and node["Actual Loops"]
        }


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


class Filled:
    """A database with a long history, in which a few runs move."""

    def __init__(self, stage: Stage, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self.stage = stage
        self._connection = connection
        self.worker: UUID
        self.dead: UUID
        self.steps: list[ClaimedStep]

    async def explained(self, work: Callable[[Any], Awaitable[Any]]) -> Explaining:
        explaining = Explaining(self._connection)
        await work(explaining)
        return explaining

    async def fill(self) -> None:
        stage = self.stage
        self.worker, self.dead = await stage.worker(), await stage.worker()
        old = await stage.begun(Draft(), Draft(after=(0,)), Draft(gated=True))
        await stage.cancel(old)
        await self._repeat(old)
        runs = [await stage.begun(Draft(), Draft(), Draft(after=(0,)), Draft(gated=True)) for _ in range(MOVING)]
        self.steps = await stage.claim(self.worker, slots=MOVING)
        assert len(self.steps) == MOVING
        await stage.claim(self.dead, slots=10)
        async with stage.database.connection() as connection:
            await workers.end(connection, [self.dead])
        # A storm of retries: all these are READY, and not due for long.
        await stage.database.execute(
            "UPDATE steps SET due_at = due_at + interval '1 hour' WHERE state = 'READY' AND run_id <> $1", runs[0]
        )
        await stage.database.execute(
            "UPDATE approvals SET expires_at = clock_timestamp() + interval '1 hour' WHERE status = 'REQUIRED'"
        )

    async def _repeat(self, run: UUID) -> None:
        async with self.stage.database.connection() as connection:
            await connection.execute("ALTER TABLE tool_calls DISABLE TRIGGER USER")
            await connection.execute(
                f"CREATE TEMP TABLE copies AS SELECT gen_random_uuid() AS id FROM generate_series(1, {HISTORY})"
            )
            for table, key in (
                ("runs", "id"),
                *((each, "run_id") for each in ("steps", "approvals", "timeline_events")),
            ):
                columns = [
                    row[0]
                    for row in await connection.fetch(
                        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0", table
                    )
                ]
                own = {key: "copies.id", "id": "copies.id" if key == "id" else "gen_random_uuid()"}
                own["moved_at"] = "t.moved_at - interval '1 day'"
                values = ", ".join(own.get(column, f"t.{column}") for column in columns)
                await connection.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM copies, {table} t"
                    f" WHERE t.{key} = '{run}'"
                )
            await connection.execute("DROP TABLE copies")
            await connection.execute(
                "INSERT INTO workers (id, host, pid, lease_until, ended_at)"
                f" SELECT gen_random_uuid(), 'gone', 1, now(), now() FROM generate_series(1, {HISTORY})"
            )


@asynccontextmanager
async def filled_database(dsn: str, *, analyzed: bool) -> AsyncGenerator[Filled]:
    async with staged(dsn) as stage:
        connection = await asyncpg.connect(dsn, server_settings=session_settings(stage.database.settings))
        filled = Filled(stage, connection)
        await filled.fill()
        if analyzed:
            await connection.execute("ANALYZE")
        yield filled
        await connection.close()


@pytest.fixture(params=["analyzed", "never analyzed"])
async def filled(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Filled]:
    async with filled_database(dsn, analyzed=request.param == "analyzed") as it:
        yield it


@pytest.mark.parametrize("filled", ["analyzed"], indirect=True)
async def test_what_a_statement_touches_follows_what_moves_and_nothing_else(filled: Filled) -> None:
    it, slots = filled, Claimer(filled.worker, MOVING)
    good, bad = ([ends(step, it.worker) for step in it.steps] for ends in (succeeded, failed))
    runs = sorted({step.run for step in it.steps})
    fresh = [begin.NewRun(UUID(int=n), it.stage.user, None, 0, 3, f"k{n}", b"d" * 32) for n in range(MOVING)]
    recently = datetime.now(UTC) - timedelta(seconds=30)
    statements: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "claim": lambda tx: claim(tx, slots),
        "settle": lambda tx: advance(tx, good, claimer=slots),
        "settle what is free": lambda tx: advance_free(tx, good, claimer=slots),
        "settle successes": lambda tx: succeed(tx, good, claimer=slots),
        "settle failures": lambda tx: advance(tx, bad),
        "references": lambda tx: freed_references(tx, good),
        "lock": lambda tx: lock_runs(tx, runs),
        "lock what is free": lambda tx: lock_free_runs(tx, runs),
        "enter": lambda tx: enter(tx, [Entry(step, it.worker) for step in it.steps]),
        "store runs": lambda tx: stored(tx, fresh),
        "store steps": lambda tx: begin.store_steps(
            tx, [step for run in runs for step in planned_beside(run, it.stage.user)], claimer=slots
        ),
        "submit": lambda tx: submit(
            tx, fresh, [step for run in fresh for step in planned(run.id, [Draft()] * 2, it.stage.user)], claimer=slots
        ),
        "overdue": lambda tx: overdue_runs(tx, at_most=500),
        "the dead": workers.end_expired,
        "the signless": workers.signless,
        "what the dead own": lambda tx: rescue.runs_of(tx, [it.dead], at_most=500),
        "what is lost": lambda tx: rescue.lost_steps(tx, [it.dead], runs),
        "orphans": rescue.close_orphaned_calls,
        "release planning": lambda tx: planning.release_planning(tx, [it.dead]),
        "claim planning": lambda tx: planning.claim_planning(tx, it.worker, at_most=8),
        "events": lambda tx: tx.fetch(timeline._AFTER, runs[0], 3, 500),
        "approvals that moved": lambda tx: tx.fetch(approvals_feed._MOVED, recently),
        "open approvals": lambda tx: tx.fetch(approvals_feed._OPEN),
        "gauges": lambda tx: tx.fetch(gauges._GAUGES),
    }

    found = {name: await it.explained(work) for name, work in statements.items()}

    history = {"runs", "steps", "approvals", "tool_calls", "timeline_events", "workers"}
    assert {name: each.scanned_whole & history for name, each in found.items() if each.scanned_whole & history} == {}
    # A handful of rows for each that moves; its square would be 14,400, and the history has more still.
    assert {name: each.most_rows for name, each in found.items() if each.most_rows > 12 * MOVING} == {}


async def test_a_storm_of_retries_that_are_not_due_costs_a_claim_nothing(filled: Filled) -> None:
    explained = await filled.explained(lambda tx: claim(tx, Claimer(filled.worker, MOVING)))

    assert explained.most_rows < MOVING


async def test_approvals_that_are_open_for_long_cost_an_expiry_nothing(filled: Filled) -> None:
    explained = await filled.explained(lambda tx: overdue_runs(tx, at_most=500))

    assert explained.most_rows <= 1


def planned_beside(run: UUID, user: UUID) -> list[begin.NewStep]:
    """Two more steps for a run that has some."""
    return [replace(step, position=step.position + 100) for step in planned(run, [Draft(), Draft()], user)]


async def stored(tx: Any, runs: list[begin.NewRun]) -> None:
    # What was taken back is missing in the answer.
    with suppress(KeyError):
        await begin.store_runs(tx, runs)


async def test_the_gate_of_tool_calls_planned_over_few_steps_reads_few_of_many(dsn: str) -> None:
    at_once = 20
    async with staged(dsn) as stage:
        worker = await stage.worker()
        chain = [Draft(after=(place - 1,) if place else ()) for place in range(5)]
        for _ in range(60):
            await stage.begun(*chain)
        async with stage.database.connection() as connection:
            await connection.execute("ANALYZE")
            # This session's plans are made now, and kept.
            await claim(connection, Claimer(worker, at_once))
            for _ in range(100):
                await stage.begun(*chain)
            async with connection.transaction():
                before = await connection.fetchval(_STEPS_READ)
                done = await claim(connection, Claimer(worker, at_once))
                read = await connection.fetchval(_STEPS_READ) - before

    assert len(done.claimed) == at_once
    assert read < 10 * at_once


_STEPS_READ = """
SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE schemaname = 'public' AND relname = 'steps'"""
