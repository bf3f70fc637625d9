"""Holds a whole history against the invariants; each violation names its run, its event and the lines that show it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final
from uuid import UUID

from persistence import ids
from persistence.states import FINISHED_RUN_STATES, FINISHED_STEP_STATES, RUN_MOVES, STEP_MOVES, RunState, StepState
from tests.chaos.history import History, Line
from tests.chaos.recovery import moment

Place = tuple[str, int]

_TOOLS: Final = {"keyed", "plain", "gated", "gated_keyed"}
"""Those whose every call is in the ledger."""


@dataclass(frozen=True)
class Violation:
    """Something that must never be."""

    invariant: str
    text: str
    run: str | None = None
    seq: int | None = None
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = "".join([f" run {self.run}" if self.run else "", f" seq {self.seq}" if self.seq else ""])
        return "\n".join([f"{self.invariant}{where}: {self.text}", *(f"    {line}" for line in self.lines[:6])])


@dataclass
class Seen:
    """A history, sorted for questions."""

    raw: History
    runs: dict[str, Line] = field(default_factory=dict[str, Line])
    steps: dict[Place, Line] = field(default_factory=dict[Place, Line])
    events: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    lives: dict[Place, list[Line]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[tuple[str, int, int], Line] = field(default_factory=dict[tuple[str, int, int], Line])
    approvals: dict[str, Line] = field(default_factory=dict[str, Line])
    entries: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    """The ledger's calls by execution key."""

    def __post_init__(self) -> None:
        self.runs = {run["id"]: run for run in self.raw["runs"]}
        self.steps = {(step["run_id"], step["position"]): step for step in self.raw["steps"]}
        for event in self.raw["events"]:
            self.events[event["run_id"]].append(event)
            if event["position"] is not None and event["type"].startswith("STEP_"):
                self.lives[event["run_id"], event["position"]].append(event)
        self.calls = {(call["run_id"], call["position"], call["attempt"]): call for call in self.raw["calls"]}
        self.approvals = {approval["id"]: approval for approval in self.raw["approvals"]}
        for line in self.raw["ledger"]:
            if line["op"] == "call":
                self.entries[line["key"]].append(line)

    def key(self, place: Place) -> str:
        """The step's execution key."""
        return ids.execution_key(UUID(place[0]), place[1])

    def called(self, place: Place) -> list[Line]:
        """The ledger's lines about the step."""
        return self.entries.get(self.key(place), [])

    def people(self, *what: str) -> list[Line]:
        """What was asked by one of these names."""
        return [line for line in self.raw["people"] if line["what"] in what]


Check = Callable[[Seen], Iterator[Violation]]
CHECKS: dict[str, Check] = {}


def invariant(name: str) -> Callable[[Check], Check]:
    """Register a check under the invariant's name; several may share one."""

    def register(check: Check) -> Check:
        CHECKS[f"{name} {getattr(check, '__name__', '')}"] = check
        return check

    return register


def check(history: History) -> list[Violation]:
    """Everything that does not hold."""
    seen = Seen(history)
    return [violation for each in CHECKS.values() for violation in each(seen)]


def shown(*lines: Line) -> tuple[str, ...]:
    """Lines as evidence."""
    return tuple(str({name: value for name, value in line.items() if value is not None})[:400] for line in lines)


# Effects


@invariant("I1")
def effects_at_most_once(seen: Seen) -> Iterator[Violation]:
    """No key has more than one effect."""
    for key, entries in seen.entries.items():
        applied = [line for line in entries if line["applied"]]
        if len(applied) > 1:
            yield Violation("I1", f"{key} has {len(applied)} effects", applied[0]["run"], lines=shown(*applied))


@invariant("I2")
def success_means_one_effect(seen: Seen) -> Iterator[Violation]:
    """What SUCCEEDED happened once, and its result is what the tool answered."""
    for place, step in seen.steps.items():
        if step["state"] != "SUCCEEDED" or step["tool"] not in _TOOLS:
            continue
        applied = [line for line in seen.called(place) if line["applied"]]
        if not applied:
            yield Violation("I2", f"{step['key']} succeeded without an effect", place[0], lines=shown(step))
        elif (step["result"] or {}).get("answer") != applied[0]["answer"]:
            text = f"{step['key']} has the result {step['result']}, and was answered {applied[0]['answer']}"
            yield Violation("I2", text, place[0], lines=shown(*seen.called(place)))


