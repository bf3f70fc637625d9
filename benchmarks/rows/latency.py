"""Rows 3, 4, 5 and 7: how long things take when nothing else goes on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import orjson

from benchmarks import plans, processes, sockets
from benchmarks.bench import Bench
from benchmarks.cluster import Cluster
from benchmarks.figures import Figure, Row, Target, percentile
from benchmarks.machine import Meter
from benchmarks.processes import child
from benchmarks.seed import Outside, outside
from benchmarks.wire import Wire

_BLOCK = 10
"""So many samples of one, then of the other: the machine's moods meet both."""

COMMIT_TIMES = {"track_commit_timestamp": "on"}
"""PostgreSQL then says of each row when its transaction committed: before the log is on disk."""


async def idle(bench: Bench) -> list[Row]:
    """Rows 3 and 4."""
    fan = Row(3, "fan 1 → 100 → 1, one run, from its submission to its end")
    chain = Row(4, "idle chain, per step")
    whole, limit = fan.figure("lifeos, in process", "ms"), chain.figure("bare loop, chain of 5", "ms a step")
    ours = chain.figure("lifeos, chain of 5 with its submission", "ms a step")
    long_limit, long_ours = (
        chain.figure("bare loop, chain of 100", "ms a step"),
        chain.figure("lifeos, chain of 100", "ms a step"),
    )
    async with (
        bench.cluster.fresh() as dsn,
        bench.cluster.fresh(migrated=False) as bare_dsn,
        child("benchmarks.inside", folder=bench.folder, dsn=dsn) as lifeos,
        child("benchmarks.bare", bare_dsn, folder=bench.folder) as bare,
    ):
        await lifeos.ask("one_by_one", plan=plans.fan(100), times=3)
        await lifeos.ask("one_by_one", plan=plans.chain(5), times=20)
        await bare.ask("chains", steps=5, times=20)
        await bench.cluster.settle()
        for _ in range(bench.of(2, 1) * bench.repeats):
            with Meter() as meter:
                for sample in await lifeos.ask("one_by_one", plan=plans.fan(100), times=bench.of(_BLOCK, 2)):
                    whole.add(sample)
            _loaded(whole, meter)
            for steps, bare_figure, figure, times in ((5, limit, ours, _BLOCK), (100, long_limit, long_ours, 1)):
                with Meter() as meter:
                    for sample in await bare.ask("chains", steps=steps, times=bench.of(times, 1)):
                        bare_figure.add(sample / steps)
                    for sample in await lifeos.ask("one_by_one", plan=plans.chain(steps), times=bench.of(times, 1)):
                        figure.add(sample / steps)
                _loaded(figure, meter)
    fan.targets = [Target.at_most("≤ 60 ms", whole.median, 60)]
    # Neighbouring samples have nothing in common but their block: the medians are compared.
    share = ours.median / limit.median
    chain.facts = {
        "median_to_median_of_5": round(share, 3),
        "median_to_median_of_100": round(long_ours.median / long_limit.median, 3),
    }
    chain.targets = [
        Target.at_most("≤ 2 ms a step, median", ours.median, 2),
        Target.at_most("≤ 1.7 × the bare loop, medians", share, 1.7),
    ]
    return [fan, chain]


async def decisions(bench: Bench) -> list[Row]:
    """Row 5."""
    row = Row(5, "decideApproval sent → gated tool entered")
    kinds = {"gated_once": "not idempotent, the default at L3", "gated": "idempotent"}
    figures = {tool: row.figure(text, "ms") for tool, text in kinds.items()}
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(bench.cluster.fresh())
        server = await stack.enter_async_context(processes.server(bench.folder, dsn))
        wire = Wire(server.host, server.port)
        await wire.open()
        stack.callback(wire.close)
        for tool in figures:
            for _ in range(5):
                await _decide(wire, tool)
        for _ in range(bench.of(2, 1) * bench.repeats):
            for tool, figure in figures.items():
                with Meter() as meter:
                    for _ in range(bench.of(_BLOCK, 2)):
                        figure.add(await _decide(wire, tool))
                _loaded(figure, meter)
    row.targets = [Target.at_most("≤ 4 ms, median", figures["gated_once"].median, 4)]
    return [row]


