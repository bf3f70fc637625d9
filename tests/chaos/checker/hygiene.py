"""Everything ends, nothing is left behind or given away, and no process ends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from persistence.states import FINISHED_RUN_STATES, RunState
from tests.chaos.checker.seen import Seen, Violation, invariant, shown


@invariant("I23")
def everything_ends(seen: Seen) -> Iterator[Violation]:
    """After the last fault everything gets done."""
    for run_id, run in seen.runs.items():
        if RunState(run["state"]) not in FINISHED_RUN_STATES:
            steps = {step["key"]: step["state"] for place, step in seen.steps.items() if place[0] == run_id}
            yield Violation(
                "I23", f"it is still {run['state']}: {steps}", run_id, lines=shown(*seen.events[run_id][-3:])
            )
    for call in seen.raw["calls"]:
        step = seen.steps.get((call["run_id"], call["position"]), {})
        if call["status"] == "STARTED" and step.get("state") in {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED"}:
            yield Violation("I23", "a call of a finished step was never closed", call["run_id"], lines=shown(call))


@invariant("I33")
def nothing_is_left_behind(seen: Seen) -> Iterator[Violation]:
    """No session of ours idles in a transaction, nobody waits for a lock, and connections stay within bounds."""
    for session in seen.raw["sessions"]:
        if (session["state"] or "").startswith("idle in transaction") and session["old"]:
            yield Violation("I33", "a transaction was left open", lines=shown(session))
    for lock in seen.raw["locks"]:
        yield Violation("I33", "somebody still waits for a lock", lines=shown(lock))
    if len(seen.raw["sessions"]) > 4 * 20:
        yield Violation("I33", f"{len(seen.raw['sessions'])} sessions of 4 processes")


_SECRETS: Final = (
    "Traceback",
    "asyncpg",
    "postgres",
    "SELECT ",
    "UPDATE ",
    "INSERT INTO",
    ".py",
    "127.0.0.1",
    "sqlalchemy",
)


@invariant("I39")
def answers_give_nothing_away(seen: Seen) -> Iterator[Violation]:
    """No answer is a fault of ours, or holds a stack trace, SQL or an address."""
    for line in seen.raw["people"]:
        body = line.get("body") or ""
        if line.get("code") == "INTERNAL":
            yield Violation("I39", "an answer was INTERNAL", lines=shown(line))
        elif found := [word for word in _SECRETS if word in body]:
            yield Violation("I39", f"an answer holds {found}", lines=shown(line))


@invariant("P1")
def processes_end_only_when_told(seen: Seen) -> Iterator[Violation]:
    """SIGTERM ends with status 0, kill -9 by it, poison with its 7; nothing else ends a process."""
    for ending in seen.raw["endings"]:
        good = {"SIGTERM": {0}, "SIGKILL": {-9}, "the end": {0, -9}}.get(ending["by"], set[int]())
        if ending["status"] not in good | {7}:
            by = ending["by"] or "nobody"
            yield Violation("P1", f"{ending['name']} ended with {ending['status']}, told by {by}", lines=shown(ending))


@invariant("P2")
def unavailable_comes_in_time(seen: Seen) -> Iterator[Violation]:
    """Whoever is answered at all is answered in time."""
    for line in seen.raw["people"]:
        took = line["ended"] - line["began"]
        stopped = any(
            fault["began"] - 1 < line["ended"] and fault.get("ended", line["ended"]) > line["began"]
            for fault in seen.raw["faults"]
            if fault["kind"].startswith("freeze server")
        )
        if line["outcome"] != "unknown" and took > 8 and not stopped:
            yield Violation("P2", f"an answer took {took:.1f} s", lines=shown(line))


@invariant("P3")
def no_fault_of_ours_is_logged(seen: Seen) -> Iterator[Violation]:
    """No traceback in any log; but the driver warns with one when it can't connect."""
    for name, text in seen.raw["logs"].items():
        lines = [
            line
            for line in text.splitlines()
            if ('"exception"' in line and '"warning"' not in line) or line.startswith("Traceback")
        ]
        if lines:
            yield Violation("P3", f"{len(lines)} tracebacks in the log of {name}", lines=tuple(lines[:3]))