@invariant("I3")
def calls_are_recorded_before_they_are_made(seen: Seen) -> Iterator[Violation]:
    """Each call received belongs to an attempt that was committed before."""
    for place in seen.steps:
        for line in seen.called(place):
            call = seen.calls.get((*place, line["attempt"]))
            if call is None:
                yield Violation("I3", f"attempt {line['attempt']} was never recorded", place[0], lines=shown(line))
            elif moment(call["started_at"]) > line["at"]:
                yield Violation("I3", "called before it was recorded", place[0], lines=shown(call, line))
    known = {seen.key(place) for place in seen.steps}
    for key, entries in seen.entries.items():
        if key not in known:
            yield Violation("I3", f"{key} belongs to no step", lines=shown(*entries))


@invariant("I4")
def gated_calls_come_after_their_approval(seen: Seen) -> Iterator[Violation]:
    """A gated tool is called only after a person's yes was committed."""
    for place, step in seen.steps.items():
        if not step["gated"]:
            continue
        for line in seen.called(place):
            call = seen.calls.get((*place, line["attempt"]), {})
            approval = seen.approvals.get(call.get("approval_id") or "")
            if approval is None or approval["status"] != "APPROVED" or approval["kind"] != "EXECUTE":
                yield Violation("I4", f"{step['key']} was called without an approval", place[0], lines=shown(line))
            elif moment(approval["decided_at"]) > line["at"]:
                yield Violation("I4", "called before it was approved", place[0], lines=shown(approval, line))


@invariant("I5")
def what_was_sent_is_what_was_approved(seen: Seen) -> Iterator[Violation]:
    """The digest of the arguments is one from the question to the call."""
    told = {line["approval"]: line for line in seen.people("decideApproval") if line["outcome"] == "ok"}
    for place, step in seen.steps.items():
        if not step["gated"]:
            continue
        for line in seen.called(place):
            call = seen.calls.get((*place, line["attempt"]), {})
            approval = seen.approvals.get(call.get("approval_id") or "", {})
            digests = {line["digest"], call.get("digest"), approval.get("granted_digest", line["digest"])}
            if (decision := told.get(ids.approval_id(UUID(approval["id"])) if approval else "")) is not None:
                digests.add(decision["digest"])
            if len(digests) > 1:
                text = f"{step['key']} was called with other arguments than those approved"
                yield Violation("I5", text, place[0], lines=shown(line, call, approval))


@invariant("I7")
def what_was_refused_is_never_called(seen: Seen) -> Iterator[Violation]:
    """No call of a step that never ran, nor under an approval that was not given."""
    for place, step in seen.steps.items():
        called = seen.called(place)
        if called and step["attempt"] == 0:
            yield Violation("I7", f"{step['key']} is {step['state']} and was called", place[0], lines=shown(*called))
    for call in seen.raw["calls"]:
        approval = seen.approvals.get(call["approval_id"] or "")
        if approval is not None and approval["status"] in {"REJECTED", "EXPIRED", "CANCELLED"}:
            yield Violation("I7", "called under a refused approval", call["run_id"], lines=shown(call, approval))


@invariant("I18")
def what_must_not_be_repeated_is_not(seen: Seen) -> Iterator[Violation]:
    """After a final error, or a doubt about a call that must not be repeated, nothing calls again but a person."""
    for place, life in seen.lives.items():
        step = seen.steps.get(place)
        if step is None:
            continue
        for before, after in pairwise(life):
            if before["type"] == "STEP_IN_DOUBT" and after["type"] == "STEP_RUNNING":
                text = f"{step['key']} ran again although nobody had said that it did not happen"
                yield Violation("I18", text, place[0], after["seq"], shown(before, after))
        if step["idempotent"]:
            continue
        for before, after in pairwise(life):
            lost = before["type"] == "STEP_RUNNING" and after["type"] == "STEP_RETRYING"
            if not lost or after["metadata"]["reason"] == "FAILED":
                continue
            made = [line for line in seen.called(place) if line["attempt"] == before["metadata"]["attempt"]]
            if made:
                text = f"{step['key']} was called, lost with its process, and sent back without a person"
                yield Violation("I18", text, place[0], after["seq"], shown(after, *made))


@invariant("I36")
def one_call_an_attempt(seen: Seen) -> Iterator[Violation]:
    """An execution key and an attempt name one call."""
    for key, entries in seen.entries.items():
        for attempt, times in Counter(line["attempt"] for line in entries).items():
            if times > 1:
                twice = [line for line in entries if line["attempt"] == attempt]
                yield Violation("I36", f"attempt {attempt} of {key} was called {times} times", lines=shown(*twice))


@invariant("I40")
def successful_calls_are_in_the_ledger(seen: Seen) -> Iterator[Violation]:
    """What is recorded to have succeeded was received, under its attempt, or a person said so."""
    said = {
        (approval["run_id"], approval["position"], approval["attempt"])
        for approval in seen.approvals.values()
        if approval["resolution"] == "HAPPENED"
    }
    for place, call in seen.calls.items():
        if call["status"] != "SUCCEEDED" or call["tool"] not in _TOOLS or place in said:
            continue
        if not any(line["attempt"] == place[2] for line in seen.called(place[:2])):
            yield Violation("I40", "a successful call that nobody received", place[0], lines=shown(call))


