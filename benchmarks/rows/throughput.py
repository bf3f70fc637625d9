"""Rows 1, 2, 6, 11 and 13: how many durable steps a second, beside the bare loop and (with PEERS=1) beside peers."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from benchmarks import filled, peers, plans, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Row, Target, percentile
from benchmarks.machine import CpuWatch, Meter
from benchmarks.processes import child
from benchmarks.seed import Outside, check_whole, outside

STEPS = 5
CLIENTS = 50
_WARM_RUNS = 100
_BATCH, _WINDOW = 500, 1000
"""Of the bare loop: the fastest of those tried."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How fast some work was done, and what it cost."""

    steps_per_second: float
    meter: Meter
    python_microseconds: float
    postgres_microseconds: float


async def bare(bench: Bench, runs: int) -> Drained:
    """The bare loop on chains that wait for it."""
    async with (
        bench.cluster.fresh(migrated=False) as dsn,
        child("benchmarks.bare", dsn, folder=bench.folder) as loop,
    ):
        await loop.ask("seed", runs=_WARM_RUNS, steps=STEPS)
        await loop.ask("drain", batch=_BATCH, window=_WINDOW)
        await loop.ask("seed", runs=runs, steps=STEPS)
        await bench.cluster.settle()
        cpu = CpuWatch(loop.pid, bench.cluster.pid)
        with Meter() as meter:
            done = await loop.ask("drain", batch=_BATCH, window=_WINDOW)
        python, postgres = cpu.seconds()
    steps = runs * STEPS
    return Drained(steps / done["seconds"], meter, python / steps * 1e6, postgres / steps * 1e6)


async def ready(bench: Bench, runs: int, *, dsn: str | None = None, workers: int = 1, **settings: object) -> Drained:
    """`lifeos worker` processes, warm and idle, on chains that all become visible with one commit.

    Timed from that commit to the last run's end.
    """
    async with AsyncExitStack() as stack:
        if dsn is None:
            dsn = await stack.enter_async_context(bench.cluster.fresh())
        it = await stack.enter_async_context(outside(dsn))
        running = [
            await stack.enter_async_context(processes.worker(bench.folder, dsn, **settings)) for _ in range(workers)
        ]
        await it.workers(workers)
        await it.ended(await it.submit(plans.chain(STEPS), _WARM_RUNS * workers))
        cpu, meter, began = CpuWatch(), Meter(), 0.0

        async def about_to_commit() -> None:
            nonlocal cpu, began
            await bench.cluster.settle()
            cpu = CpuWatch(*(each.pid for each in running), bench.cluster.pid)
            meter.__enter__()
            began = time.monotonic()

        submitted = await it.submit(plans.chain(STEPS), runs, before_commit=about_to_commit)
        await it.ended(submitted)
        seconds = time.monotonic() - began
        meter.__exit__()
        *python, postgres = cpu.seconds()
        await check_whole(it, submitted, steps=STEPS)
    steps = runs * STEPS
    return Drained(steps / seconds, meter, sum(python) / steps * 1e6, postgres / steps * 1e6)


@dataclass(frozen=True, slots=True)
class Submitted:
    """How fast work was done that came over HTTP, and how its submissions were answered."""

    steps_per_second: float
    requests_per_second: float
    milliseconds: list[float]
    meter: Meter


async def over_http(
    bench: Bench, runs: int, *, dsn: str | None = None, words: tuple[str, ...] = (), **settings: object
) -> Submitted:
    """`lifeos serve` and 50 clients in another process, from the first request sent to the last run's end."""
    executes = "--no-engine" not in words
    async with AsyncExitStack() as stack:
        if dsn is None:
            dsn = await stack.enter_async_context(bench.cluster.fresh())
        server = await stack.enter_async_context(processes.server(bench.folder, dsn, *words, **settings))
        it = await stack.enter_async_context(outside(dsn))
        clients = await stack.enter_async_context(
            child("benchmarks.load", server.host, str(server.port), str(CLIENTS), folder=bench.folder)
        )
        if executes:
            await it.workers(1)
        warm = await clients.ask("submit", plan=plans.chain(STEPS), times=_WARM_RUNS)
        if executes:
            await it.ended(_ids(warm))
        await bench.cluster.settle()
        with Meter() as meter:
            answer = await clients.ask("submit", plan=plans.chain(STEPS), times=runs)
            if executes:
                await it.ended(_ids(answer))
            ended = time.monotonic()
        if executes:
            await check_whole(it, _ids(answer), steps=STEPS)
    return Submitted(
        steps_per_second=runs * STEPS / (ended - answer["began"]),
        requests_per_second=runs / (answer["ended"] - answer["began"]),
        milliseconds=answer["milliseconds"],
        meter=meter,
    )


