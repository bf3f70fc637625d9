"""Children of steps with a list, and what a run answers, as people see them in the terminal."""

from datetime import UTC, datetime
from typing import Any

import pytest

from console.acts import _show_run
from console.children import how_far, shown_children, with_children
from console.models import Run, Step
from console.render import STEP_COLUMNS, answer_lines, step_lines, step_note, step_row
from console.screen import Screen, table_of
from tests.unit.test_console_live import screen_of

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def child(index: int, state: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
    key = f"each[{index}]"
    given = {"id": f"step_{index}", "key": key, "name": f"each [{index}]", "tool": "send", "riskLevel": "L0"}
    return {**given, "state": state, "index": index, **more}


def listing(states: list[str], *, first: int = 10, **more: Any) -> Step:
    """A step with children in these states, as the server shows it."""
    nodes = [child(index, state) for index, state in enumerate(states)]
    ended = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED"}
    notable = [each for each in nodes if each["state"] == "FAILED" or each["state"] not in ended]
    given = {
        "id": "step_each", "key": "each", "name": "each", "tool": "send", "riskLevel": "L0", "state": "RUNNING",
        "children": {"totalCount": len(nodes), "nodes": nodes[:first]},
        "notable": {"nodes": notable[:first]},
        "ended": {"totalCount": sum(state in ended for state in states)},
        "failed": {"totalCount": states.count("FAILED")},
    }  # fmt: skip
    return Step.model_validate({**given, **more})


def plain(key: str, state: str = "SUCCEEDED") -> Step:
    given = {"id": f"step_{key}", "key": key, "name": key, "tool": "note", "riskLevel": "L0", "state": state}
    return Step.model_validate(given)


def run_of(*steps: Step, **more: Any) -> Run:
    given = {"id": "run_1", "state": "COMPLETED", "riskLevel": "L0", "createdAt": NOW, "intent": "do it"}
    return Run.model_validate({**given, "steps": steps, **more})


def test_a_short_list_is_shown_whole_under_its_step() -> None:
    each = listing(["SUCCEEDED", "RUNNING", "READY"])

    shown = with_children([plain("a"), each, plain("z")])

    assert [step.key for step in shown] == ["a", "each", "each[0]", "each[1]", "each[2]", "z"]


def test_of_a_long_list_those_are_shown_that_something_happens_to_in_the_lists_order() -> None:
    states = ["SUCCEEDED"] * 400
    states[50] = states[300] = "RUNNING"
    states[200] = "FAILED"

    shown = [step.index for step in shown_children(listing(states))]

    assert len(shown) == 10
    assert shown == sorted(shown)
    assert {50, 200, 300} <= set(shown)


def test_of_a_thousand_children_a_few_are_shown() -> None:
    shown = shown_children(listing(["READY"] * 1000))

    assert [step.index for step in shown] == list(range(10))


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([], ""),
        (["READY"], "0 of 1 done"),
        (["SUCCEEDED"] * 17 + ["READY"] * 23, "17 of 40 done"),
        (["SUCCEEDED"] * 1200 + ["FAILED"] * 2, "1,202 of 1,202 done, 2 failed"),
    ],
)
def test_a_step_says_how_far_its_children_are(states: list[str], says: str) -> None:
    each = listing(states)

    assert how_far(each) == says
    assert step_note(each) == says


def test_what_went_wrong_stands_beside_it() -> None:
    each = listing(["FAILED"], state="FAILED", error={"code": "ITEMS_FAILED", "message": "1 of 1 failed"})

    assert step_note(each) == "1 of 1 done, 1 failed; ITEMS_FAILED: 1 of 1 failed"


def test_children_are_indented_on_a_terminal_and_rows_like_others_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [step_row(step) for step in with_children([listing(["SUCCEEDED"])])]
    terminal, written = screen_of(100)

    terminal.show(table_of(STEP_COLUMNS, rows))
    Screen().table(STEP_COLUMNS, rows)

    assert "\n  each[0]" in written.getvalue()
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["each", "each[0]"]


def test_all_of_a_step_has_its_directives_and_its_children() -> None:
    each = listing(
        ["SUCCEEDED"] * 12,
        state="SUCCEEDED",
        when={"$jmespath": "a"},
        forEach={"$jmespath": "a.list"},
        dependsOn=[{"key": "a"}],
        after=[{"key": "b"}],
    )

    assert step_lines(each)[:8] == [
        "each: each (step_each)",
        "  send L0 SUCCEEDED",
        "  after: a",
        "  whatever becomes of: b",
        "  if a",
        "  for each of a.list",
        "  12 of 12 done",
        "  each[0]: each [0] (step_0)",
    ]
    assert step_lines(each)[-1] == "  … and 2 more children"


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (None, []),
        ("Acme is the\tcheapest\x1b[2J", ["Answer: Acme is the cheapest\\x1b[2J"]),
        (3.5, ["Answer: 3.5"]),
        (False, ["Answer: false"]),
        ({"sum": 3}, ["Answer:", "  sum: 3"]),
        ([], ["Answer:", "  []"]),
        ("two\nlines", ["Answer:", "  │ two", "  │ lines"]),
    ],
)
def test_an_answer_is_said(answer: Any, lines: list[str]) -> None:
    assert answer_lines(run_of(answer=answer)) == answer_lines(run_of(answer=answer), most=40) == lines


def test_a_long_answer_is_said_in_part_and_where_the_rest_is() -> None:
    answered = run_of(answer=[f"entry {number}" for number in range(100)])

    assert len(answer_lines(answered)) == 101
    lines = answer_lines(answered, most=40)
    assert len(lines) == 42
    assert lines[-2:] == ["  … 61 more", "The answer in part; all of it: lifeos show run_1 --full"]


def test_why_there_is_no_answer_is_a_sentence() -> None:
    failed = run_of(answerError={"code": "ANSWER_TOO_LARGE", "message": "The answer has\n9 bytes"})

    assert answer_lines(failed) == ["No answer: The answer has 9 bytes (ANSWER_TOO_LARGE)"]


@pytest.mark.parametrize("full", [False, True])
def test_a_run_is_shown_with_its_children_and_its_answer(capsys: pytest.CaptureFixture[str], *, full: bool) -> None:
    _show_run(Screen(), run_of(plain("a"), listing(["SUCCEEDED"] * 2), answer="done"), full=full)

    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Answer: done"
    assert sum("each[" in line for line in lines) == 2