# Decisions


@invariant("I6")
def one_decision_an_approval(seen: Seen) -> Iterator[Violation]:
    """An approval is decided once, and whoever else decides is told so."""
    decided: dict[str, list[Line]] = defaultdict(list)
    for events in seen.events.values():
        for event in events:
            if event["type"] in {"APPROVAL_APPROVED", "APPROVAL_REJECTED", "APPROVAL_EXPIRED", "APPROVAL_CANCELLED"}:
                decided[event["approval_id"]].append(event)
    for events in decided.values():
        if len(events) > 1:
            yield Violation("I6", "decided twice", events[0]["run_id"], events[1]["seq"], shown(*events))


@invariant("I6")
def one_answer_to_all_who_decide(seen: Seen) -> Iterator[Violation]:
    """No two people are told that their different decisions count; what is open is what is BLOCKED."""
    accepted: dict[str, list[Line]] = defaultdict(list)
    for line in seen.people("decideApproval", "resolveInDoubt"):
        if line["outcome"] == "ok":
            accepted[line["approval"]].append(line)
    for approval, lines in accepted.items():
        if len({(line["who"], line["decision"]) for line in lines}) > 1:
            yield Violation("I6", f"two were told that their decision of {approval} counts", lines=shown(*lines))
    still = Counter(
        (each["run_id"], each["position"]) for each in seen.approvals.values() if each["status"] == "REQUIRED"
    )
    for place, step in seen.steps.items():
        if still[place] != int(step["state"] == "BLOCKED"):
            yield Violation("I6", f"{step['key']} is {step['state']} with {still[place]} open approvals", place[0])


@invariant("I22")
def acknowledged_decisions_are_recorded(seen: Seen) -> Iterator[Violation]:
    """What somebody was told to be decided or cancelled is in the timeline, as theirs."""
    told: dict[str, Line] = {
        event["approval_id"]: event
        for events in seen.events.values()
        for event in events
        if event["type"] in {"APPROVAL_APPROVED", "APPROVAL_REJECTED"}
    }
    for line in seen.people("decideApproval", "resolveInDoubt"):
        if line["outcome"] != "ok":
            continue
        event = told.get(str(ids.parse_as(ids.APPROVAL, line["approval"])))
        yes = line["decision"] in {"APPROVE", "HAPPENED", "DID_NOT_HAPPEN"}
        if event is None or event["type"] != ("APPROVAL_APPROVED" if yes else "APPROVAL_REJECTED"):
            text = f"the decision {line['decision']} was acknowledged and is not recorded"
            yield Violation("I22", text, lines=shown(line, event or {}))
        elif event["metadata"]["decidedBy"] != line["who"]:
            yield Violation("I29", "decided by somebody else than whose token it was", lines=shown(line, event))
    for line in seen.people("cancelRun"):
        run = str(ids.parse_as(ids.RUN, line["run"]))
        if line["outcome"] == "ok" and not any(event["type"] == "WORKFLOW_CANCELLED" for event in seen.events[run]):
            yield Violation("I22", "acknowledged and not recorded: a cancellation", run, lines=shown(line))


@invariant("I29")
def deciders_may_decide(seen: Seen) -> Iterator[Violation]:
    """Only approvers and administrators decide what others submitted."""
    roles = {user["id"]: set(user["roles"]) for user in seen.raw["users"]}
    for approval in seen.approvals.values():
        by = approval["decided_by"]
        if by is not None and not roles.get(by, set()) & {"APPROVER", "ADMIN"}:
            yield Violation("I29", "decided by somebody who may not", approval["run_id"], lines=shown(approval))


@invariant("I37")
def nothing_is_decided_too_late(seen: Seen) -> Iterator[Violation]:
    """No decision after its time."""
    for approval in seen.approvals.values():
        if approval["decided_at"] and approval["expires_at"] and approval["decided_at"] > approval["expires_at"]:
            yield Violation("I37", "decided after its time", approval["run_id"], lines=shown(approval))


# Order and state

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


# The timeline


@invariant("I11")
def timelines_have_no_gap(seen: Seen) -> Iterator[Violation]:
    """A run's events are 1..n, and n is what the run counts."""
    for run_id, run in seen.runs.items():
        numbers = [event["seq"] for event in seen.events[run_id]]
        if numbers != list(range(1, run["last_seq"] + 1)):
            yield Violation("I11", f"the events are {numbers[:60]}, and the run counts {run['last_seq']}", run_id)


