"""What an idempotency key covers of a plan: all that it says, and nothing for what is so anyhow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.runs import input_digest
from schema.api.types.inputs import PlanInput, PlanStepInput, SubmitWorkflowInput, canonical
from schema.fast.scalars import read_time

BASE: dict[str, Any] = {"key": "a", "tool": "note"}


def covered(answer: Any = None, **said: Any) -> dict[str, Any]:
    return canonical(SubmitWorkflowInput(plan=PlanInput(steps=[PlanStepInput(**BASE, **said)], answer=answer)))


def test_a_plan_of_calls_alone_is_covered_as_it_always_was() -> None:
    old = SubmitWorkflowInput(plan=PlanInput(steps=[PlanStepInput(**BASE, args={"x": 1}, depends_on=["b"])]))  # pyright: ignore[reportArgumentType]

    # Keys are kept for ever: this is what they were given before plans could say more.
    assert canonical(old) == {"plan": {"steps": [{**BASE, "args": {"x": 1}, "dependsOn": ["b"]}]}}
    assert input_digest(canonical(old)).hex() == "84b9b932d5b6b6101acf17b633951f1984686ac535242cb2aa607952c306b9eb"


@pytest.mark.parametrize(
    "said",
    [
        {"when": None, "after": None, "for_each": None, "not_before": None},
        {"after": [], "for_each_most": 100, "for_each_tolerates": False, "delay_seconds": 0.0},
    ],
)
def test_what_is_so_anyhow_is_left_out(said: dict[str, Any]) -> None:
    assert covered(**said) == covered()


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"when": {"$jmespath": "b.ok"}}, {"when": {"$jmespath": "b.ok"}}),
        ({"after": ["b"]}, {"after": ["b"]}),
        ({"for_each": {"$jmespath": "b"}, "for_each_most": 99}, {"forEach": {"$jmespath": "b"}, "forEachMost": 99}),
        ({"for_each_tolerates": True}, {"forEachTolerates": True}),
        ({"max_parallel": 2}, {"maxParallel": 2}),
        ({"delay_seconds": 0.5}, {"delaySeconds": 0.5}),
        ({"not_before": datetime(2026, 12, 1, 8, tzinfo=UTC)}, {"notBefore": "2026-12-01T08:00:00.000Z"}),
        ({"not_before": read_time("2026-12-01T09:00:00+01:00")}, {"notBefore": "2026-12-01T08:00:00.000Z"}),
    ],
)
def test_what_a_step_says_is_covered(said: dict[str, Any], kept: dict[str, Any]) -> None:
    assert covered(**said)["plan"]["steps"] == [{**BASE, **kept}]


def test_the_answer_is_covered() -> None:
    assert covered({"x": {"$jmespath": "a"}})["plan"]["answer"] == {"x": {"$jmespath": "a"}}
    assert "answer" not in covered(None)["plan"]
