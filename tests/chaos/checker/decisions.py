"""What people decided: once, by who may, in time, and as they were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from persistence import ids
from tests.chaos.checker.seen import Seen, Violation, invariant, shown
from tests.chaos.history import Line


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
