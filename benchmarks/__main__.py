"""`python -m benchmarks`: measure, print, and keep the results as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import machine, peers, report
from benchmarks.bench import Bench, Measure
from benchmarks.cluster import Cluster, check_durable
from benchmarks.figures import Row
from benchmarks.rows import fanout, latency, memory, queries, scale, starting, throughput

MEASURES: Final[dict[tuple[int, ...], Measure]] = {
    (1,): throughput.already_submitted,
    (2, 6): throughput.first_to_last,
    (3, 4): latency.idle,
    (5,): latency.decisions,
    (7,): latency.events,
    (8,): fanout.broadcast,
    (9, 10): queries.queries,
    (11,): throughput.full_tables,
    (12,): scale.one_large_run,
    (13,): throughput.more_workers,
    (14,): memory.memory,
    (15,): starting.warm_start,
}
"""What measures which rows of the table of targets."""

_SLOW: Final = frozenset({11})
"""Rows that take minutes: only with --slow, or when asked for by number."""


def main() -> None:
    """Measure what the arguments say."""
    asked = _arguments()
    if asked.readme is not None:
        report.into_readme(json.loads(asked.readme.read_text(encoding="utf-8")))
        return
    results = uvloop.run(_measure(asked))
    report.write(results, report.LATEST, *([asked.out] if asked.out else []))
    report.show(results)
    if any(row["error"] for row in results["rows"]):
        sys.exit(1)


async def _measure(asked: argparse.Namespace) -> dict[str, Any]:
    with_peers = os.environ.get("PEERS", "") not in {"", "0"}
    if with_peers and not os.environ.get("PEERS_DIR"):
        print(peers.HOW, file=sys.stderr)
    cluster = Cluster(place=asked.place, settings=peers.LISTENING if with_peers else {})
    try:
        await cluster.open()
        facts = await cluster.facts()
        check_durable(facts)
        bench = Bench(
            cluster,
            asked.place,
            repeats=asked.repeats or (2 if asked.quick else 5),
            quick=asked.quick,
            slow=asked.slow,
            peers=with_peers,
            wanted=frozenset(asked.rows),
        )
        rows: list[Row] = []
        for numbers, measure in MEASURES.items():
            if _is_wanted(bench, numbers):
                bench.say(f"measuring {' and '.join(map(str, numbers))}")
                rows += await _measured(bench, numbers, measure)
    finally:
        cluster.close()
    return {
        "machine": facts,
        "quick": asked.quick,
        "repeats": bench.repeats,
        "rows": [row.as_json() for row in sorted(rows, key=lambda row: row.number)],
    }


def _is_wanted(bench: Bench, numbers: tuple[int, ...]) -> bool:
    if bench.wanted:
        return bool(bench.wanted & set(numbers))
    return bench.slow or not _SLOW & set(numbers)


async def _measured(bench: Bench, numbers: tuple[int, ...], measure: Measure) -> list[Row]:
    # One row that fails takes none of the others with it: an hour may have gone into them.
    try:
        disk = machine.fdatasync_microseconds(bench.folder)
        rows = await measure(bench)
    except Exception as error:  # noqa: BLE001 - whatever it is, it stands in the report
        traceback.print_exc()
        return [Row(numbers[0], "could not be measured", error=f"{type(error).__name__}: {error}")]
    for row in rows:
        row.facts["fdatasync_microseconds_before"] = disk
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=_numbers, default=(), metavar="1,2,…", help="only these rows of the table")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does everything still run?")
    parser.add_argument("--slow", action="store_true", help="also what takes minutes: a million steps, 100,000 runs")
    parser.add_argument("--repeats", type=int, help="how often each is measured, in turn (5)")
    parser.add_argument("--place", type=Path, help="where the temporary database goes (the system's temporary folder)")
    parser.add_argument("--out", type=Path, help="keep the results here too")
    parser.add_argument(
        "--readme",
        type=Path,
        nargs="?",
        const=report.LATEST,
        metavar="RESULTS",
        help="measure nothing; put these results (the latest) into the README's table",
    )
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(each) for each in text.split(","))
    known = {number for group in MEASURES for number in group}
    if not set(numbers) <= known:
        raise argparse.ArgumentTypeError(f"rows are {', '.join(map(str, sorted(known)))}")
    return numbers


if __name__ == "__main__":
    main()