# ── the rows ──


async def already_submitted(bench: Bench) -> list[Row]:
    """Row 1."""
    row = Row(1, "durable steps/s, chains of 5 already submitted, one process")
    runs = bench.of(2000, 100)
    limit, limit_costs = row.figure("bare loop", "steps/s"), _costs(row, "bare loop")
    ours, our_costs = row.figure("lifeos worker", "steps/s"), _costs(row, "lifeos worker")
    wide = row.figure("lifeos worker, CONCURRENCY=1000", "steps/s")
    others = peers.contenders(bench, row)
    for _ in range(bench.repeats):
        _add(limit, limit_costs, await bare(bench, runs))
        _add(ours, our_costs, await ready(bench, runs))
        done = await ready(bench, runs, CONCURRENCY=1000)
        wide.add(done.steps_per_second, done.meter.load)
        for other in others:
            await other.measure()
    row.facts = {"runs": runs, "steps_a_run": STEPS, "bare_batch": _BATCH, "bare_window": _WINDOW}
    share = row.ratio("lifeos worker / bare loop", ours, limit)
    wide_share = row.ratio("lifeos worker, CONCURRENCY=1000 / bare loop", wide, limit)
    row.ratio("CPU a step, lifeos / bare loop", _sum(our_costs), _sum(limit_costs))
    row.targets = [
        Target.at_least(
            "≥ 50 % of the bare loop, with as many at once as it has: CONCURRENCY=1000", wide_share.median, 0.5
        ),
        Target.at_least("≥ 50 % of the bare loop, as it comes: CONCURRENCY=100", share.median, 0.5),
        Target.at_least("≥ 8,000 steps/s, CONCURRENCY=1000", wide.median, 8000),
        peers.target(row, ours, "absurd", 5),
    ]
    return [row]


async def first_to_last(bench: Bench) -> list[Row]:
    """Rows 2 and 6, which are two looks at the same work."""
    row = Row(2, "durable steps/s, from the first submitWorkflow over HTTP to the last completion")
    answers = Row(6, f"submitWorkflow of a 5-step plan, {CLIENTS} clients at once")
    runs = bench.of(2000, 100)
    ours = row.figure("lifeos serve", "steps/s")
    limit = row.figure("bare loop, already submitted", "steps/s")
    others = peers.contenders(bench, row)
    with_engine = _Answers(answers, "lifeos serve")
    without = _Answers(answers, "lifeos serve --no-engine")
    for _ in range(bench.repeats):
        done = await bare(bench, runs)
        limit.add(done.steps_per_second, done.meter.load)
        sent = await over_http(bench, runs)
        ours.add(sent.steps_per_second, sent.meter.load)
        with_engine.add(sent)
        without.add(await over_http(bench, runs, words=("--no-engine",)))
        for other in others:
            await other.measure()
    row.facts = answers.facts = {"runs": runs, "steps_a_run": STEPS, "clients": CLIENTS}
    row.ratio("lifeos serve / bare loop", ours, limit)
    row.targets = [peers.target(row, ours, "DBOS", 10), peers.target(row, ours, "absurd", 1)]
    answers.targets = [
        Target.at_least("≥ 1,000 requests/s", with_engine.rate.median, 1000),
        Target.at_most("p99 ≤ 150 ms", with_engine.p99.median, 150),
    ]
    return [row, answers]


