"""Row 12: what a step costs in a large run, against many small ones."""

from __future__ import annotations

from benchmarks import plans
from benchmarks.bench import Bench
from benchmarks.figures import Row, Target
from benchmarks.machine import CpuWatch, Meter
from benchmarks.processes import child


async def one_large_run(bench: Bench) -> list[Row]:
    """Row 12: 2,000 steps in one run against 2,000 in a hundred runs of 20, wide and deep."""
    large, small = bench.of(2000, 100), 20
    many = large // small
    row = Row(12, f"a run of {large:,} steps, wide and deep, against {many} runs of {small}")
    shapes = {
        "wide": (plans.fan(large - 2), plans.fan(small - 2), "together"),
        "deep": (plans.chain(large), plans.chain(small), "one_by_one"),
    }
    async with (
        bench.cluster.fresh() as dsn,
        child("benchmarks.inside", folder=bench.folder, dsn=dsn) as lifeos,
    ):

        async def measure(plan: plans.PlanInput, runs: int, how: str) -> tuple[float, float, Meter]:
            """Microseconds a step, by the wall and of CPU time, Python's and PostgreSQL's together."""
            await bench.cluster.settle()
            cpu = CpuWatch(lifeos.pid, bench.cluster.pid)
            with Meter() as meter:
                answer = await lifeos.ask(how, plan=plan, times=runs)
            milliseconds: float = answer if how == "together" else sum(answer)
            return milliseconds / large * 1000, sum(cpu.seconds()) / large * 1e6, meter

        for shape, (one, twenty, how) in shapes.items():
            figures = {
                name: (row.figure(f"{shape}, {name}", "µs a step"), row.figure(f"{shape}, {name}", "µs CPU a step"))
                for name in (f"{many} × {small}", f"1 × {large:,}")
            }
            (few_wall, few_cpu), (one_wall, one_cpu) = figures.values()
            for repeat in range(bench.repeats + 1):
                for plan, runs, (wall, cost) in (
                    (twenty, many, (few_wall, few_cpu)),
                    (one, 1, (one_wall, one_cpu)),
                ):
                    microseconds, cpu, meter = await measure(plan, runs, how)
                    if repeat:
                        wall.add(microseconds, meter.load)
                        cost.add(cpu, meter.load)
            elapsed = row.ratio(f"{shape}: 1 × {large:,} / {many} × {small}, elapsed", one_wall, few_wall)
            spent = row.ratio(f"{shape}: 1 × {large:,} / {many} × {small}, CPU", one_cpu, few_cpu)
            row.targets += [
                Target.at_most(f"{shape}: at most 25 % more CPU a step", spent.median, 1.25),
                Target.at_most(f"{shape}: at most 25 % more time a step", elapsed.median, 1.25),
            ]
    return [row]
