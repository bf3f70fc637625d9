"""Rows 9 and 10: what reading costs."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

from benchmarks import plans, processes
from benchmarks.bench import Bench
from benchmarks.figures import Row, Target, percentile
from benchmarks.machine import CpuWatch, Meter
from benchmarks.processes import child
from benchmarks.rows.throughput import CLIENTS
from benchmarks.seed import outside
from benchmarks.wire import Wire

_LEAVES = "key name tool riskLevel state attempt deadLettered createdAt startedAt finishedAt"
LARGE = f"query($id:ID!){{run(id:$id){{steps{{{_LEAVES} dependsOn{{key}} toolCalls{{status}} approvals{{status}}}}}}}}"
TRIVIAL = "{viewer{name}}"
_STATEMENT = re.compile(rb"LOG:  (?:execute|statement)")


async def queries(bench: Bench) -> list[Row]:
    """Rows 9 and 10."""
    columns, length = bench.of(10, 5), bench.of(100, 10)
    large = Row(9, f"{LARGE.partition('{')[2][:-1]} of {columns * length:,} steps")
    took, statements = large.figure("over HTTP", "ms"), large.figure("statements", "a query")
    trivial = Row(10, "trivial authenticated query")
    rate = trivial.figure(f"{CLIENTS} clients", "/s")
    p99, cost = trivial.figure("p99", "ms"), trivial.figure("server", "µs CPU a query")
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(bench.cluster.fresh())
        server = await stack.enter_async_context(processes.server(bench.folder, dsn))
        it = await stack.enter_async_context(outside(dsn))
        clients = await stack.enter_async_context(
            child("benchmarks.load", server.host, str(server.port), str(CLIENTS), folder=bench.folder)
        )
        wire = Wire(server.host, server.port)
        await wire.open()
        stack.callback(wire.close)
        (run,) = runs = await it.submit(plans.grid(columns, length), 1)
        await it.ended(runs)
        body = plans.body(LARGE, {"id": f"run_{run.hex}"})
        times = bench.of(500, 100) * 10
        answer = await _settled(wire, body)
        await clients.ask("query", query=TRIVIAL, times=times // 10)
        for _ in range(bench.repeats):
            with Meter() as meter:
                for _ in range(bench.of(6, 2)):
                    took.add((await wire.ask(body)).seconds * 1000)
            assert meter.load is not None
            took.foreign.append(meter.load.foreign_cores)
            took.stolen.append(meter.load.stolen_cores)
            cpu = CpuWatch(server.pid)
            with Meter() as meter:
                measured = await clients.ask("query", query=TRIVIAL, times=times)
            rate.add(times / (measured["ended"] - measured["began"]), meter.load)
            p99.add(percentile(measured["milliseconds"], 99), meter.load)
            cost.add(cpu.seconds()[0] / times * 1e6, meter.load)
        for number in await _statements(bench, wire, body):
            statements.add(number)
    large.facts = {"answer_bytes": len(answer)}
    large.targets = [
        Target.at_most("≤ 6 statements", min(statements.samples), 6),
        Target.at_most("≤ 40 ms, median", took.median, 40),
    ]
    trivial.facts = {"query": TRIVIAL}
    trivial.targets = [Target.at_least("≥ 2,000/s", rate.median, 2000)]
    return [large, trivial]


async def _settled(wire: Wire, body: bytes) -> bytes:
    """The answer, once it was asked for often enough to be warm."""
    answer = b""
    for _ in range(5):
        answer = (await wire.ask(body)).body
    if b'"errors"' in answer:
        raise RuntimeError(answer[:1000].decode())
    found = orjson.loads(answer)["data"]["run"]["steps"]
    if any(len(step["toolCalls"]) != 1 for step in found):
        raise RuntimeError("not every step has its tool call")
    return answer


async def _statements(bench: Bench, wire: Wire, body: bytes) -> list[float]:
    """How many statements the server's database logs during each of some queries.

    Its loops go on meanwhile, once a second: the smallest number is the query's own.
    """
    log = bench.folder / "postgres.log"
    await bench.cluster.execute("ALTER SYSTEM SET log_statement = 'all'")
    await bench.cluster.execute("SELECT pg_reload_conf()")
    try:
        await asyncio.sleep(0.5)
        found: list[float] = []
        for _ in range(10):
            before = log.stat().st_size
            await wire.ask(body)
            found.append(len(_STATEMENT.findall(_read_from(log, before))))
            await asyncio.sleep(0.05)
        return found
    finally:
        await bench.cluster.execute("ALTER SYSTEM RESET log_statement")
        await bench.cluster.execute("SELECT pg_reload_conf()")


def _read_from(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read()