async def events(bench: Bench) -> list[Row]:
    """Row 7."""
    row = Row(7, "event committed → received by an idle server's subscriber")
    cluster = Cluster(place=bench.place, settings=COMMIT_TIMES)
    try:
        await cluster.open()
        for name, words in (("same process", ()), ("from another process, by NOTIFY", ("--no-engine",))):
            p50, p99 = row.figure(f"{name}: p50", "ms"), row.figure(f"{name}: p99", "ms")
            async with AsyncExitStack() as stack:
                dsn = await stack.enter_async_context(cluster.fresh())
                server = await stack.enter_async_context(processes.server(cluster.folder, dsn, *words))
                if words:
                    await stack.enter_async_context(processes.worker(cluster.folder, dsn))
                for repeat in range(bench.repeats + 1):
                    with Meter() as meter:
                        took = await _followed(server, dsn, steps=bench.of(100, 5))
                    if repeat:  # the first one warms it all up
                        p50.add(percentile(took, 50), meter.load)
                        p99.add(percentile(took, 99), meter.load)
            row.targets += [
                Target.at_most(f"{name}: p50 ≤ 2 ms", p50.median, 2),
                Target.at_most(f"{name}: p99 ≤ 15 ms", p99.median, 15),
            ]
    finally:
        cluster.close()
    row.facts = {"commit": "pg_xact_commit_timestamp: just before the log is written out", "steps_apart_seconds": 0.02}
    return [row]


async def _decide(wire: Wire, tool: str) -> float:
    submitted = await wire.ask(
        plans.body(
            "mutation($input:SubmitWorkflowInput!){submitWorkflow(input:$input){run{id approvals{id}}}}",
            {"input": {"plan": plans.side_by_side(1, tool=tool)}},
        )
    )
    run = orjson.loads(submitted.body)["data"]["submitWorkflow"]["run"]
    decision = plans.body(plans.DECIDE, {"input": {"approvalId": run["approvals"][0]["id"], "decision": "APPROVE"}})
    await asyncio.sleep(0.02)  # nothing of the submission goes on any more
    decided = await wire.ask(decision)
    look = plans.body("query($id:ID!){run(id:$id){steps{result}}}", {"id": run["id"]})
    while True:
        found = orjson.loads((await wire.ask(look)).body)["data"]["run"]["steps"][0]["result"]
        if found is not None:
            return found["entered_ns"] / 1e6 - decided.sent * 1000
        await asyncio.sleep(0.005)


async def _followed(server: processes.Server, dsn: str, *, steps: int) -> list[float]:
    """Milliseconds from each event's commit to its arrival."""
    async with outside(dsn) as it:
        (run,) = await it.submit(plans.chain(steps, tool="rest", seconds=0.02), 1)
        seen = await sockets.timeline(server.host, server.port, f"run_{run.hex}", until=3 * steps + 3)
        committed = await commit_times(it, run)
    # What was there before the subscription was is not news.
    live = [(seq, at) for seq, at in seen if seq > 6]
    return [(at - committed[seq]) * 1000 for seq, at in live]


async def commit_times(it: Outside, run: UUID) -> dict[int, float]:
    """When each event of the run was committed, in seconds since 1970."""
    rows = await it.fetch(
        "SELECT seq, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM timeline_events WHERE run_id = $1",
        run,
    )
    return {row[0]: row[1] for row in rows}


def _loaded(figure: Figure, meter: Meter) -> None:
    """What went on while a whole block of samples was taken."""
    if meter.load is not None:
        figure.foreign.append(meter.load.foreign_cores)
        figure.stolen.append(meter.load.stolen_cores)
