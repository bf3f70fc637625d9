"""The checker finds what is spoilt on purpose, by the name of its invariant; and nothing in what is sound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.checker import CHECKS, check
from tests.chaos.history import History
from tests.chaos.story import ANN, RUN, at, listed, sound

Spoil = Callable[[History], None]
Story = Callable[[], History]
SPOILS: list[tuple[str, str, Spoil, Story]] = []


def spoils(invariant: str, of: Story = sound) -> Callable[[Spoil], Spoil]:
    def register(spoil: Spoil) -> Spoil:
        SPOILS.append((invariant, spoil.__name__.replace("_", " "), spoil, of))
        return spoil

    return register


def event(history: History, kind: str, position: int | None = None, nth: int = 0) -> dict[str, object]:
    return [each for each in history["events"] if each["type"] == kind and position in (None, each["position"])][nth]


def without(history: History, kind: str, position: int | None = None) -> None:
    """Leave the event out, as if it had never been: the others are numbered without it."""
    history["events"].remove(event(history, kind, position))
    renumber(history)


def renumber(history: History) -> None:
    for seq, each in enumerate(history["events"], 1):
        each["seq"] = seq
    history["runs"][0]["last_seq"] = len(history["events"])
    history["followers"] = []


@spoils("I1")
def a_call_applied_twice(history: History) -> None:
    history["ledger"].append({**history["ledger"][3], "attempt": 2})


@spoils("I2")
def a_success_without_an_effect(history: History) -> None:
    history["ledger"][3]["applied"] = False


@spoils("I2")
def a_result_that_is_not_the_answer(history: History) -> None:
    history["steps"][0]["result"] = {"answer": 99}


@spoils("I3")
def a_call_without_a_record(history: History) -> None:
    history["ledger"].append({**history["ledger"][0], "attempt": 9})


@spoils("I3")
def a_call_before_its_record(history: History) -> None:
    history["calls"][3]["started_at"] = at(8.5)


@spoils("I3")
def a_call_of_no_step(history: History) -> None:
    history["ledger"].append({**history["ledger"][0], "key": "exec_0_0"})


@spoils("I4")
def a_gated_call_without_an_approval(history: History) -> None:
    history["calls"][2]["approval_id"] = None


@spoils("I4")
def a_gated_call_before_its_approval(history: History) -> None:
    history["approvals"][0]["decided_at"] = at(5.9)


@spoils("I5")
def other_arguments_than_approved(history: History) -> None:
    history["ledger"][2]["digest"] = "d3"


@spoils("I5")
def other_arguments_than_the_person_saw(history: History) -> None:
    history["people"][1]["digest"] = "d3"


@spoils("I6")
def an_approval_decided_twice(history: History) -> None:
    place = history["events"].index(event(history, "APPROVAL_APPROVED"))
    history["events"].insert(place, {**event(history, "APPROVAL_APPROVED"), "type": "APPROVAL_REJECTED"})
    renumber(history)


@spoils("I6")
def two_people_told_that_their_decision_counts(history: History) -> None:
    history["people"].append({**history["people"][1], "who": f"user_{'d' * 32}"})


@spoils("I6")
def an_open_approval_of_a_finished_step(history: History) -> None:
    history["approvals"][0]["status"] = "REQUIRED"


@spoils("I7")
def a_call_of_what_never_ran(history: History) -> None:
    history["steps"][2] |= {"state": "SKIPPED", "attempt": 0}


@spoils("I7")
def a_call_under_a_refused_approval(history: History) -> None:
    history["approvals"][0]["status"] = "REJECTED"


@spoils("I8")
def a_step_before_its_dependency(history: History) -> None:
    history["steps"][0]["depends_on"] = [2]


@spoils("I9")
def a_move_that_is_in_no_table(history: History) -> None:
    without(history, "STEP_READY", 2)


@spoils("I9")
def a_run_that_moves_as_no_run_may(history: History) -> None:
    without(history, "WORKFLOW_PLANNED")


@spoils("I10")
def a_run_that_counts_wrongly(history: History) -> None:
    history["runs"][0]["succeeded"] = 2


@spoils("I10")
def a_run_that_is_not_what_its_steps_are(history: History) -> None:
    history["runs"][0]["state"] = "FAILED"


@spoils("I11")
def a_gap_in_a_timeline(history: History) -> None:
    history["events"][5]["seq"] = 60


@spoils("I11")
def an_event_more_than_the_run_counts(history: History) -> None:
    history["runs"][0]["last_seq"] = 16


@spoils("I12")
def a_state_that_was_never_told(history: History) -> None:
    history["steps"][2]["state"] = "CANCELLED"


@spoils("I12")
def a_run_whose_state_was_never_told(history: History) -> None:
    history["runs"][0]["state"] = "CANCELLED"


@spoils("I13")
def an_event_that_changed(history: History) -> None:
    other = sound()["followers"][0]
    other["received"][4]["content"] = "another"
    history["followers"].append(other)


@spoils("I13")
def an_event_that_is_not_stored(history: History) -> None:
    history["followers"][0]["received"][4]["type"] = "STEP_FAILED"


@spoils("I14")
def a_time_that_goes_back(history: History) -> None:
    history["events"][3]["created_at"] = at(0.5)


@spoils("I15")
def an_outcome_of_an_attempt_that_was_over(history: History) -> None:
    event(history, "STEP_SUCCEEDED", 0)["metadata"] = {"attempt": 1}


@spoils("I15")
def a_failure_of_another_attempt(history: History) -> None:
    event(history, "STEP_RETRYING", 0)["metadata"] = {"attempt": 3, "reason": "FAILED"}


@spoils("I16")
def an_attempt_that_began_before_the_last_had_ended(history: History) -> None:
    without(history, "STEP_RETRYING", 0)


@spoils("I17")
def an_attempt_that_is_missing(history: History) -> None:
    del history["calls"][0]


@spoils("I17")
def more_calls_than_allowed(history: History) -> None:
    history["steps"][0]["calls"] = 4


@spoils("I17")
def an_attempt_before_its_time(history: History) -> None:
    event(history, "STEP_RETRYING", 0)["metadata"] = {"attempt": 1, "reason": "FAILED", "nextAttemptAt": at(2.5)}


@spoils("I17")
def an_attempt_that_was_skipped(history: History) -> None:
    event(history, "STEP_RUNNING", 0, 1)["metadata"] = {"attempt": 3}


@spoils("I18")
def a_call_lost_and_repeated_without_a_person(history: History) -> None:
    place = history["events"].index(event(history, "STEP_SUCCEEDED", 2))
    lost = {"attempt": 1, "reason": "LOST"}
    again = [
        {**history["events"][place], "type": "STEP_RETRYING", "metadata": lost},
        {**history["events"][place], "type": "STEP_RUNNING", "metadata": {"attempt": 2}},
    ]
    history["events"][place:place] = again
    renumber(history)


@spoils("I18")
def a_doubt_that_nobody_resolved(history: History) -> None:
    place = history["events"].index(event(history, "STEP_SUCCEEDED", 2))
    again = [
        {**history["events"][place], "type": "STEP_IN_DOUBT", "metadata": {"attempt": 1}},
        {**history["events"][place], "type": "STEP_RUNNING", "metadata": {"attempt": 2}},
    ]
    history["events"][place:place] = again
    renumber(history)


@spoils("I19")
def a_dead_letter_that_was_not_told(history: History) -> None:
    history["steps"][2] |= {"state": "FAILED", "dead_lettered": True}


@spoils("I20")
def a_submission_that_was_acknowledged_and_lost(history: History) -> None:
    history["people"][0]["answer"] = {"run": {"id": f"run_{'9' * 32}"}}


@spoils("I20")
def a_run_that_nobody_submitted(history: History) -> None:
    history["runs"][0]["idempotency_key"] = "key-2"


@spoils("I21")
def a_key_that_named_two_runs(history: History) -> None:
    other = {"run": {"id": f"run_{'9' * 32}"}}
    history["people"].append({**history["people"][0], "answer": other})


@spoils("I21")
def a_key_accepted_for_two_bodies(history: History) -> None:
    history["people"].append({**history["people"][0], "body": "another plan"})


@spoils("I21")
def two_runs_of_a_key(history: History) -> None:
    history["runs"].append({**history["runs"][0], "id": "00000000-0000-7000-8000-000000000002"})


@spoils("I22")
def a_decision_that_was_acknowledged_and_lost(history: History) -> None:
    without(history, "APPROVAL_APPROVED")


@spoils("I22")
def a_cancellation_that_was_acknowledged_and_lost(history: History) -> None:
    history["people"].append(
        {
            "what": "cancelRun",
            "who": history["people"][0]["who"],
            "run": history["people"][0]["answer"]["run"]["id"],
            "began": 0.0,
            "ended": 0.1,
            "outcome": "ok",
        }
    )


@spoils("I23")
def a_run_that_never_ends(history: History) -> None:
    history["runs"][0] |= {"state": "EXECUTING", "finished_at": None}


@spoils("I23")
def a_call_that_is_never_closed(history: History) -> None:
    history["calls"][3]["status"] = "STARTED"


@spoils("I25")
def an_event_that_a_subscriber_missed(history: History) -> None:
    del history["followers"][0]["received"][6]


@spoils("I25")
def an_event_that_a_subscriber_got_twice(history: History) -> None:
    received = history["followers"][0]["received"]
    received.insert(6, received[5])


@spoils("I25")
def a_subscriber_who_still_waits(history: History) -> None:
    history["followers"][0]["is_over"] = False
    del history["followers"][0]["received"][-1]


@spoils("I25")
def a_subscriber_who_was_refused(history: History) -> None:
    history["followers"][0]["refusals"] = ["NOT_FOUND"]


@spoils("I29")
def a_decision_in_somebody_elses_name(history: History) -> None:
    event(history, "APPROVAL_APPROVED")["metadata"] = {"decidedBy": f"user_{'d' * 32}"}


@spoils("I29")
def a_decision_of_somebody_who_may_not(history: History) -> None:
    history["approvals"][0]["decided_by"] = ANN


@spoils("I30")
def a_change_without_an_audit_line(history: History) -> None:
    del history["audit"][1]


@spoils("I33")
def a_transaction_left_open(history: History) -> None:
    history["sessions"][0] |= {"state": "idle in transaction", "old": True}


@spoils("I33")
def a_lock_that_somebody_waits_for(history: History) -> None:
    history["locks"].append({"pid": 1, "mode": "ShareLock"})


@spoils("I33")
def far_too_many_sessions(history: History) -> None:
    history["sessions"] *= 100


@spoils("I34")
def an_event_after_the_end(history: History) -> None:
    history["events"].append({**history["events"][-1], "type": "STEP_READY", "seq": 18})


@spoils("I35")
def a_plan_with_a_cycle(history: History) -> None:
    history["steps"][0]["depends_on"] = [2]


@spoils("I35")
def a_plan_with_a_key_twice(history: History) -> None:
    history["steps"][1]["key"] = "one"


@spoils("I35")
def a_plan_that_depends_on_nothing_known(history: History) -> None:
    history["steps"][1]["depends_on"] = [7]


@spoils("I36")
def an_attempt_called_twice(history: History) -> None:
    history["ledger"].append({**history["ledger"][1], "applied": False})


@spoils("I37")
def a_decision_after_its_time(history: History) -> None:
    history["approvals"][0]["expires_at"] = at(3.5)


@spoils("I39")
def an_answer_that_is_a_fault_of_ours(history: History) -> None:
    history["people"].append({**history["people"][1], "outcome": "unknown", "code": "INTERNAL"})


@spoils("I39")
def an_answer_that_gives_something_away(history: History) -> None:
    body = "asyncpg.exceptions.ConnectionDoesNotExistError"
    history["people"].append({**history["people"][1], "outcome": "unknown", "code": "UNAVAILABLE", "body": body})


@spoils("I40")
def a_success_that_nobody_received(history: History) -> None:
    history["ledger"][1]["attempt"] = 1


@spoils("P1")
def a_process_that_ended_by_itself(history: History) -> None:
    history["endings"].append({"name": "server1", "pid": 8, "at": 0.0, "status": 1, "by": ""})


@spoils("P1")
def a_process_that_did_not_end_cleanly(history: History) -> None:
    history["endings"].append({"name": "server1", "pid": 8, "at": 0.0, "status": 1, "by": "SIGTERM"})


@spoils("P2")
def an_answer_that_took_too_long(history: History) -> None:
    history["people"][0]["ended"] += 20


@spoils("P3")
def a_fault_of_ours_in_a_log(history: History) -> None:
    history["logs"]["worker1"] += '{"event": "claim_failed", "level": "error", "exception": "Traceback"}\n'


# Of the run with a list: its events are all after those of the other


def of_list(history: History, kind: str, position: int | None = None) -> dict[str, object]:
    return event({"events": history["events"][17:]}, kind, position)


def without_of_list(history: History, kind: str, position: int) -> None:
    history["events"].remove(of_list(history, kind, position))
    for seq, each in enumerate(history["events"][17:], 1):
        each["seq"] = seq
    history["runs"][1]["last_seq"] -= 1


@spoils("I9", of=listed)
def a_child_that_runs_without_having_been_ready(history: History) -> None:
    without_of_list(history, "STEP_READY", 3)


@spoils("I9", of=listed)
def a_step_with_a_list_that_is_called_itself(history: History) -> None:
    of_list(history, "STEP_RUNNING", 0)["type"] = "STEP_READY"


@spoils("I8", of=listed)
def a_step_before_the_end_of_one_that_it_comes_after(history: History) -> None:
    history["directives"][1]["after"] = [2]
    history["directives"][0]["after"] = [1]
    of_list(history, "STEP_SKIPPED", 1)["type"] = "STEP_RETRYING"


@spoils("I35", of=listed)
def a_cycle_through_what_comes_after(history: History) -> None:
    history["directives"][0]["after"] = [2]


@spoils("I41", of=listed)
def a_child_too_few(history: History) -> None:
    history["directives"][0]["items"].append("c")


@spoils("I41", of=listed)
def a_list_that_succeeded_although_a_child_failed(history: History) -> None:
    history["directives"][0]["tolerates"] = False


@spoils("I41", of=listed)
def a_result_that_is_not_the_childrens(history: History) -> None:
    history["steps"][3]["result"].reverse()


@spoils("I41", of=listed)
def children_of_a_step_that_has_none(history: History) -> None:
    history["steps"][3]["expands"] = False


@spoils("I41", of=listed)
def a_parent_that_waits_for_nobody(history: History) -> None:
    history["steps"][3] |= {"state": "RUNNING", "result": None}


@spoils("I42", of=listed)
def a_condition_that_nobody_wrote(history: History) -> None:
    history["directives"][1]["condition"] = None


@spoils("I43", of=listed)
def an_answer_before_the_end(history: History) -> None:
    history["runs"][1] |= {"state": "EXECUTING", "outcome": None, "finished_at": None}


@spoils("I43", of=listed)
def an_end_without_an_answer(history: History) -> None:
    history["answers"][0]["answer"] = None


@spoils("I19", of=listed)
def a_tolerated_failure_that_is_a_dead_letter(history: History) -> None:
    history["steps"][7]["dead_lettered"] = True


@spoils("I10", of=listed)
def a_failure_that_nobody_tolerated(history: History) -> None:
    history["steps"][7]["tolerated"] = False


@pytest.mark.parametrize("story", [sound, listed])
def test_nothing_is_found_where_everything_holds(story: Story) -> None:
    assert check(story()) == []


@pytest.mark.parametrize(
    ("invariant", "spoil", "story"), [pytest.param(name, spoil, story, id=text) for name, text, spoil, story in SPOILS]
)
def test_what_is_spoilt_is_found(invariant: str, spoil: Spoil, story: Story) -> None:
    history = story()
    spoil(history)

    assert invariant in {violation.invariant for violation in check(history)}


def test_every_check_has_something_that_it_finds() -> None:
    found: set[str] = set()
    for _, _, spoil, story in SPOILS:
        history = story()
        spoil(history)
        found |= {violation.invariant for violation in check(history)}

    assert {name.split()[0] for name in CHECKS} <= found


def test_a_violation_names_its_run_and_event_and_shows_the_lines() -> None:
    history = sound()
    history["events"][3]["created_at"] = at(0.5)

    (violation,) = check(history)

    assert (violation.run, violation.seq) == (RUN, 4)
    assert str(violation).startswith(f"I14 run {RUN} seq 4: time goes back\n    {{")
