"""Steps and runs: along the tables of moves, in order, counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise, product
from typing import Final

from persistence.moves.table import RUN_MOVES, STEP_MOVES
from persistence.states import FINISHED_STEP_STATES, RunState, StepState
from tests.chaos.checker.seen import Place, Seen, Violation, invariant, shown
from tests.chaos.history import Line
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
_ENDS: Final = {"STEP_SUCCEEDED", "STEP_FAILED", "STEP_SKIPPED", "STEP_CANCELLED"}
RUN_ENTERS: Final = {
    "WORKFLOW_PLANNED": "EXECUTING",
    "WORKFLOW_WAITING_APPROVAL": "WAITING_APPROVAL",
    "WORKFLOW_RESUMED": "EXECUTING",
    "WORKFLOW_COMPLETE": "COMPLETED",
    "WORKFLOW_FAILED": "FAILED",
    "WORKFLOW_CANCELLED": "CANCELLED",
}


_READY, _RUNNING = StepState.READY, StepState.RUNNING
OF_LISTS: Final = {
    (StepState.PENDING, _RUNNING),
    (StepState.PENDING, StepState.SUCCEEDED),
    (StepState.FAILED, _RUNNING),
}
"""The moves that only a step with a list makes."""
OF_CALLS: Final = {*product(StepState, (_READY, StepState.BLOCKED)), *product((_READY, StepState.BLOCKED), StepState)}
"""The moves that only a step makes which is called itself."""


def may_move(leaves: StepState, enters: StepState, *, lists: bool) -> bool:
    """Whether the table has the move, and for a step of this kind: with a list, or called itself."""
    return enters in STEP_MOVES[leaves] and (leaves, enters) not in (OF_CALLS if lists else OF_LISTS)


@invariant("I8")
def dependencies_come_first(seen: Seen) -> Iterator[Violation]:
    """A step runs after all that it depends on has succeeded, and all that it comes after has ended."""
    succeeded = {
        place: min(event["seq"] for event in life if event["type"] == "STEP_SUCCEEDED")
        for place, life in seen.lives.items()
        if any(event["type"] == "STEP_SUCCEEDED" for event in life)
    }
    ended = {
        place: min(event["seq"] for event in life if event["type"] in _ENDS)
        for place, life in seen.lives.items()
        if any(event["type"] in _ENDS for event in life)
    }
    for place, step in seen.steps.items():
        for event in seen.lives[place]:
            if event["type"] != "STEP_RUNNING":
                continue
            for before in step["depends_on"]:
                if succeeded.get((place[0], before), event["seq"]) >= event["seq"]:
                    text = f"{step['key']} ran before step {before} had succeeded"
                    yield Violation("I8", text, place[0], event["seq"], shown(event))
            for before in seen.directives.get(place, {}).get("after", []):
                # What ended is not waited for again when it is sent back: so the first end counts.
                if ended.get((place[0], before), event["seq"]) >= event["seq"]:
                    text = f"{step['key']} ran before step {before} had ended"
                    yield Violation("I8", text, place[0], event["seq"], shown(event))


@invariant("I9")
def moves_are_allowed(seen: Seen) -> Iterator[Violation]:
    """Every step goes along the table of moves; and what is told last is what is stored (I12)."""
    for place, step in seen.steps.items():
        state, lists = StepState.PENDING, seen.lists(place)
        for event in seen.lives[place]:
            if event["type"] == "STEP_REDRIVEN":
                back = StepState.BLOCKED if step["gated"] else StepState.READY
                back = StepState.RUNNING if lists else back
                enters = back if state is StepState.FAILED else StepState.PENDING
            elif event["type"] in ENTERS:
                enters = StepState(ENTERS[event["type"]])
            else:
                continue
            if not may_move(state, enters, lists=lists):
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
    parents: Counter[str] = Counter()
    tolerated: Counter[str] = Counter()
    for place, step in seen.steps.items():
        by_run[place[0]][step["state"]] += 1
        parents[place[0]] += step["expands"] and step["state"] == "RUNNING"
        tolerated[place[0]] += step["tolerated"] and step["state"] == "FAILED"
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
            expected = "FAILED" if counted["FAILED"] > tolerated[run_id] else "COMPLETED"
        else:
            moving = counted["READY"] + counted["RUNNING"] - parents[run_id]
            # What follows of a parent whose children have ended follows at once: one that still runs has open ones.
            expected = "EXECUTING" if moving else "WAITING_APPROVAL"
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
        for before in (*step["depends_on"], *seen.directives.get((run, position), {}).get("after", [])):
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
            waiting += seen.directives.get((place[0], each), {}).get("after", [])
    return found


@invariant("I41")
def parents_follow_from_their_children(seen: Seen) -> Iterator[Violation]:
    """A step with a list has a child for each entry, and its state and result are a function of theirs."""
    children: dict[Place, list[Line]] = defaultdict(list)
    for (run, _), step in seen.steps.items():
        if step["parent"] is not None:
            children[run, step["parent"]].append(step)
    for place, step in seen.steps.items():
        if not step["expands"]:
            if children[place]:
                yield Violation("I41", f"{step['key']} has children, and never had a list", place[0])
            continue
        directive = seen.directives[place]
        for what in _wrong_about(step, sorted(children[place], key=lambda each: each["index"]), directive):
            yield Violation("I41", f"{step['key']} {what}", place[0], lines=shown(step, directive))


def _wrong_about(parent: Line, children: list[Line], directive: Line) -> Iterator[str]:
    items, states = directive["items"], Counter(child["state"] for child in children)
    if [child["index"] for child in children] != list(range(len(items))):
        yield f"has {len(items)} entries and the children {[child['key'] for child in children]}"
        return
    still = len(children) - sum(states[str(state)] for state in FINISHED_STEP_STATES)
    failed = bool(states["FAILED"]) and not directive["tolerates"]
    ended = "FAILED" if failed else "SUCCEEDED"
    # With others of its failed children still failed, one that was sent back leaves its parent where it is.
    allowed = (
        {"CANCELLED"} if states["CANCELLED"] else {"RUNNING", *(("FAILED",) if failed else ())} if still else {ended}
    )
    if parent["state"] not in allowed:
        yield f"is {parent['state']} with children {dict(states)}"
    if parent["state"] == "SUCCEEDED":
        expected = [_entry(item, child) for item, child in zip(items, children, strict=True)]
        if parent["result"] != expected:
            yield f"has the result {parent['result']}, and its children {expected}"
    elif parent["result"] is not None:
        yield f"is {parent['state']} with a result"


def _entry(item: object, child: Line) -> Line:
    entry: Line = {"item": item, "result": child["result"] if child["state"] == "SUCCEEDED" else None}
    if child["state"] == "FAILED":
        entry["error"] = {"code": child["error_code"], "message": child["error_message"]}
    if child["state"] == "SKIPPED":
        entry["skipReason"] = child["skip_reason"]
    return entry


@invariant("I42")
def conditions_alone_skip_in_their_name(seen: Seen) -> Iterator[Violation]:
    """Only a step with a condition is skipped for it, and only one without a call."""
    for place, step in seen.steps.items():
        if step["skip_reason"] != "CONDITION_FALSE":
            continue
        if not seen.directives.get(place, {}).get("condition") or step["attempt"]:
            yield Violation("I42", f"{step['key']} was skipped for a condition", place[0], lines=shown(step))


@invariant("I43")
def ended_runs_have_answered(seen: Seen) -> Iterator[Violation]:
    """A run with an answer has it, or says why not, exactly when it has ended by itself."""
    for answer in seen.raw["answers"]:
        run = seen.runs[answer["run_id"]]
        has_one = answer["answer"] is not None or answer["error_code"] is not None
        if has_one != (run["state"] in {"COMPLETED", "FAILED"}):
            text = f"it is {run['state']}, and {'has' if has_one else 'has not'} answered"
            yield Violation("I43", text, answer["run_id"], lines=shown(answer))


@invariant("I15")
def one_outcome_an_attempt(seen: Seen) -> Iterator[Violation]:
    """Each attempt starts once and ends at most once, one after the other: their leases don't overlap (I16)."""
    for place, life in seen.lives_with_attempts():
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
        if step["dead_lettered"] != (step["state"] == "FAILED" and not step["tolerated"]) or (
            step["dead_lettered"] and last != "STEP_DEAD_LETTERED"
        ):
            text = f"{step['key']} is {step['state']}, dead letter: {step['dead_lettered']}, last told {last}"
            yield Violation("I19", text, place[0])
