"""The limit: what the same database does with the same work and nothing else around it.

One loop over a fixed schema with the design's core: one statement settles a batch of steps, counts down those that
depend on them, claims what became ready, writes its tool calls, three events a step and the run's progress. No API, no
tools, no leases that anybody watches, no retries, no approvals, no references, no checks, no other process.

`python -m benchmarks.bare DSN`, spoken to by lines.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

import asyncpg
import uvloop

from benchmarks.processes import answer_lines
from persistence.database import DatabaseSettings, session_settings

_SCHEMA: Final = """
DROP TABLE IF EXISTS events, tool_calls, dependencies, steps, runs;
CREATE TABLE runs (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    state text NOT NULL DEFAULT 'EXECUTING',
    open_steps integer NOT NULL,
    last_seq integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE TABLE steps (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    run_id bigint NOT NULL REFERENCES runs,
    key text NOT NULL,
    tool text NOT NULL,
    args jsonb NOT NULL,
    risk smallint NOT NULL,
    state text NOT NULL,
    remaining integer NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz,
    ready_at timestamptz,
    result jsonb,
    error text
) WITH (fillfactor = 70);
CREATE INDEX ON steps (run_id);
CREATE INDEX ON steps (ready_at) WHERE state = 'READY';
CREATE INDEX ON steps (owner) WHERE state = 'RUNNING';
CREATE TABLE dependencies (
    step_id bigint NOT NULL REFERENCES steps,
    depends_on bigint NOT NULL REFERENCES steps,
    PRIMARY KEY (step_id, depends_on)
);
CREATE INDEX ON dependencies (depends_on);
CREATE TABLE tool_calls (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    run_id bigint NOT NULL,
    step_id bigint NOT NULL,
    attempt integer NOT NULL,
    execution_key text NOT NULL UNIQUE,
    args jsonb NOT NULL,
    result jsonb,
    status text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
) WITH (fillfactor = 70);
CREATE TABLE events (
    run_id bigint NOT NULL,
    seq integer NOT NULL,
    type text NOT NULL,
    step_id bigint,
    message text NOT NULL,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, seq)
);
"""

_RUNS: Final = "INSERT INTO runs (owner, open_steps) SELECT 'u', $2 FROM generate_series(1, $1::int) RETURNING id"

_STEPS: Final = """
INSERT INTO steps (run_id, key, tool, args, risk, state, remaining, ready_at)
SELECT run, 's' || k, 'noop', '{"n": 1}', 0, CASE k WHEN 1 THEN 'READY' ELSE 'PENDING' END, least(k - 1, 1), now()
FROM unnest($1::bigint[]) AS run, generate_series(1, $2::int) AS k ORDER BY run, k
"""

_DEPENDENCIES: Final = """
INSERT INTO dependencies (step_id, depends_on)
SELECT id, before FROM (
    SELECT id, lag(id) OVER (PARTITION BY run_id ORDER BY id) AS before FROM steps WHERE run_id = ANY($1::bigint[])
) AS pairs WHERE before IS NOT NULL
"""

_CLAIM: Final = """
WITH claimed AS (
    UPDATE steps SET state = 'RUNNING', attempt = attempt + 1, owner = 'w', lease_until = now() + interval '30 s'
    WHERE id IN (SELECT id FROM steps WHERE state = 'READY' ORDER BY ready_at LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING id, run_id, key, tool, args, attempt),
called AS (
    INSERT INTO tool_calls (run_id, step_id, attempt, execution_key, args, status)
    SELECT run_id, id, attempt, id || ':' || attempt, args, 'STARTED' FROM claimed),
grown AS (
    UPDATE runs SET last_seq = last_seq + c.n
    FROM (SELECT run_id, count(*) AS n FROM claimed GROUP BY 1) AS c WHERE runs.id = c.run_id
    RETURNING runs.id, last_seq, c.n),
recorded AS (
    INSERT INTO events (run_id, seq, type, step_id, message)
    SELECT c.run_id, g.last_seq - g.n + row_number() OVER (PARTITION BY c.run_id ORDER BY c.id), 'step_running', c.id,
        'step_running: ' || c.key
    FROM claimed c JOIN grown g ON g.id = c.run_id)
SELECT id, 0 AS ended FROM claimed
"""

_ADVANCE: Final = """
WITH outcome AS (SELECT * FROM unnest($1::bigint[], $2::jsonb[]) AS o (id, result)),
settled AS (
    UPDATE steps s SET state = 'SUCCEEDED', result = o.result, owner = NULL, lease_until = NULL
    FROM outcome o WHERE s.id = o.id AND s.state = 'RUNNING' AND s.owner = $3
    RETURNING s.id, s.run_id, s.key, s.attempt),
closed AS (
    UPDATE tool_calls c SET status = 'SUCCEEDED', result = o.result, finished_at = clock_timestamp()
    FROM outcome o JOIN settled s ON s.id = o.id
    WHERE c.execution_key = o.id || ':' || s.attempt AND c.status = 'STARTED'),
hit AS (
    SELECT d.step_id, count(*) AS n FROM settled s JOIN dependencies d ON d.depends_on = s.id GROUP BY 1),
turned AS (
    UPDATE steps s SET remaining = s.remaining - h.n,
        state = CASE WHEN s.remaining = h.n THEN 'RUNNING' ELSE s.state END,
        attempt = s.attempt + (s.remaining = h.n)::int,
        owner = CASE WHEN s.remaining = h.n THEN $3 END,
        lease_until = CASE WHEN s.remaining = h.n THEN now() + interval '30 s' END
    FROM hit h WHERE s.id = h.step_id
    RETURNING s.id, s.run_id, s.key, s.tool, s.args, s.attempt, s.state),
called AS (
    INSERT INTO tool_calls (run_id, step_id, attempt, execution_key, args, status)
    SELECT run_id, id, attempt, id || ':' || attempt, args, 'STARTED' FROM turned WHERE state = 'RUNNING'),
recorded AS (
    SELECT run_id, id, 1 AS rank, 'step_succeeded' AS type, key FROM settled
    UNION ALL SELECT run_id, id, 2, 'step_ready', key FROM turned WHERE state = 'RUNNING'
    UNION ALL SELECT run_id, id, 3, 'step_running', key FROM turned WHERE state = 'RUNNING'),
done AS (SELECT run_id, count(*) AS n FROM settled GROUP BY 1),
tally AS (
    SELECT t.run_id, count(*) AS recorded, coalesce(max(d.n), 0) AS done
    FROM recorded t LEFT JOIN done d USING (run_id) GROUP BY 1),
grown AS (
    UPDATE runs r SET open_steps = open_steps - t.done,
        last_seq = last_seq + t.recorded + (open_steps = t.done)::int,
        state = CASE WHEN open_steps = t.done THEN 'COMPLETED' ELSE state END
    FROM tally t WHERE r.id = t.run_id
    RETURNING r.id, last_seq, t.recorded, state),
written AS (
    INSERT INTO events (run_id, seq, type, step_id, message)
    SELECT t.run_id,
        g.last_seq - (g.state = 'COMPLETED')::int - g.recorded
            + row_number() OVER (PARTITION BY t.run_id ORDER BY rank, t.id),
        t.type, t.id, t.type || ': ' || t.key
    FROM recorded t JOIN grown g ON g.id = t.run_id
    UNION ALL
    SELECT id, last_seq, 'workflow_complete', NULL, 'Workflow completed' FROM grown WHERE state = 'COMPLETED')
SELECT id, 0 AS ended FROM turned WHERE state = 'RUNNING'
UNION ALL
SELECT NULL, count(*) FROM grown WHERE state = 'COMPLETED'
"""

_RESULT: Final = '{"ok": true}'


class Bare:
    """The loop, over a database of its own."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._seeded = 0

    async def seed(self, runs: int, steps: int) -> None:
        """Empty tables, and chains in them that wait to be claimed."""
        await self._pool.execute("TRUNCATE runs, steps, dependencies, tool_calls, events RESTART IDENTITY")
        await self._store(runs, steps)
        await self._pool.execute("ANALYZE")
        self._seeded = runs * steps

    async def drain(self, batch: int, window: int) -> dict[str, Any]:
        """Run what was seeded, at most `window` steps at once, settled `batch` at a time; how long it took."""
        began = time.monotonic()
        commits = await self._loop(self._seeded, batch, window)
        ended = time.monotonic()
        events = await self._pool.fetchval("SELECT count(*) FROM events")
        unfinished = await self._pool.fetchval("SELECT count(*) FROM runs WHERE state <> 'COMPLETED'")
        if unfinished:
            raise RuntimeError(f"{unfinished} runs are not complete")
        return {"seconds": ended - began, "commits": commits, "events": events}

    async def chains(self, steps: int, times: int) -> list[float]:
        """Milliseconds of single chains one after the other, from the first claim to the last settled step."""
        took: list[float] = []
        for _ in range(times):
            await self._store(1, steps)
            began = time.perf_counter()
            await self._loop(steps, 1, 1)
            took.append((time.perf_counter() - began) * 1000)
        return took

    async def _store(self, runs: int, steps: int) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            ids = [row[0] for row in await connection.fetch(_RUNS, runs, steps)]
            await connection.execute(_STEPS, ids, steps)
            await connection.execute(_DEPENDENCIES, ids)

    async def _loop(self, total: int, batch: int, window: int) -> int:  # noqa: C901 - a prototype in one piece
        ended: asyncio.Queue[int] = asyncio.Queue()
        tasks: set[asyncio.Task[None]] = set()
        room = asyncio.Event()
        room.set()
        done = running = commits = 0

        async def call(step: int) -> None:
            await asyncio.sleep(0)
            ended.put_nowait(step)

        def start(rows: list[Any]) -> None:
            nonlocal running
            for row in rows:
                if row[0] is not None:
                    running += 1
                    task = asyncio.create_task(call(row[0]))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

        async def claim() -> None:
            nonlocal commits
            while True:
                await room.wait()
                room.clear()
                while (free := window - running) > 0:
                    rows = await self._pool.fetch(_CLAIM, min(free, batch))
                    commits += 1
                    start(rows)
                    if not rows:
                        break

        claimer = asyncio.create_task(claim())
        while done < total:
            group = [await ended.get()]
            while not ended.empty() and len(group) < batch:
                group.append(ended.get_nowait())
            rows = await self._pool.fetch(_ADVANCE, group, [_RESULT] * len(group), "w")
            commits += 1
            done += len(group)
            running -= len(group)
            start(rows)
            if running < window // 2:
                room.set()
        claimer.cancel()
        return commits


async def main(dsn: str) -> None:
    """Make the tables, and do what is asked."""
    # The product's planner settings: without them a plan made for other sizes now and then costs ten times as much.
    planner = session_settings(DatabaseSettings(dsn=dsn))
    async with asyncpg.create_pool(dsn, min_size=4, max_size=4, server_settings=planner) as pool:
        await pool.execute(_SCHEMA)
        bare = Bare(pool)
        await answer_lines({"seed": bare.seed, "drain": bare.drain, "chains": bare.chains})


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