async def full_tables(bench: Bench) -> list[Row]:
    """Row 11."""
    row = Row(11, "rows 1 and 2 with finished steps in the tables")
    runs = bench.of(2000, 100)
    finished = bench.of(200_000, 2_000)
    empty, full = row.figure("already submitted, empty", "steps/s"), row.figure("already submitted, full", "steps/s")
    empty_http, full_http = row.figure("over HTTP, empty", "steps/s"), row.figure("over HTTP, full", "steps/s")
    async with bench.cluster.fresh() as big:
        bench.say(f"  filling the tables with {finished * STEPS:,} finished steps")
        await filled.fill(big, runs=finished, steps=STEPS)
        for _ in range(bench.repeats):
            for figure, dsn in ((empty, None), (full, big)):
                done = await ready(bench, runs, dsn=dsn)
                figure.add(done.steps_per_second, done.meter.load)
            for figure, dsn in ((empty_http, None), (full_http, big)):
                sent = await over_http(bench, runs, dsn=dsn)
                figure.add(sent.steps_per_second, sent.meter.load)
        async with outside(big) as it, bench.cluster.fresh() as small, outside(small) as other:
            plan, plan_of_empty = await filled.claim_plan(it), await filled.claim_plan(other)
    row.facts = {
        "finished_steps": finished * STEPS,
        "runs": runs,
        "claim": plan.facts,
        "claim_of_empty": plan_of_empty.facts,
    }
    one = row.ratio("already submitted, full / empty", full, empty)
    two = row.ratio("over HTTP, full / empty", full_http, empty_http)
    row.targets = [
        Target.at_least("already submitted: ≥ 90 % of the empty tables'", one.median, 0.9),
        Target.at_least("over HTTP: ≥ 90 % of the empty tables'", two.median, 0.9),
        Target("the claim reads live rows alone, by index", None, plan.reads_live_rows_alone),
    ]
    return [row]


async def more_workers(bench: Bench) -> list[Row]:
    """Row 13."""
    row = Row(13, "one, two and four workers over one database")
    runs = bench.of(4000, 150)
    numbers = (1, 2, 4)
    figures = {number: row.figure(f"{number} × lifeos worker", "steps/s") for number in numbers}
    costs = {number: _costs(row, f"{number} × lifeos worker") for number in numbers}
    for _ in range(bench.repeats):
        for number in numbers:
            _add(figures[number], costs[number], await ready(bench, runs, workers=number))
    row.facts = {"runs": runs, "steps_a_run": STEPS}
    for number in numbers[1:]:
        share = row.ratio(f"{number} workers / 1 worker", figures[number], figures[1])
        row.targets.append(Target.at_least(f"{number} workers: no less than one", share.median, 1))
    return [row]


# ── below ──


class _Answers:
    """How submissions were answered, as figures of a row."""

    def __init__(self, row: Row, name: str) -> None:
        self.rate = row.figure(f"{name}: requests", "/s")
        self.p50 = row.figure(f"{name}: p50", "ms")
        self.p99 = row.figure(f"{name}: p99", "ms")

    def add(self, sent: Submitted) -> None:
        self.rate.add(sent.requests_per_second, sent.meter.load)
        self.p50.add(percentile(sent.milliseconds, 50), sent.meter.load)
        self.p99.add(percentile(sent.milliseconds, 99), sent.meter.load)


def _costs(row: Row, name: str) -> tuple[Figure, Figure]:
    return row.figure(f"{name}: Python", "µs CPU a step"), row.figure(f"{name}: PostgreSQL", "µs CPU a step")


def _add(figure: Figure, costs: tuple[Figure, Figure], done: Drained) -> None:
    figure.add(done.steps_per_second, done.meter.load)
    costs[0].add(done.python_microseconds, done.meter.load)
    costs[1].add(done.postgres_microseconds, done.meter.load)


def _sum(costs: tuple[Figure, Figure]) -> Figure:
    return Figure("both", costs[0].unit, [a + b for a, b in zip(costs[0].samples, costs[1].samples, strict=True)])


def _ids(answer: dict[str, Any]) -> list[UUID]:
    return [UUID(hex=each) for each in answer["runs"]]


__all__ = ["Outside", "already_submitted", "first_to_last", "full_tables", "more_workers"]