@invariant("I13")
def everybody_sees_the_same(seen: Seen) -> Iterator[Violation]:
    """An event is the same for all subscribers, whenever and wherever they got it."""
    first: dict[tuple[str, int], Line] = {}
    kinds = {(run, event["seq"]): event for run, events in seen.events.items() for event in events}
    for follower in seen.raw["followers"]:
        run = str(ids.parse_as(ids.RUN, follower["run"]))
        for line in follower["received"]:
            other = first.setdefault((run, line["seq"]), line)
            stored = kinds.get((run, line["seq"]))
            if other["content"] != line["content"] or stored is None or stored["type"] != line["type"]:
                text = "a subscriber got another event than others, or than is stored"
                yield Violation("I13", text, run, line["seq"], shown(line, other, stored or {}))


@invariant("I14")
def time_goes_on(seen: Seen) -> Iterator[Violation]:
    """Times never decrease along a timeline."""
    for run, events in seen.events.items():
        for before, after in pairwise(events):
            if moment(before["created_at"]) > moment(after["created_at"]):
                yield Violation("I14", "time goes back", run, after["seq"], shown(before, after))


@invariant("I25")
def subscribers_get_everything_once(seen: Seen) -> Iterator[Violation]:
    """Over all its connections a subscriber gets 1, 2, 3 … up to the end."""
    for follower in seen.raw["followers"]:
        run = str(ids.parse_as(ids.RUN, follower["run"]))
        numbers = [line["seq"] for line in follower["received"]]
        if numbers != list(range(1, len(numbers) + 1)):
            wrong = next(place for place, number in enumerate(numbers, 1) if number != place)
            lines = shown(*follower["received"][max(0, wrong - 3) : wrong + 1])
            yield Violation("I25", f"a subscriber got {numbers[wrong - 1]} as number {wrong}", run, wrong, lines)
        last = follower["received"][-1]["type"] if follower["received"] else None
        is_end = last in {"WORKFLOW_COMPLETE", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED"}
        stored = seen.runs.get(run)
        if follower["refusals"]:
            yield Violation("I25", f"a subscriber was refused: {follower['refusals'][0][:300]}", run)
        elif stored is not None and stored["finished_at"] and not (follower["is_over"] and is_end):
            yield Violation("I25", f"a subscriber still waits after {last}, number {len(numbers)}", run)


# Durability


@invariant("I20")
def acknowledged_submissions_exist(seen: Seen) -> Iterator[Violation]:
    """What somebody was told to be recorded is, once; and nothing is that nobody asked for."""
    asked = {(line["who"], line["key"]) for line in seen.people("submitWorkflow")}
    for line in seen.people("submitWorkflow"):
        if line["outcome"] == "ok" and str(ids.parse_as(ids.RUN, line["answer"]["run"]["id"])) not in seen.runs:
            yield Violation("I20", "acknowledged, and not there", lines=shown(line))
    for run_id, run in seen.runs.items():
        if (ids.user_id(UUID(run["submitted_by"])), run["idempotency_key"]) not in asked:
            yield Violation("I20", "nobody submitted this", run_id, lines=shown(run))


@invariant("I21")
def one_run_a_key(seen: Seen) -> Iterator[Violation]:
    """A key names one run, for one body."""
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    bodies: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in seen.people("submitWorkflow"):
        if line["outcome"] == "ok":
            named[line["who"], line["key"]].add(line["answer"]["run"]["id"])
            bodies[line["who"], line["key"]].add(line["body"])
    for key, runs in named.items():
        if len(runs) > 1:
            yield Violation("I21", f"{key} named {sorted(runs)}")
        if len(bodies[key]) > 1:
            yield Violation("I21", f"{key} was accepted for two bodies")
    counted = Counter((run["submitted_by"], run["idempotency_key"]) for run in seen.runs.values())
    for key, times in counted.items():
        if times > 1 and key[1] is not None:
            yield Violation("I21", f"{times} runs of the key {key}")


@invariant("I30")
def what_was_acknowledged_is_in_the_audit_log(seen: Seen) -> Iterator[Violation]:
    """Every acknowledged change has its line."""
    actions = {"decideApproval": "approval", "resolveInDoubt": "approval", "cancelRun": "run", "retryStep": "step"}
    written = {(each["user_id"], each["subject"]) for each in seen.raw["audit"] if each["outcome"] == "ACCEPTED"}
    for line in seen.people("submitWorkflow", *actions):
        if line["outcome"] != "ok":
            continue
        subject = line[actions[line["what"]]] if line["what"] in actions else line["answer"]["run"]["id"]
        if (str(ids.parse_as(ids.USER, line["who"])), subject) not in written:
            yield Violation("I30", f"no audit line says that {line['who']} did it", lines=shown(line))


# Liveness and hygiene


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
