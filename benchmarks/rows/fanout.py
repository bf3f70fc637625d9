"""Row 8: one event to a thousand subscribers, beside a bare broadcast of the same bytes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import orjson

from benchmarks import plans, processes
from benchmarks.bench import Bench
from benchmarks.cluster import Cluster
from benchmarks.figures import Row, Target
from benchmarks.machine import CpuWatch, Meter, rss_bytes
from benchmarks.processes import child
from benchmarks.rows.latency import COMMIT_TIMES, commit_times
from benchmarks.seed import Outside, outside
from benchmarks.wire import Wire

_APART_SECONDS = 1.0
"""Longer than any event takes to reach everybody, else one would wait for another."""

_SKIPPED = 3
"""The first rounds, while what followed the approval is still on its way."""


async def broadcast(bench: Bench) -> list[Row]:  # noqa: PLR0915 - one procedure
    """Row 8."""
    size, rounds = bench.of(1000, 50), bench.of(4, 1) * bench.repeats
    row = Row(8, f"one event to {size} WebSocket subscribers with the same document")
    ours = row.figure("lifeos serve, commit → the last has it", "ms")
    limit = row.figure("bare Starlette broadcast of the same text", "ms")
    rate, bare_rate = row.figure("lifeos serve", "deliveries/s"), row.figure("bare broadcast", "deliveries/s")
    cluster = Cluster(place=bench.place, settings=COMMIT_TIMES)
    async with AsyncExitStack() as stack:
        stack.callback(cluster.close)
        await cluster.open()
        dsn = await stack.enter_async_context(cluster.fresh())
        more = {"MAX_SOCKETS_PER_USER": size + 10, "RETRY_BASE_SECONDS": 0}
        server = await stack.enter_async_context(processes.server(cluster.folder, dsn, **more))
        bare = await stack.enter_async_context(processes.broadcast(cluster.folder))
        it = await stack.enter_async_context(outside(dsn))
        crowds = await stack.enter_async_context(child("benchmarks.crowds", folder=cluster.folder))
        wire, bare_wire = Wire(server.host, server.port), Wire(bare.host, bare.port)
        for each in (wire, bare_wire):
            await each.open()
            stack.callback(each.close)

        run = await _waiting_run(wire, _SKIPPED + rounds)
        before = rss_bytes(server.pid), rss_bytes(bare.pid)
        await crowds.ask("follow_run", host=server.host, port=server.port, run=f"run_{run.hex}", size=size)
        await crowds.ask("follow_bare", host=bare.host, port=bare.port, size=size)
        known = await _last_seq(it, run)
        caught_up = await crowds.ask("get", crowd="lifeos", messages=known)
        text = caught_up["message"].encode()
        await bare_wire.ask(text)
        await crowds.ask("get", crowd="bare", messages=1)
        after = rss_bytes(server.pid), rss_bytes(bare.pid)
        await _approve(wire, run)
        blinking = await _blinking_from(it, run)
        await crowds.ask("get", crowd="lifeos", messages=blinking - known)

        await crowds.ask("get", crowd="lifeos", messages=_SKIPPED)
        cpu = CpuWatch(server.pid, bare.pid)
        got: list[tuple[float, Meter]] = []
        for _ in range(rounds):
            with Meter() as meter:
                answer = await crowds.ask("get", crowd="lifeos", messages=1)
            got.append((answer["at"], meter))
            with Meter() as meter:
                published = orjson.loads((await bare_wire.ask(answer["message"].encode())).body)
                took = (await crowds.ask("get", crowd="bare", messages=1))["at"] - published["began"]
            limit.add(took * 1000, meter.load)
            bare_rate.add(size / took)
        server_cpu, bare_cpu = cpu.seconds()
        # The commit's time is visible once it is over: an event may be here before we can ask for it.
        await asyncio.sleep(0.1)
        committed = await commit_times(it, run)
    for seq, (at, meter) in enumerate(got, start=blinking + _SKIPPED + 1):
        took = at - committed[seq]
        if took > _APART_SECONDS:
            raise RuntimeError(
                f"an event took {took:.1f} s to reach everybody, and met the next: the machine is too busy"
            )
        ours.add(took * 1000, meter.load)
        rate.add(size / took)
    row.figure("lifeos serve, everything it did meanwhile", "µs CPU a delivery", [server_cpu / rounds / size * 1e6])
    row.figure("bare broadcast", "µs CPU a delivery", [bare_cpu / rounds / size * 1e6])
    memory = row.figure("lifeos serve, memory a subscriber", "kB", [(after[0] - before[0]) / size / 1000])
    row.figure("bare broadcast, memory a socket", "kB", [(after[1] - before[1]) / size / 1000])
    row.facts = {"subscribers": size, "message_bytes": len(text), "rounds": rounds}
    share = row.ratio("lifeos / bare broadcast", rate, bare_rate)
    row.targets = [
        Target.at_least("≥ 75 % of a bare broadcast", share.median, 0.75),
        Target.at_most("≤ 60 kB of memory each", memory.median, 60),
    ]
    return [row]


async def _waiting_run(wire: Wire, rounds: int) -> UUID:
    """A run that waits for a person, and then writes one event alone every now and then."""
    plan = plans.side_by_side(1, tool="gated")
    blink = {"seconds": _APART_SECONDS, "times": rounds}
    plan["steps"].append({"key": "blink", "tool": "blink", "args": blink, "dependsOn": ["s0"]})
    answer = orjson.loads((await wire.ask(plans.submission(plan))).body)
    return UUID(hex=answer["data"]["submitWorkflow"]["run"]["id"].removeprefix("run_"))


async def _approve(wire: Wire, run: UUID) -> None:
    look = plans.body("query($id:ID!){run(id:$id){approvals{id}}}", {"id": f"run_{run.hex}"})
    approval = orjson.loads((await wire.ask(look)).body)["data"]["run"]["approvals"][0]["id"]
    await wire.ask(plans.body(plans.DECIDE, {"input": {"approvalId": approval, "decision": "APPROVE"}}))


async def _last_seq(it: Outside, run: UUID) -> int:
    return (await it.fetch("SELECT last_seq FROM runs WHERE id = $1", run))[0][0]


async def _blinking_from(it: Outside, run: UUID) -> int:
    """The seq of the event with which the blinking step begins to run."""
    while True:
        rows = await it.fetch(
            "SELECT seq FROM timeline_events WHERE run_id = $1 AND type = 'STEP_RUNNING' AND position = 1", run
        )
        if rows:
            return rows[0][0]
        await asyncio.sleep(0.01)
