import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.runs import PreviewStep
from persistence.ids import new_id
from persistence.reads import StepRow
from persistence.states import Risk, StepState
from schema.api.diagram import preview_diagram, run_diagram

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def row(position: int, name: str = "Name", state: str = "READY", depends_on: tuple[int, ...] = ()) -> StepRow:
    values = dict.fromkeys(StepRow._fields) | {
        "run_id": new_id(),
        "position": position,
        "name": name,
        "tool": "note",
        "state": state,
        "depends_on": list(depends_on),
        "created_at": MOMENT,
    }
    return StepRow(**values)  # pyright: ignore[reportArgumentType]


def test_a_run_is_drawn_with_its_states():
    drawn = run_diagram(
        [row(0, "Look", "SUCCEEDED"), row(1, "Read", "RUNNING", (0,)), row(2, "Tell", "PENDING", (0, 1))]
    )

    lines = drawn.split("\n")
    assert lines[:6] == [
        "flowchart TD",
        '  s0["Look<br/>note · SUCCEEDED"]:::SUCCEEDED',
        '  s1["Read<br/>note · RUNNING"]:::RUNNING',
        '  s2["Tell<br/>note · PENDING"]:::PENDING',
        "  s0 --> s1",
        "  s0 & s1 --> s2",
    ]


@pytest.mark.parametrize("state", list(StepState))
def test_every_state_has_a_look(state: StepState):
    drawn = run_diagram([row(0, state=state)])

    assert f"  classDef {state} fill:#" in drawn
    assert drawn.count(f":::{state}\n") == 1


def test_a_preview_is_drawn_with_risks_and_gates():
    drawn = preview_diagram(
        [
            PreviewStep("a", "Look", "note", Risk.L0, gated=False, args={}, depends_on=()),
            PreviewStep("b", "Pay", "pay", Risk.L3, gated=True, args={}, depends_on=("a",)),
        ]
    )

    assert '  s0["Look<br/>note · L0"]:::L0' in drawn
    assert '  s1{{"Pay<br/>pay · L3 · asks a person"}}:::L3' in drawn
    assert "  s0 --> s1" in drawn


def test_what_need_only_have_ended_is_joined_by_dots():
    lines = run_diagram([row(0), row(1), row(2, depends_on=(0,)), row(3)], {3: [0, 2], 2: [1], 1: []}).split("\n")

    assert lines[5:8] == ["  s0 --> s2", "  s1 -.-> s2", "  s0 & s2 -.-> s3"]


def test_a_preview_is_drawn_with_what_need_only_have_ended():
    drawn = preview_diagram(
        [
            PreviewStep("a", "Look", "note", Risk.L0, gated=False, args={}, depends_on=()),
            PreviewStep("b", "Tidy", "note", Risk.L0, gated=False, args={}, depends_on=(), after=("a",)),
        ]
    )

    assert "  s0 -.-> s1" in drawn
    assert "-->" not in drawn


def test_nothing_is_drawn_for_nothing():
    assert run_diagram([]).startswith("flowchart TD\n  classDef")


@given(some.text(max_size=200))
def test_no_name_breaks_out_of_its_node(name: str):
    drawn = run_diagram([row(0, name)])

    node = drawn.split("\n")[1]
    assert drawn.count("\n") == 1 + len(StepState)
    label = re.fullmatch(r'  s0\["([^"]*)<br/>note · READY"\]:::READY', node)
    assert label is not None
    assert not re.search(r"[<>\"`%{}\[\]|\\&]", label[1])
    assert re.fullmatch(r"(?:[^#]|#\d+;)*", label[1])


def test_what_mermaid_would_read_is_written_as_text():
    drawn = run_diagram([row(0, '%%{init: {"theme":1}}%% <img src=x onerror=alert(1)> `a` "]; s9')])

    assert "%%" not in drawn
    assert "<img" not in drawn
    assert "#37;#37;#123;init: #123;#34;theme#34;:1#125;" in drawn


def test_a_long_name_is_cut():
    node = run_diagram([row(0, "x" * 500)]).split("\n")[1]

    assert "x" * 79 + "…<br/>" in node
