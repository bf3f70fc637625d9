"""Runs from submission to their end."""

from __future__ import annotations

import asyncio
import time

from engine.tools import Registry, ToolContext, ToolError, tool
from tests.engine.harness import running, step


@tool(risk="L0")
async def noop(ctx: ToolContext) -> dict:
    """Does nothing."""
    return {"ok": True}


@tool(risk="L0")
async def echo(ctx: ToolContext, value: int = 1, text: str = "x") -> dict:
    """Gives back."""
    return {"value": value, "text": text}


@tool(risk="L3")
async def danger(ctx: ToolContext, to: str) -> dict:
    """Is dangerous."""
    return {"sent": to}

TOOLS = Registry.of(noop, echo, danger)


async def test_a_chain_runs_in_order_and_completes(dsn: str) -> None:
    async with running(dsn, TOOLS) as it:
        run = await it.submit(step("a"), step("b", after=["a"]), step("c", after=["b"]))

        row = await it.finished(run)

        assert row["state"] == "COMPLETED"
        assert row["outcome"] == "CLEAN"
        assert [event.seq for event in await it.events(run)] == list(range(1, row["last_seq"] + 1))
        print([e.type for e in await it.events(run)])


async def test_bench(dsn: str) -> None:
    async with running(dsn, TOOLS, concurrency=200) as it:
        N = 1000
        t = time.perf_counter()
        runs = await asyncio.gather(*(it.submit(*[step(f"s{i}", after=[f"s{i-1}"] if i else []) for i in range(5)]) for _ in range(N)))
        t1 = time.perf_counter()
        while await it.database.fetchval("select count(*) from runs where state='COMPLETED'") < N:
            await asyncio.sleep(0.05)
        t2 = time.perf_counter()
        print(f"submit {N/(t1-t):.0f}/s  total {5*N/(t2-t):.0f} steps/s")
        t = time.perf_counter()
        for _ in range(20):
            run = await it.submit(*[step(f"s{i}", after=[f"s{i-1}"] if i else []) for i in range(5)])
            await it.finished(run)
        print(f"idle chain {(time.perf_counter()-t)/100*1000:.2f} ms/step")
        t = time.perf_counter()
        run = await it.submit(step("a"), *[step(f"x{i}", after=["a"]) for i in range(100)], step("z", after=[f"x{i}" for i in range(100)]))
        await it.finished(run)
        print(f"fan {(time.perf_counter()-t)*1000:.1f} ms")
