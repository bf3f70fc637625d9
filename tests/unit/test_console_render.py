"""Runs, steps and events as people see them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.digest import DigestDiffers, checked_digest, digest_of
from console.live import worth_showing
from console.made import made_lines, result_lines
from console.models import Approval, Event, Failure, PlanPreview, Run, Step
from console.render import (
    edited_lines,
    event_line,
    moment,
    plan_lines,
    run_line,
    step_lines,
    step_note,
    why_not_completed,
)

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def step(key: str = "a", state: str = "SUCCEEDED", **more: Any) -> Step:
    given = {"id": f"step_{key}", "key": key, "name": key.title(), "tool": "send", "riskLevel": "L3", "state": state}
    return Step.model_validate({**given, **more})


def run(*steps: Step, **more: Any) -> Run:
    given = {"id": "run_1", "state": "COMPLETED", "riskLevel": "L0", "createdAt": NOW, "intent": "do it"}
    return Run.model_validate({**given, "steps": steps, **more})


def test_an_event_is_one_line() -> None:
    event = Event(
        cursor="c", seq=7, type="STEP_FAILED", message="two\nlines \x1b[2J", metadata={}, created_at=NOW, run_id="run_1"
    )

    assert str(event_line(event)) == f"{NOW.astimezone():%H:%M:%S} #7   STEP_FAILED                two lines \\x1b[2J"


def test_a_run_says_how_far_it_is_and_how_it_ended() -> None:
    ended = run(outcome="PARTIAL", progress={"total": 3, "succeeded": 2})

    assert str(run_line(ended)) == "run_1 COMPLETED (PARTIAL) 2/3 do it"
    assert str(run_line(run(state="QUEUED", intent=None))) == "run_1 QUEUED (a plan)"


def test_a_step_that_waits_for_a_person_names_the_approval() -> None:
    waiting = step(
        state="BLOCKED",
        waitingFor="A person has to approve it.",
        approvals=[
            {"id": "appr_1", "kind": "EXECUTE", "status": "EXPIRED"},
            {"id": "appr_2", "kind": "EXECUTE", "status": "REQUIRED"},
        ],
    )

    assert step_note(waiting) == "A person has to approve it. (appr_2)"


def test_a_step_shows_what_it_was_given_and_what_it_answered() -> None:
    done = step(resolvedArgs={"to": "Ada"}, result={"sent": True}, dependsOn=[{"key": "b"}])

    assert step_lines(done) == [
        "a: A (step_a)",
        "  send L3 SUCCEEDED",
        "  after: b",
        "  args:",
        '    to: "Ada"',
        "  result:",
        "    sent: true",
    ]


def test_why_a_run_failed_is_the_error_of_its_step_or_its_own() -> None:
    failed = step("b", "FAILED", error={"code": "TOOL_FAILED", "message": "no such file"})
    counted = Failure(code="STEP_FAILED", message="1 of 2 steps failed")

    assert why_not_completed(run(step(), failed, error=counted)) == "b (step_b) failed with TOOL_FAILED: no such file"
    assert why_not_completed(run(error=Failure(code="UNPLANNABLE_INTENT", message="fly"))) == "UNPLANNABLE_INTENT: fly"
    assert why_not_completed(run(step())) is None


def test_of_many_steps_those_that_move_are_shown_in_plan_order() -> None:
    steps = [
        *(step(f"done{number}") for number in range(5)),
        step("running", "RUNNING"),
        *(step(f"later{number}", "PENDING") for number in range(5)),
        step("blocked", "BLOCKED"),
    ]

    assert [each.key for each in worth_showing(steps, 4)] == ["running", "later0", "later1", "blocked"]
    assert worth_showing(steps, 20) == steps


def approval(**more: Any) -> Approval:
    given = {
        "id": "appr_1",
        "kind": "EXECUTE",
        "status": "REQUIRED",
        "riskLevel": "L3",
        "reason": "why",
        "proposedArgs": {"n": 1.0, "to": "é"},
        "argsDigest": digest_of("send", {"to": "é", "n": 1}),
        "run": {"id": "run_1"},
        "step": {"id": "step_1", "key": "a", "name": "A", "tool": "send"},
        "createdAt": NOW,
    }
    return Approval.model_validate({**given, **more})


def test_the_digest_is_that_of_the_canonical_call() -> None:
    # printf '{"args":{"n":1,"to":"Ada"},"tool":"send"}' | sha256sum
    expected = "9a86345c13b87ff1f1edbdfa9f2dafd4da7678c8b7b11905a5b12c14559d695c"

    assert digest_of("send", {"to": "Ada", "n": 1.0}) == expected
    assert checked_digest(approval()) == digest_of("send", {"n": 1, "to": "é"})


@pytest.mark.parametrize(
    "more", [{"proposedArgs": {"n": 2, "to": "é"}}, {"step": {"tool": "other"}}, {"argsDigest": "0" * 64}]
)
def test_arguments_that_are_not_those_of_the_digest_are_not_decided_on(more: dict[str, Any]) -> None:
    with pytest.raises(DigestDiffers, match="nothing was decided"):
        checked_digest(approval(**more))


def test_what_was_made_is_named_by_where_it_lies(tmp_path: Path) -> None:
    steps = [
        step("s", tool="job_search", result={"found": 12, "jobs": [{"title": "Engineer", "company": "Acme"}]}),
        step("j", tool="job_submit", result={"job": {"title": "Engineer", "company": "Acme"}, "package": "users/u/x"}),
        step("r", "SKIPPED", tool="job_submit", result=None),
        step(
            "c",
            tool="calendar_create",
            result={
                "events": [{"title": "Gym", "start": "2025-01-02T18:00:00", "end": "2025-01-02T19:00:00"}],
                "calendar": "users/u/calendar.ics",
                "feed": "/calendar/t.ics",
            },
        ),
        step(
            "g",
            tool="grocery_plan",
            result={
                "people": 2,
                "menu": [
                    {"day": 1, "date": None, "meal": "dinner", "recipe": "Omelette"},
                    {"day": 2, "date": "2025-01-03", "meal": "dinner", "recipe": "Soup"},
                ],
                "shopping": [
                    {"aisle": "chilled", "items": [{"name": "eggs", "quantity": 4, "unit": "piece"}]},
                    {
                        "aisle": "dry goods",
                        "items": [
                            {"name": "lentils", "quantity": 0.5, "unit": "kg"},
                            {"name": "rice", "quantity": 100, "unit": "g"},
                        ],
                    },
                ],
            },
        ),
        step("x", tool="something_else", result={"package": "y"}),
    ]

    assert made_lines(run(*steps), data_dir=tmp_path) == [
        "Found 12 jobs, and chose Engineer at Acme",
        f"Applied for Engineer at Acme: {tmp_path}/users/u/x",
        f"Put 1 event into {tmp_path}/users/u/calendar.ics",
        "  Gym: 2025-01-02T18:00:00 to 2025-01-02T19:00:00",
        "  Calendar programs subscribe to /calendar/t.ics at the server's address",
        "Planned 2 meals for 2",
        "  day 1, dinner: Omelette",
        "  2025-01-03, dinner: Soup",
        "Shopping list",
        "  chilled: eggs 4 piece",
        "  dry goods: lentils 0.5 kg, rice 100 g",
    ]


def test_results_are_shown_in_words_where_there_are_some_and_as_they_are_where_not() -> None:
    steps = [
        step("s", tool="job_search", result={"found": 2, "jobs": [{"title": "Engineer", "company": "Acme"}]}),
        step("n", tool="note", result={"text": "hello\nAda", "n": 3}),
        step("z", tool="count", result=0),
        step("r", "SKIPPED", tool="note", result=None),
    ]

    assert result_lines(run(*steps)) == [
        "s: S",
        "  Found 2 jobs, and chose Engineer at Acme",
        "n: N",
        "  text:",
        "    │ hello",
        "    │ Ada",
        "  n: 3",
        "z: Z",
        "  0",
        "Results in part; all of each: lifeos show run_1 --full",
    ]
    assert result_lines(run(steps[1], steps[2]))[-1] == "  0"


def test_of_many_results_the_first_are_shown_and_the_others_counted() -> None:
    lines = result_lines(run(*(step(f"s{number}", tool="note", result=number) for number in range(53))))

    assert lines[-2:] == ["… and the results of 3 more steps", "Results in part; all of each: lifeos show run_1 --full"]


def test_what_was_edited_is_shown_whole_with_what_was_changed() -> None:
    lines = edited_lines(approval(proposedArgs={"to": "Ada", "n": 1, "why": "so"}), {"to": "Bob", "n": 1})

    assert lines == [
        "appr_1: send would be called with this instead:",
        '  to: "Bob"',
        "  n: 1",
        "What was changed (- before, + now); what is left out gets the tool's default:",
        '  - to: "Ada"',
        '  + to: "Bob"',
        '  - why: "so"',
    ]


def test_results_of_another_shape_are_said_as_far_as_they_go() -> None:
    odd = step("c", tool="calendar_create", result={"events": "none", "calendar": 3})

    assert made_lines(run(odd), data_dir=None)[0] == "Put 0 events into 3 in the data folder"


def test_a_preview_says_when_its_steps_run_and_how_often() -> None:
    planned = {"tool": "note", "riskLevel": "L0", "requiresApproval": False, "args": {"text": "x"}}
    preview = PlanPreview.model_validate(
        {
            "steps": [
                {**planned, "key": "a", "name": "a", "when": {"$jmespath": "b.ok"}, "dependsOn": ["b"], "after": ["c"]},
                {
                    **planned,
                    "key": "d",
                    "name": "d",
                    "forEach": {"$jmespath": "b.list"},
                    "forEachMost": 100,
                    "forEachTolerates": True,
                    "maxParallel": 3,
                    "delaySeconds": 90.0,
                    "notBefore": NOW,
                },
            ],
            "answer": {"best": {"$jmespath": "a.text"}},
        }
    )

    assert plan_lines(preview) == [
        "a: note L0  after b  whatever becomes of c",
        "  if b.ok",
        '    text: "x"',
        "d: note L0",
        "  for each of b.list, at most 100, 3 at once, those that fail with their errors",
        "  90 seconds after it is ready",
        f"  not before {moment(NOW)}",
        '    text: "x"',
        "answers:",
        "    best:",
        '      $jmespath: "a.text"',
    ]
