"""Tables with years of history in them, made quickly; and whether a claim looks at any of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import orjson

from benchmarks import plans
from benchmarks.seed import Outside
from persistence import users
from persistence.database import Connection, DatabaseSettings, session_settings
from persistence.moves.claim import claim
from persistence.moves.inputs import Claimer

_RUNS_A_STATEMENT: Final = 20_000

_FILL: Final = """
WITH clock AS (SELECT clock_timestamp() - interval '1 day' AS at),
made AS MATERIALIZED (
    SELECT gen_random_uuid() AS id, clock.at + n * interval '1 ms' AS at FROM generate_series(1, $1::int) AS n, clock),
run AS (
    INSERT INTO runs (id, submitted_by, state, outcome, approve_from, last_seq, succeeded, created_at, started_at,
        finished_at, moved_at)
    SELECT id, $3, 'COMPLETED', 'CLEAN', 3, 3 * $2::int + 3, $2, at, at, at, at FROM made RETURNING id),
step AS (
    INSERT INTO steps (run_id, submitted_by, position, key, name, tool, risk, gated, idempotent, dynamic, feeds, state,
        args, resolved_args, result, depends_on, dependents, needs, remaining, attempt, calls, max_attempts,
        timeout_seconds, created_at, resolved_at, ready_at, started_at, finished_at)
    SELECT id, $3, p, 's' || p, 's' || p, 'noop', 0, false, true, false, false, 'SUCCEEDED', '{"n":1}', '{"n":1}',
        '{"ok":true}', CASE WHEN p > 0 THEN ARRAY[p - 1] ELSE '{}' END,
        CASE WHEN p < $2 - 1 THEN ARRAY[p + 1] ELSE '{}' END, '{}', 0, 1, 1, 3, 60, at, at, at, at, at
    FROM made, generate_series(0, $2 - 1) AS p RETURNING run_id),
call AS (
    INSERT INTO tool_calls (run_id, position, attempt, tool, status, args, result, started_at, finished_at)
    SELECT id, p, 1, 'noop', 'SUCCEEDED', '{"n":1}', '{"ok":true}', at, at
    FROM made, generate_series(0, $2 - 1) AS p RETURNING run_id)
INSERT INTO timeline_events (run_id, seq, type, position, message, metadata, created_at)
SELECT id, seq, CASE seq % 3 WHEN 0 THEN 'STEP_READY' WHEN 1 THEN 'STEP_RUNNING' ELSE 'STEP_SUCCEEDED' END,
    least(seq / 3, $2 - 1), 's is somewhere', '{"attempt":1}', at
FROM made, generate_series(1, 3 * $2 + 3) AS seq
"""


async def fill(dsn: str, *, runs: int, steps: int) -> None:
    """Store so many finished runs, and leave the tables vacuumed and analysed, as autovacuum would in time."""
    connection: Any = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await users.ensure_admin(connection, "lifeos_token-of-the-past")
        user = await connection.fetchval("SELECT id FROM users WHERE name = $1", users.ADMIN_NAME)
        for start in range(0, runs, _RUNS_A_STATEMENT):
            await connection.execute(_FILL, min(_RUNS_A_STATEMENT, runs - start), steps, user)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """How a claim of 100 due steps found its rows."""

    facts: dict[str, Any]
    reads_live_rows_alone: bool
    """By the partial index of due steps, and then by primary key: nothing of the history is looked at."""


async def claim_plan(it: Outside) -> ClaimPlan:
    """The plan of the product's own claim, executed with 100 due steps, and undone."""
    runs = await it.submit(plans.side_by_side(10, tool="noop"), 10)
    executed = orjson.loads(await _explained(it.dsn))[0]
    scans = [each for each in _nodes(executed["Plan"]) if "Relation Name" in each]
    sequential = {each["Relation Name"] for each in scans if each["Node Type"] == "Seq Scan"}
    most = max(_rows_looked_at(each) for each in scans)
    indexes = {f"{each['Relation Name']}: {each['Index Name']}" for each in scans if "Index Name" in each}
    due = len(runs) * 10
    return ClaimPlan(
        facts={
            "due_steps": due,
            "most_rows_looked_at_by_a_scan": most,
            "buffers": executed["Plan"]["Shared Hit Blocks"] + executed["Plan"]["Shared Read Blocks"],
            "milliseconds": executed["Execution Time"],
            "indexes": sorted(indexes),
            "sequential_scans": sorted(sequential),
        },
        reads_live_rows_alone="steps: steps_due" in indexes and not sequential and most <= 2 * due,
    )


class _Undone(Exception):
    pass


class _Explaining:
    """A connection that records its statements' plans, made for any values, as the product's are."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.text = ""

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        literals = ", ".join("'{}'" if value == [] else f"'{value}'" for value in values)
        await self._connection.execute(f"PREPARE explained AS {statement}")
        self.text = await self._connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained ({literals})"
        )
        await self._connection.execute("DEALLOCATE explained")
        return []


async def _explained(dsn: str) -> str:
    worker, text = UUID(int=1), ""
    connection: Any = await asyncpg.connect(dsn, server_settings=session_settings(DatabaseSettings(dsn=dsn)))
    try:
        with suppress(_Undone):
            async with connection.transaction():
                await connection.execute(_ALIVE, worker)
                explaining = _Explaining(connection)
                await claim(cast("Connection", explaining), Claimer(worker, 100))
                text = explaining.text
                raise _Undone
    finally:
        await connection.close()
    return text


_ALIVE: Final = """
INSERT INTO workers (id, host, pid, lease_until) VALUES ($1, 'here', 1, clock_timestamp() + interval '1 minute')
"""


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from _nodes(each)


def _rows_looked_at(scan: dict[str, Any]) -> float:
    # What was found and thrown away was looked at too.
    rows = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return rows * scan["Actual Loops"]
