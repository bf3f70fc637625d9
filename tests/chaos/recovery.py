"""How long after each kind of fault things went on, from the timelines; and the tables that say so.

`python -m tests.chaos.recovery FOLDER…` puts several trials into one table.
"""

# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

AWAY: Final = frozenset(
    {
        "postgres fast restart",
        "postgres immediate restart",
        "freeze all links",
        "exhaust connections",
        "tools hang",
        "tools refuse",
    }
)
"""Faults during which nothing can go on, whoever tries: what they hold up counts from their end."""

_AFTER_SECONDS: Final = 0.5
"""What becomes ready so long after a fault may still be held up by it."""

_READY: Final = frozenset({"STEP_READY", "STEP_RETRYING", "STEP_REDRIVEN"})

Times = Mapping[str, Mapping[str, Any]]


def recoveries(history: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By kind of fault: how often it struck, and after how many seconds the last thing that it held up went on.

    Held up are the steps that the struck processes ran, until they move; steps that were ready meanwhile, until they
    run; and events, until who follows them hears of them. A fault that held up nothing is not measured.
    """
    lives = _lives(history)
    waits = list(_waits(lives))
    heard = list(_heard(history))
    found: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for fault in history["faults"]:
        kind = fault["kind"]
        counts[kind] += 1
        if "ended" not in fault:
            continue
        begin = fault["ended"] if kind in AWAY else fault["began"]
        held = [*_owned(fault, lives, begin), *_poisoned(fault, history, lives)]
        held += [
            runs - max(ready, begin)
            for ready, runs in waits
            if fault["began"] <= ready <= fault["ended"] + _AFTER_SECONDS and runs > begin
        ]
        if kind not in AWAY:
            held += [at - created for created, at in heard if fault["began"] <= created <= fault["ended"]]
        if held:
            found[kind].append(round(max(0.0, *held), 3))
    return {kind: {"faults": counts[kind], "seconds": sorted(found[kind])} for kind in sorted(counts)}


Lives = dict[tuple[str, int], list[tuple[float, str, dict[str, Any]]]]


def _lives(history: Mapping[str, Any]) -> Lives:
    lives: Lives = defaultdict(list)
    for event in history["events"]:
        if event["position"] is not None and event["type"].startswith("STEP_"):
            told = (moment(event["created_at"]), event["type"], event["metadata"])
            lives[event["run_id"], event["position"]].append(told)
    return lives


def _owned(fault: Mapping[str, Any], lives: Lives, begin: float) -> Iterator[float]:
    """What its victims ran: until the step's next event."""
    for run, position, _attempt, seen in fault["affected"]:
        nexts = [at for at, *_ in lives[run, position] if at > seen]
        if nexts:
            yield min(nexts) - max(begin, seen)


def _poisoned(fault: Mapping[str, Any], history: Mapping[str, Any], lives: Lives) -> Iterator[float]:
    """The step that ends every process that runs it: from each call until it is taken from the dead."""
    if fault["kind"] != "poison":
        return
    keys = {step["run_id"]: step["position"] for step in history["steps"] if step["key"] == "poison"}
    for (run, position), life in lives.items():
        if keys.get(run) == position and life and 0 <= life[0][0] - fault["began"] < 2:
            yield from (
                after[0] - before[0] for before, after in pairwise(life) if before[1] == "STEP_RUNNING"
            )  # fmt: skip


def _waits(lives: Lives) -> Iterator[tuple[float, float]]:
    """When each step was due, and when it then ran."""
    for life in lives.values():
        for (ready, kind, facts), (runs, next_kind, _) in pairwise(life):
            if kind in _READY and next_kind == "STEP_RUNNING":
                due = facts.get("nextAttemptAt")
                yield (moment(due) if due else ready), runs


def _heard(history: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """When each event was, and when somebody who was already there heard of it."""
    for follower in history["followers"]:
        for before, line in pairwise(follower["received"]):
            if before.get("connection") == line.get("connection") and "at" in line and before["at"] < line["at"]:
                created = moment(line["createdAt"])
                if created > before["at"]:
                    yield created, line["at"]


def moment(text: str) -> float:
    """Seconds since 1970 of PostgreSQL's JSON."""
    return datetime.fromisoformat(text).timestamp()


def together(trials: Sequence[Times]) -> dict[str, dict[str, Any]]:
    """Several trials as one."""
    return {
        kind: {
            "faults": sum(each[kind]["faults"] for each in trials if kind in each),
            "seconds": sorted(at for each in trials if kind in each for at in each[kind]["seconds"]),
        }
        for kind in sorted({kind for each in trials for kind in each})
    }


def rows(found: Times) -> list[tuple[str, str, str, str, str]]:
    """The kind of fault, how often it struck, how often it held up anything, and the median and worst seconds."""
    return [
        (
            kind,
            str(row["faults"]),
            str(len(row["seconds"])),
            f"{statistics.median(row['seconds']):.2f}" if row["seconds"] else "–",
            f"{max(row['seconds']):.2f}" if row["seconds"] else "–",
        )
        for kind, row in found.items()
    ]


HEAD: Final = ("fault", "faults", "measured", "median s", "worst s")


def table(found: Times) -> str:
    """For a terminal."""
    return "\n".join(
        f"{kind:<28} {many:>7} {seen:>9} {mid:>9} {worst:>8}" for kind, many, seen, mid, worst in [HEAD, *rows(found)]
    )


def markdown(found: Times) -> str:
    """The table for docs/faults.md."""
    lines = [HEAD, ("---", *["---:"] * 4), *rows(found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print one table of all the trials that the arguments name."""
    trials = [json.loads((Path(folder) / "recovery.json").read_text())["kinds"] for folder in sys.argv[1:]]
    print(markdown(together(trials)))


if __name__ == "__main__":
    main()
