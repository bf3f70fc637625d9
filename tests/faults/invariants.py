"""What must hold of a run at every moment: its rows and its timeline, read at once, held against each other."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from persistence.database import Connection, Database
from persistence.moves.table import RUN_MOVES
from persistence.states import FINISHED_RUN_STATES, FINISHED_STEP_STATES, EventType, RunState, StepState
from tests.chaos.checker.states import may_move

_EVERYTHING = """
SELECT row_to_json(r),
    (SELECT json_agg(s ORDER BY position) FROM steps s WHERE run_id = r.id),
    (SELECT json_agg(a ORDER BY created_at, id) FROM approvals a WHERE run_id = r.id),
    (SELECT json_agg(c ORDER BY position, attempt) FROM tool_calls c WHERE run_id = r.id),
    (SELECT json_agg(e ORDER BY seq) FROM timeline_events e WHERE run_id = r.id),
    (SELECT json_agg(d ORDER BY position) FROM step_directives d WHERE run_id = r.id),
    (SELECT json_agg(n) FROM run_answers n WHERE run_id = r.id)
FROM runs r WHERE r.id = ANY($1::uuid[]) ORDER BY r.id
"""

STARTS: Final = {
    EventType.STEP_READY: StepState.READY,
    EventType.STEP_RUNNING: StepState.RUNNING,
    EventType.STEP_SUCCEEDED: StepState.SUCCEEDED,
    EventType.STEP_RETRYING: StepState.READY,
    EventType.STEP_FAILED: StepState.FAILED,
    EventType.STEP_BLOCKED: StepState.BLOCKED,
    EventType.STEP_IN_DOUBT: StepState.BLOCKED,
    EventType.STEP_SKIPPED: StepState.SKIPPED,
    EventType.STEP_CANCELLED: StepState.CANCELLED,
}
"""The state that an event says its step has entered; STEP_REDRIVEN depends on where it stood."""

DECIDES: Final = {
    EventType.APPROVAL_APPROVED: "APPROVED",
    EventType.APPROVAL_REJECTED: "REJECTED",
    EventType.APPROVAL_EXPIRED: "EXPIRED",
    EventType.APPROVAL_CANCELLED: "CANCELLED",
}


class Whole:
    """One run with all that belongs to it."""

    def __init__(self, row: Any) -> None:
        self.run: dict[str, Any] = json.loads(row[0])
        self.steps, self.approvals, self.calls, self.events, directives, self.answers = (
            list[dict[str, Any]](json.loads(part) if part else []) for part in row[1:]
        )
        self.directives: dict[int, dict[str, Any]] = {each["position"]: each for each in directives}

    @property
    def settled(self) -> list[Any]:
        """Everything that a repetition may not change: all but what a late word adds to its tool call."""
        calls = [[call["position"], call["attempt"], call["args"], call["approval_id"]] for call in self.calls]
        return [self.run, self.steps, self.approvals, calls, self.events]

    def after(self, step: dict[str, Any]) -> list[int]:
        """The steps that must have ended before this one began; a child has none of its own."""
        return self.directives[step["position"]]["after"] if step["position"] in self.directives else []

    def children(self, parent: int) -> list[dict[str, Any]]:
        """The children of a step, in their order."""
        return [step for step in self.steps if step["parent"] == parent]

    def check(self) -> None:
        """Raises AssertionError naming what does not hold."""
        self._counters()
        self._timeline()
        self._fold()
        self._steps()
        self._lists()
        self._approvals()
        self._calls()
        self._run()
        self._run_events()

    def _counters(self) -> None:
        counted = Counter(step["state"] for step in self.steps)
        for state in StepState:
            assert self.run[state.lower()] == counted[state], f"{state}: {self.run[state.lower()]} of {counted}"

    def _timeline(self) -> None:
        seqs = [event["seq"] for event in self.events]
        assert seqs == list(range(1, len(seqs) + 1))
        assert self.run["last_seq"] == len(seqs)
        for before, after in pairwise(self.events):
            assert before["created_at"] <= after["created_at"], f"time goes back at {after['seq']}"
        for place, event in enumerate(self.events):
            if event["type"] == EventType.STEP_FAILED and not self.steps[event["position"]]["tolerated"]:
                follows = self.events[place + 1]
                assert follows["type"] == EventType.STEP_DEAD_LETTERED, f"{event['seq']}: a failure alone"
                assert follows["position"] == event["position"]
            if event["type"] == EventType.STEP_DEAD_LETTERED:
                assert self.events[place - 1]["type"] == EventType.STEP_FAILED

    def _fold(self) -> None:
        """The timeline alone tells the state of every step and approval, by moves that the table allows."""
        told = {step["position"]: StepState.PENDING for step in self.steps}
        gated = {step["position"]: step["gated"] for step in self.steps}
        parents = {step["position"] for step in self.steps if step["expands"]}
        listed = {place for place, directive in self.directives.items() if directive["for_each"]}
        asked: dict[str, str] = {}
        running: Counter[int] = Counter()
        lost: Counter[int] = Counter()
        for event in self.events:
            kind, place = EventType(event["type"]), event["position"]
            if kind is EventType.APPROVAL_REQUIRED:
                assert event["approval_id"] not in asked
                asked[event["approval_id"]] = "REQUIRED"
            elif kind in DECIDES:
                assert asked[event["approval_id"]] == "REQUIRED", f"{event['seq']}: decided twice"
                asked[event["approval_id"]] = DECIDES[kind]
            enters = STARTS.get(kind)
            if kind is EventType.STEP_REDRIVEN:
                back = StepState.BLOCKED if gated[place] else StepState.READY
                back = StepState.RUNNING if place in parents else back
                enters = back if told[place] is StepState.FAILED else StepState.PENDING
            if kind is EventType.STEP_REDRIVEN:
                lost[place] = 0
            elif "LOST" in (
                event["metadata"].get("reason"),
                (event["metadata"].get("code") or "").removeprefix("WORKER_"),
            ):
                lost[place] += 1
            if enters is None:
                continue
            assert may_move(told[place], enters, lists=place in listed), f"{event['seq']}: {told[place]} → {enters}"
            told[place] = enters
            if kind is EventType.STEP_RUNNING and place in parents:
                assert event["metadata"] == {"children": len(self.children(place))}
            elif enters is StepState.RUNNING and place not in parents:
                running[place] += 1
                assert event["metadata"]["attempt"] == running[place]
        assert told == {step["position"]: step["state"] for step in self.steps}
        assert asked == {approval["id"]: approval["status"] for approval in self.approvals}
        assert all(step["attempt"] == running[step["position"]] for step in self.steps)
        assert all(step["losses"] == lost[step["position"]] for step in self.steps)

    def _steps(self) -> None:
        states = [step["state"] for step in self.steps]
        for step in self.steps:
            before = [states[place] for place in step["depends_on"]]
            missing = sum(state != StepState.SUCCEEDED for state in before)
            if step["state"] == StepState.PENDING:
                unmet = missing + sum(states[place] not in FINISHED_STEP_STATES for place in self.after(step))
                assert step["remaining"] == unmet > 0, f"{step['position']} waits for {step['remaining']}, not {unmet}"
                lost = {StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED}
                assert not lost & set(before), f"{step['position']} waits for what will never come"
            if step["state"] in {"READY", "RUNNING", "BLOCKED", "SUCCEEDED", "FAILED"}:
                assert step["remaining"] == missing == 0, f"{step['position']} is {step['state']} too early"
                unfit = step["state"] == StepState.FAILED and step["attempt"] == 0
                listed = step["position"] in self.directives and self.directives[step["position"]]["for_each"]
                assert unfit or listed or not step["dynamic"] or step["resolved_args"] is not None
            if step["skip_reason"] in {"DEPENDENCY_FAILED", "DEPENDENCY_SKIPPED"}:
                assert {StepState.FAILED, StepState.SKIPPED} & set(before)
            if step["max_attempts"] is not None:
                assert step["calls"] <= step["max_attempts"] + step["losses"], "more calls than it may have"

    def _lists(self) -> None:
        """A parent runs while a child of it has not ended, and then follows from them."""
        assert self.run["elaborate"] == bool(self.directives or self.answers)
        for step in self.steps:
            children = self.children(step["position"])
            assert step["expands"] == bool(children)
            if step["parent"] is not None:
                assert self.steps[step["parent"]]["expands"]
                assert step["key"] == f"{self.steps[step['parent']]['key']}[{step['index']}]"
            if not children:
                continue
            self._parent(step, children)
        parents = [step["state"] for step in self.steps if step["expands"]]
        if self.run["state"] != RunState.CANCELLED:
            assert self.run["expanded"] == parents.count(StepState.RUNNING)

    def _parent(self, step: dict[str, Any], children: list[dict[str, Any]]) -> None:
        directive, states = self.directives[step["position"]], Counter(child["state"] for child in children)
        assert [child["index"] for child in children] == list(range(len(directive["items"])))
        assert all(child["tolerated"] == directive["tolerates"] for child in children)
        still = sum(number for state, number in states.items() if state not in FINISHED_STEP_STATES)
        failed = bool(states["FAILED"]) and not directive["tolerates"]
        if step["state"] != StepState.CANCELLED:
            assert directive["open_children"] == still
            # Until the last of its failed children comes back, a parent stays failed.
            assert step["state"] == StepState.FAILED or (step["state"] == StepState.RUNNING) == bool(still)
            assert step["state"] != StepState.SUCCEEDED or not failed
            assert step["state"] != StepState.FAILED or failed or step["error_code"] == "RESULT_TOO_LARGE"
        if directive["max_parallel"] is not None:
            assert states["RUNNING"] <= directive["max_parallel"]
            held = [child for child in children if child["due_at"] == "infinity"]
            seats = states["RUNNING"] + states["READY"] - len(held)
            assert seats <= directive["max_parallel"]
            assert not held or seats == directive["max_parallel"], "children are held back, and places are free"
        else:
            assert all(child["due_at"] != "infinity" for child in children)

    def _approvals(self) -> None:
        still = Counter(each["position"] for each in self.approvals if each["status"] == "REQUIRED")
        for step in self.steps:
            blocked = step["state"] == StepState.BLOCKED
            assert still[step["position"]] == int(blocked), f"{step['position']}: {still[step['position']]} open"
        for each in self.approvals:
            calls = [call for call in self.calls if call["approval_id"] == each["id"]]
            assert (each["spent_at"] is not None) == bool(calls), "spent without a call, or called without being spent"
            assert all(call["digest"] == each["granted_digest"] for call in calls)
            if each["kind"] == "EXECUTE":
                assert self.steps[each["position"]]["gated"]

    def _calls(self) -> None:
        made = {(call["position"], call["attempt"]): call for call in self.calls}
        gated = {step["position"]: step["gated"] for step in self.steps}
        assert all(call["approval_id"] is not None for call in self.calls if gated[call["position"]])
        for step in self.steps:
            place, attempt = step["position"], step["attempt"]
            assert [number for at, number in made if at == place] == list(range(1, attempt + 1))
            for number in range(1, attempt + 1):
                started = made[place, number]["status"] == "STARTED"
                runs = step["state"] == StepState.RUNNING and number == attempt
                assert started or not runs, f"{place} runs, and its call has ended"
                left = step["state"] == StepState.CANCELLED and number == attempt
                assert not started or runs or left, f"call {number} of {place} never ended"
            if step["state"] == StepState.SUCCEEDED and not step["expands"] and made.get((place, attempt)) is None:
                assert step["result"] == [], f"{place} succeeded without a call"
            elif step["state"] == StepState.SUCCEEDED and not step["expands"]:
                # Its last call, or the one in doubt of which a person said that it happened.
                assert made[place, attempt]["status"] == "SUCCEEDED"
                assert made[place, attempt]["result"] == step["result"]
            digests = {made[place, number]["digest"] for number in range(1, attempt + 1)}
            assert len(digests) <= step["execution"], "other arguments within one execution"

    def _run(self) -> None:
        """The run's state is a function of its steps'."""
        state, steps = self.run["state"], Counter(step["state"] for step in self.steps)
        if not self.steps:
            assert state in {"QUEUED", "PLANNING", "FAILED", "CANCELLED"}
            return
        if state == RunState.CANCELLED:
            assert self.run["outcome"] == "CANCELLED"
            assert set(steps) <= FINISHED_STEP_STATES
            return
        moving, waiting = steps["READY"] + steps["RUNNING"] - self.run["expanded"], steps["BLOCKED"]
        failed = sum(step["state"] == StepState.FAILED and not step["tolerated"] for step in self.steps)
        if moving + waiting + steps["PENDING"] + self.run["expanded"] == 0:
            expected = RunState.FAILED if failed else RunState.COMPLETED
            outcome = "FAILED" if failed else "PARTIAL" if self._is_partial() else "CLEAN"
        else:
            assert moving + waiting > 0, "nothing will ever move this run again"
            expected, outcome = RunState.EXECUTING if moving else RunState.WAITING_APPROVAL, None
        assert state == expected
        assert self.run["outcome"] == outcome
        assert (self.run["finished_at"] is not None) == (RunState(state) in FINISHED_RUN_STATES)
        assert self.run["asked"] == bool(self.approvals)

    def _is_partial(self) -> bool:
        """Something was left out that the plan itself did not leave out, or a failure was tolerated."""
        reasons = {step["skip_reason"] for step in self.steps if step["state"] == StepState.SKIPPED}
        return bool(reasons & {"REJECTED", "APPROVAL_EXPIRED", "ABANDONED"}) or any(
            step["state"] == StepState.FAILED for step in self.steps
        )

    def _run_events(self) -> None:
        """What is told of the run is a path of the run's moves, and ends where the run stands."""
        kinds = [EventType(event["type"]) for event in self.events]
        assert kinds[0] is EventType.WORKFLOW_STARTED
        assert kinds.count(EventType.WORKFLOW_STARTED) == 1
        assert kinds.count(EventType.WORKFLOW_PLANNED) == int(bool(self.steps))
        told = RunState.PLANNING
        for kind in kinds[1:]:
            enters = {
                EventType.WORKFLOW_PLANNED: RunState.EXECUTING,
                EventType.WORKFLOW_WAITING_APPROVAL: RunState.WAITING_APPROVAL,
                EventType.WORKFLOW_RESUMED: RunState.EXECUTING,
                EventType.WORKFLOW_COMPLETE: RunState.COMPLETED,
                EventType.WORKFLOW_FAILED: RunState.FAILED,
                EventType.WORKFLOW_CANCELLED: RunState.CANCELLED,
            }.get(kind)
            if enters is not None:
                assert enters in RUN_MOVES[told], f"{told} → {enters}"
                told = enters
            else:
                # Approvals are withdrawn and steps cancelled before the run is told to be cancelled, so that only
                # a redrive is told of a run that is over.
                assert told not in FINISHED_RUN_STATES or kind in {
                    EventType.STEP_REDRIVEN,
                    EventType.APPROVAL_REQUIRED,
                }, f"{kind} after the end"
        assert told == self.run["state"] or self.run["state"] in {"QUEUED", "PLANNING"}
        if RunState(self.run["state"]) in FINISHED_RUN_STATES:
            assert kinds[-1] in {
                EventType.WORKFLOW_COMPLETE,
                EventType.WORKFLOW_FAILED,
                EventType.WORKFLOW_CANCELLED,
            }


async def wholes(database: Database | Connection, runs: list[UUID]) -> dict[UUID, Whole]:
    """These runs with all that belongs to them."""
    found = [Whole(row) for row in await database.fetch(_EVERYTHING, runs)]
    return {UUID(whole.run["id"]): whole for whole in found}


async def check_runs(database: Database | Connection, *runs: UUID) -> dict[UUID, Whole]:
    """Raises AssertionError when anything about these runs does not hold; all that belongs to them."""
    found = await wholes(database, list(runs))
    for run, whole in found.items():
        try:
            whole.check()
        except AssertionError as error:
            story = "\n".join(
                f"{event['seq']:4} {event['type']} {event['position'] if event['position'] is not None else ''}"
                for event in whole.events
            )
            error.add_note(f"run {run}, {[step['state'] for step in whole.steps]}:\n{story}")
            raise
    return found
