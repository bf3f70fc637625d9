"""How long after each kind of fault things went on, from the timelines."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

_BOUND_TO_THE_END: Final = {
    "postgres fast restart",
    "postgres immediate restart",
    "freeze all links",
    "exhaust connections",
    "kill everybody",
}
"""Faults during which nothing can go on: their time counts from their end."""


def recoveries(history: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By kind of fault: how often, and the median and worst seconds until the affected steps moved on.

    Affected are the steps that the struck processes ran. A fault that struck none in particular counts until the next
    event about any step.
    """
    moves: dict[tuple[str, int], list[float]] = defaultdict(list)
    everything: list[float] = []
    for event in history["events"]:
        if event["position"] is not None:
            at = moment(event["created_at"])
            moves[event["run_id"], event["position"]].append(at)
            everything.append(at)
    everything.sort()
    found: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for fault in history["faults"]:
        counts[fault["kind"]] += 1
        if fault["affected"] and "began" in fault and fault["kind"] not in _BOUND_TO_THE_END:
            for run, position, _attempt, struck in fault["affected"]:
                nexts = [at for at in moves[run, position] if at > struck]
                if nexts:
                    found[fault["kind"]].append(min(nexts) - struck)
        else:
            start = fault["ended"] if fault["kind"] in _BOUND_TO_THE_END else fault["began"]
            nexts = [at for at in everything if at > start]
            if nexts:
                found[fault["kind"]].append(min(nexts) - start)
    return {
        kind: {
            "faults": counts[kind],
            "measured": len(found[kind]),
            "median_seconds": round(statistics.median(found[kind]), 3) if found[kind] else None,
            "worst_seconds": round(max(found[kind]), 3) if found[kind] else None,
        }
        for kind in sorted(counts)
    }


def moment(text: str) -> float:
    """Seconds since 1970 of PostgreSQL's JSON."""
    return datetime.fromisoformat(text).timestamp()


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The same for people."""
    lines = [f"{'fault':<30} {'faults':>6} {'seen':>5} {'median s':>9} {'worst s':>8}"]
    for kind, row in found.items():
        median, worst = (f"{row[name]:.2f}" if row[name] is not None else "–" for name in _SECONDS)
        lines.append(f"{kind:<30} {row['faults']:>6} {row['measured']:>5} {median:>9} {worst:>8}")
    return "\n".join(lines)


_SECONDS: Final = ("median_seconds", "worst_seconds")
