"""Row 14: what the server keeps in memory."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

from benchmarks import plans, processes
from benchmarks.bench import Bench
from benchmarks.figures import Row, Target
from benchmarks.machine import pss_bytes, rss_bytes
from benchmarks.processes import child
from benchmarks.rows.throughput import CLIENTS
from benchmarks.seed import outside

_MB = 1_000_000


async def memory(bench: Bench) -> list[Row]:
    """Row 14."""
    sleeping = bench.of(10_000, 200)
    runs = 100_000 if bench.slow else bench.of(10_000, 300)
    row = Row(14, f"memory of `lifeos serve`: idle; {sleeping:,} steps that sleep; after {runs:,} runs")
    idle = row.figure("idle", "MB")
    database = row.figure("idle, its PostgreSQL", "MB")
    each = row.figure("a sleeping step", "kB")
    early, late = row.figure("after a tenth of the runs", "MB"), row.figure("after all of them", "MB")
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(bench.cluster.fresh())
        server = await stack.enter_async_context(processes.server(bench.folder, dsn, CONCURRENCY=sleeping + 100))
        it = await stack.enter_async_context(outside(dsn))
        await it.workers(1)
        await asyncio.sleep(2)
        idle.add(rss_bytes(server.pid) / _MB)
        database.add(pss_bytes(bench.cluster.pid) / _MB)
        # Connections that open and statements that are prepared are not the sleeping steps' memory.
        await it.ended(await it.submit(plans.chain(5), 200))
        await asyncio.sleep(1)
        before = rss_bytes(server.pid)
        width = min(1000, sleeping)
        await it.submit(plans.side_by_side(width, tool="rest", seconds=3600), sleeping // width)
        while sleeping > (await it.fetch("SELECT count(*) FROM steps WHERE owner IS NOT NULL"))[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        each.add((rss_bytes(server.pid) - before) / sleeping / 1000)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(bench.cluster.fresh())
        server = await stack.enter_async_context(processes.server(bench.folder, dsn))
        it = await stack.enter_async_context(outside(dsn))
        clients = await stack.enter_async_context(
            child("benchmarks.load", server.host, str(server.port), str(CLIENTS), folder=bench.folder)
        )
        for part in range(10):
            answer = await clients.ask("submit", plan=plans.chain(2), times=runs // 10)
            await it.ended([UUID(hex=run) for run in answer["runs"]])
            if part in {0, 9}:
                await asyncio.sleep(1)
                (early if part == 0 else late).add(rss_bytes(server.pid) / _MB)
    growth = row.ratio("after all / after a tenth", late, early)
    row.facts = {"sleeping": sleeping, "runs": runs}
    row.targets = [
        Target.at_most("idle: ≤ 150 MB", idle.median, 150),
        Target.at_most("≤ 30 kB a sleeping step", each.median, 30),
        Target.at_most("flat: at most 5 % more after all the runs than after a tenth", growth.median, 1.05),
    ]
    return [row]
