"""Steps and runs: along the tables of moves, in order, counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from persistence.moves.table import RUN_MOVES, STEP_MOVES
from persistence.states import FINISHED_STEP_STATES, RunState, StepState
from tests.chaos.checker.seen import Place, Seen, Violation, invariant, shown
from tests.chaos.recovery import moment

ENTERS: Final = {
    "STEP_READY": "READY",
    "STEP_RUNNING": "RUNNING",
    "STEP_SUCCEEDED": "SUCCEEDED",
    "STEP_RETRYING": "READY",
    "STEP_FAILED": "FAILED",
    "STEP_BLOCKED": "BLOCKED",
    "STEP_IN_DOUBT": "BLOCKED",
    "STEP_SKIPPED": "SKIPPED",
    "STEP_CANCELLED": "CANCELLED",
}
RUN_ENTERS: Final = {
    "WORKFLOW_PLANNED": "EXECUTING",
    "WORKFLOW_WAITING_APPROVAL": "WAITING_APPROVAL",
    "WORKFLOW_RESUMED": "EXECUTING",
    "WORKFLOW_COMPLETE": "COMPLETED",
    "WORKFLOW_FAILED": "FAILED",
    "WORKFLOW_CANCELLED": "CANCELLED",
}


@invariant("I8")
def dependencies_come_first(seen: Seen) -> Iterator[Violation]:
    """A step runs after all that it depends on has succeeded."""
    succeeded = {
        place: min(event["seq"] for event in life if event["type"] == "STEP_SUCCEEDED")
        for place, life in seen.lives.items()
        if any(event["type"] == "STEP_SUCCEEDED" for event in life)
    }
    for place, step in seen.steps.items():
        for event in seen.lives[place]:
            if event["type"] != "STEP_RUNNING":
                continue
            for before in step["depends_on"]:
                if succeeded.get((place[0], before), event["seq"]) >= event["seq"]:
                    text = f"{step['key']} ran before step {before} had succeeded"
                    yield Violation("I8", text, place[0], event["seq"], shown(event))


@invariant("I9")
def moves_are_allowed(seen: Seen) -> Iterator[Violation]:
    """Every step goes along the table of moves; and what is told last is what is stored (I12)."""
    for place, step in seen.steps.items():
        state = StepState.PENDING
        for event in seen.lives[place]:
            if event["type"] == "STEP_REDRIVEN":
                back = StepState.BLOCKED if step["gated"] else StepState.READY
                enters = back if state is StepState.FAILED else StepState.PENDING
            elif event["type"] in ENTERS:
                enters = StepState(ENTERS[event["type"]])
            else:
                continue
            if enters not in STEP_MOVES[state]:
                text = f"{step['key']} went from {state} to {enters}"
                yield Violation("I9", text, place[0], event["seq"], shown(*seen.lives[place][-8:]))
            state = enters
        if state != step["state"]:
            yield Violation("I12", f"{step['key']} is {step['state']}, and was told to be {state}", place[0])


@invariant("I9")
def runs_go_along_the_table(seen: Seen) -> Iterator[Violation]:
    """The same of runs."""
    for run, events in seen.events.items():
        now = RunState.PLANNING
        for event in events:
            if event["type"] not in RUN_ENTERS:
                continue
            enters_run = RunState(RUN_ENTERS[event["type"]])
            if enters_run not in RUN_MOVES[now]:
                yield Violation("I9", f"the run went from {now} to {enters_run}", run, event["seq"], shown(event))
            now = enters_run
        stored = seen.runs[run]["state"] if run in seen.runs else None
        if stored != now and not (now is RunState.PLANNING and stored == "QUEUED"):
            yield Violation("I12", f"the run is {stored}, and was told to be {now}", run)


@invariant("I10")
def runs_follow_from_their_steps(seen: Seen) -> Iterator[Violation]:
    """A run's state and counters are a function of its steps'."""
    by_run: dict[str, Counter[str]] = defaultdict(Counter)
    for place, step in seen.steps.items():
        by_run[place[0]][step["state"]] += 1
    for run_id, run in seen.runs.items():
        counted = by_run[run_id]
        for state in StepState:
            if run[state.lower()] != counted[state]:
                text = f"it counts {run[state.lower()]} steps {state}, and has {counted[state]}"
                yield Violation("I10", text, run_id)
        if run["state"] == "CANCELLED" or not counted:
            expected = run["state"]
            if set(counted) - {str(state) for state in FINISHED_STEP_STATES}:
                yield Violation("I10", f"it is cancelled, with steps {dict(counted)}", run_id)
        elif counted["PENDING"] + counted["READY"] + counted["RUNNING"] + counted["BLOCKED"] == 0:
            expected = "FAILED" if counted["FAILED"] else "COMPLETED"
        else:
            expected = "EXECUTING" if counted["READY"] + counted["RUNNING"] else "WAITING_APPROVAL"
        if run["state"] != expected:
            yield Violation("I10", f"it is {run['state']} with steps {dict(counted)}", run_id)


@invariant("I34")
def nothing_follows_a_cancellation(seen: Seen) -> Iterator[Violation]:
    """WORKFLOW_CANCELLED is the last word; no other end has a successor but a redrive."""
    for run, events in seen.events.items():
        for before, after in pairwise(events):
            ended = before["type"] in {"WORKFLOW_CANCELLED", "WORKFLOW_COMPLETE"}
            if ended or (before["type"] == "WORKFLOW_FAILED" and after["type"] != "STEP_REDRIVEN"):
                text = f"{after['type']} after {before['type']}"
                yield Violation("I34", text, run, after["seq"], shown(before, after))


@invariant("I35")
def plans_are_sound(seen: Seen) -> Iterator[Violation]:
    """Stored plans have unique keys, known dependencies, no cycle."""
    keys: dict[str, Counter[str]] = defaultdict(Counter)
    for (run, position), step in seen.steps.items():
        keys[run][step["key"]] += 1
        for before in step["depends_on"]:
            if (run, before) not in seen.steps:
                yield Violation("I35", f"{step['key']} depends on what is not there", run, lines=shown(step))
            elif position in _all_before(seen, (run, before)):
                yield Violation("I35", f"{step['key']} depends on itself", run, lines=shown(step))
    for run, counted in keys.items():
        for key, times in counted.items():
            if times > 1:
                yield Violation("I35", f"{times} steps are called {key}", run)


def _all_before(seen: Seen, place: Place) -> set[int]:
    found: set[int] = set()
    waiting = [place[1]]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += seen.steps[place[0], each]["depends_on"] if (place[0], each) in seen.steps else []
    return found


@invariant("I15")
def one_outcome_an_attempt(seen: Seen) -> Iterator[Violation]:
    """Each attempt starts once and ends at most once, one after the other: their leases don't overlap (I16)."""
    for place, life in seen.lives.items():
        running: int | None = None
        last = 0
        for event in life:
            if event["type"] == "STEP_RUNNING":
                attempt = event["metadata"]["attempt"]
                if running is not None:
                    yield Violation(
                        "I16", f"attempt {attempt} began before {running} had ended", place[0], event["seq"]
                    )
                if attempt != last + 1:
                    yield Violation("I17", f"attempt {attempt} follows {last}", place[0], event["seq"], shown(event))
                running = last = attempt
            elif event["type"] in {"STEP_SUCCEEDED", "STEP_FAILED", "STEP_RETRYING", "STEP_IN_DOUBT"}:
                attempt = event["metadata"].get("attempt")
                if attempt is not None and event["type"] != "STEP_SUCCEEDED" and attempt != running:
                    text = f"an outcome of attempt {attempt} counted while {running} ran"
                    yield Violation("I15", text, place[0], event["seq"], shown(event))
                if event["type"] == "STEP_SUCCEEDED" and attempt != last:
                    yield Violation("I15", f"attempt {attempt} succeeded, {last} was the last", place[0], event["seq"])
                running = None
            elif event["type"] in {"STEP_CANCELLED", "STEP_SKIPPED"}:
                running = None


