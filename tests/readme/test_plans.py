"""The page on plans: each plan that is shown is sound, each field has its row, and what is refused is refused so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLInputObjectType
from pydantic.alias_generators import to_snake

from engine.errors import InvalidPlan
from engine.plans import Plan, PlanStep
from engine.settings import EngineSettings
from engine.tools import load_registry
from engine.validation import SoundPlan, check_plan
from persistence.states import Risk
from schema.api.schema import build_schema
from schema.fast.scalars import read_time
from tests.readme.markdown import PAGES, Block, blocks_of, table_after

NAME = "docs/plans.md"
PAGE = PAGES[NAME]
PLANS = [block for block in blocks_of(PAGE, NAME) if block.words == ("json", "plan")]
REFUSED = [(row[0], row[1]) for row in table_after(PAGE, "What can't exist")]
TOOLS = load_registry()


def plan_of(block: Block) -> Plan:
    written = json.loads(block.text)
    return Plan(tuple(map(step_of, written["steps"])), written.get("answer"))


def step_of(written: dict[str, Any]) -> PlanStep:
    said: dict[str, Any] = {to_snake(name): value for name, value in written.items()}
    for name in {"depends_on", "after"} & said.keys():
        said[name] = tuple(said[name])
    if "not_before" in said:
        said["not_before"] = read_time(said["not_before"])
    return PlanStep(**said)


def checked(plan: Plan) -> SoundPlan:
    return check_plan(plan, TOOLS, EngineSettings(Path("/nowhere")), approve_from=Risk.L3)


@pytest.mark.parametrize("block", PLANS, ids=str)
def test_a_plan_that_is_shown_is_sound(block: Block) -> None:
    plan = plan_of(block)

    sound = checked(plan)

    assert sound.is_elaborate is (block.section != "Steps")


def test_every_field_of_a_step_has_its_row() -> None:
    step = build_schema().documents.schema.type_map["PlanStepInput"]
    assert isinstance(step, GraphQLInputObjectType)

    assert [row[0] for row in table_after(PAGE, "Steps")] == list(step.fields)


def test_every_field_of_a_step_stands_in_some_plan() -> None:
    step = build_schema().documents.schema.type_map["PlanStepInput"]
    assert isinstance(step, GraphQLInputObjectType)
    shown = {name for block in PLANS for each in json.loads(block.text)["steps"] for name in each}

    assert set(step.fields) - shown == {"riskLevel", "maxAttempts", "timeoutSeconds"}


@pytest.mark.parametrize(("expression", "said"), REFUSED)
def test_a_reference_that_is_refused_is_refused_so(expression: str, said: str) -> None:
    (lists,) = (plan_of(block) for block in PLANS if block.section == "Lists")

    with pytest.raises(InvalidPlan) as refused:
        checked(Plan(lists.steps, {"$jmespath": expression}))

    assert [fault.message for fault in refused.value.faults] == [said]
