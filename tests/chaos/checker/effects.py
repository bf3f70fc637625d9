"""What happened outside: once, allowed, and as it was approved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID

from persistence import ids
from tests.chaos.checker.seen import TOOLS, Seen, Violation, invariant, shown
from tests.chaos.history import Line
from tests.chaos.recovery import moment


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
        if step["state"] != "SUCCEEDED" or step["tool"] not in TOOLS or seen.lists(place):
            continue
        applied = [line for line in seen.called(place) if line["applied"]]
        if not applied:
            yield Violation("I2", f"{step['key']} succeeded without an effect", place[0], lines=shown(step))
        elif answer_of(step) != applied[0]["answer"]:
            text = f"{step['key']} has the result {step['result']}, and was answered {applied[0]['answer']}"
            yield Violation("I2", text, place[0], lines=shown(*seen.called(place)))


def answer_of(step: Line) -> object:
    """What the step's result says that it was answered."""
    result: Line = step["result"] or {}
    return result.get("answer")


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
        if call["status"] != "SUCCEEDED" or call["tool"] not in TOOLS or place in said:
            continue
        if not any(line["attempt"] == place[2] for line in seen.called(place[:2])):
            yield Violation("I40", "a successful call that nobody received", place[0], lines=shown(call))
