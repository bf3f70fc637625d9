"""What was acknowledged is there, once, with its line in the audit log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import UUID

from persistence import ids
from tests.chaos.checker.seen import Seen, Violation, invariant, shown


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