@invariant("I17")
def attempts_are_counted(seen: Seen) -> Iterator[Violation]:
    """Attempts are 1..k, no more than allowed, and none comes before its time."""
    for place, step in seen.steps.items():
        numbers = sorted(call[2] for call in seen.calls if call[:2] == place) if step["attempt"] else []
        if numbers != list(range(1, step["attempt"] + 1)):
            yield Violation("I17", f"{step['key']} has attempts {numbers}, and counts {step['attempt']}", place[0])
        most = step["max_attempts"]
        if most is not None and step["calls"] > most + step["losses"]:
            yield Violation("I17", f"{step['key']} was called {step['calls']} times of {most}", place[0])
        for before, after in pairwise(seen.lives[place]):
            due = before["metadata"].get("nextAttemptAt") if before["type"] == "STEP_RETRYING" else None
            if due and after["type"] == "STEP_RUNNING" and moment(due) > moment(after["created_at"]):
                yield Violation(
                    "I17", f"{step['key']} ran before its time", place[0], after["seq"], shown(before, after)
                )


@invariant("I19")
def dead_letters_are_told(seen: Seen) -> Iterator[Violation]:
    """A dead letter is a step that failed for good, and is told as one."""
    for place, step in seen.steps.items():
        last = seen.lives[place][-1]["type"] if seen.lives[place] else None
        if step["dead_lettered"] != (step["state"] == "FAILED") or (
            step["dead_lettered"] and last != "STEP_DEAD_LETTERED"
        ):
            text = f"{step['key']} is {step['state']}, dead letter: {step['dead_lettered']}, last told {last}"
            yield Violation("I19", text, place[0])
