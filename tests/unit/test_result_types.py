"""References to what can't exist in a result are refused when the plan is, with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from engine.errors import InvalidPlan
from engine.nearest import Hints
from engine.plans import Plan, PlanStep
from engine.settings import EngineSettings
from engine.tools import Registry, load_registry, tool
from engine.validation import check_plan
from engine.validation.shapes import ANYTHING, Shape, of_children, of_result, of_schema
from engine.validation.typed import impossible
from persistence.states import Risk


class Salary(BaseModel):
    low: int
    high: int


class Job(BaseModel):
    title: str
    salary: Salary | None = None
    tags: list[str] = []
    kind: Literal["full", "part"] = "full"


class Cat(BaseModel):
    name: str
    lives: int


class Tree(BaseModel):
    label: str
    below: list[Tree] = []


class Everything(TypedDict):
    jobs: list[Job]
    best: Job | None
    pet: Cat | Job
    tree: Tree
    open: dict[str, Any]
    counts: dict[str, Salary]
    any: Any
    pair: tuple[str, Salary]
    rows: list[list[Job]]
    found: int


@tool(risk="L0")
async def search() -> Everything:
    """Finds."""
    raise NotImplementedError


@tool(risk="L0")
async def use(value: Any = None) -> Any:
    """Takes anything."""


TOOLS = Registry.of(search, use)
SETTINGS = EngineSettings(data_dir=Path("/nowhere"))
SEARCH = TOOLS.get("search")
assert SEARCH is not None
RESULT = of_result(SEARCH)
KNOWN = {"s": RESULT, "each": of_children(RESULT, RESULT), "open": ANYTHING}


def said(expression: str, known: dict[str, Shape] = KNOWN) -> list[str]:
    hints = Hints()
    return [each.message(hints) for each in impossible(expression, known, known)]


IMPOSSIBLE = {
    "s.jbos": "s has no 'jbos'; the nearest is 'jobs'",
    "s.zzz": "s has no 'zzz'; it has jobs, best, pet, tree, open, counts, any, pair, rows, found",
    "s.jobs[0].titel": "s.jobs[0] has no 'titel'; the nearest is 'title'",
    "s.jobs[-1].titel": "s.jobs[-1] has no 'titel'; the nearest is 'title'",
    "s.jobs[*].titel": "s.jobs[*] has no 'titel'; the nearest is 'title'",
    "s.jobs[].titel": "s.jobs[] has no 'titel'; the nearest is 'title'",
    "s.jobs[0:2].titel": "s.jobs[:] has no 'titel'; the nearest is 'title'",
    "s.jobs[?title == 'x'].titel": "s.jobs[?…] has no 'titel'; the nearest is 'title'",
    "s.jobs[?titel == 'x']": "s.jobs[?…] has no 'titel'; the nearest is 'title'",
    "s.jobs[?salary.hihg > `1`]": "s.jobs[?…].salary has no 'hihg'; the nearest is 'high'",
    "s.jobs[0] | titel": "s.jobs[0] has no 'titel'; the nearest is 'title'",
    "s.jobs[*].{t: titel}": "s.jobs[*] has no 'titel'; the nearest is 'title'",
    "s.jobs[*].[title, titel]": "s.jobs[*] has no 'titel'; the nearest is 'title'",
    "s.{a: jobs}.a[0].titel": "{…}.a[0] has no 'titel'; the nearest is 'title'",
    "s.{a: jobs}.b": "{…} has no 'b'; the nearest is",
    "[s.jobs[0]][0].titel": "[…][0] has no 'titel'; the nearest is 'title'",
    "s.jobs.title": "s.jobs is a list: write s.jobs[*].title for all its entries, or s.jobs[0].title for the first",
    "s.jobs.titel": "s.jobs is a list, and its entries, s.jobs[*], have no 'titel'; the nearest is 'title'",
    "s.jobs[*].salary | high": "s.jobs[*].salary is a list: write s.jobs[*].salary[*].high for all",
    "s.best.titel": "s.best has no 'titel'; the nearest is 'title'",
    "s.best.salary.hi": "s.best.salary has no 'hi'",
    "s.pet.nmae": "s.pet has no 'nmae'; the nearest is 'name'",
    "s.tree.below[0].below[*].labl": "s.tree.below[0].below[*] has no 'labl'; the nearest is 'label'",
    "s.counts.anything.hihg": "s.counts.anything has no 'hihg'; the nearest is 'high'",
    "s.counts.*.hihg": "s.counts.* has no 'hihg'; the nearest is 'high'",
    "s.pair[1].hihg": "s.pair[1] has no 'hihg'; the nearest is 'high'",
    "s.rows[].titel": "s.rows[] has no 'titel'; the nearest is 'title'",
    "s.rows[*].title": "s.rows[*] is a list: write s.rows[*][*].title",
    "s.found.x": "s.found is a number, and has no 'x'",
    "s.jobs[0].kind.x": "s.jobs[0].kind is a text, and has no 'x'",
    "s.found[0]": "s.found is a number, and only a list has entries",
    "s.best[*].title": "s.best is an object, and only a list has entries",
    "s[0]": "s is an object, and only a list has entries",
    "length(s.jbos)": "s has no 'jbos'; the nearest is 'jobs'",
    "s.best || s.bset": "s has no 'bset'; the nearest is 'best'",
    "(s.best || s.jobs[0]).titel": "(…) has no 'titel'; the nearest is 'title'",
    "!(s.bset)": "s has no 'bset'; the nearest is 'best'",
    "s.fuond + `1`": "s has no 'fuond'; the nearest is 'found'",
    "let $j = s.jobs in $j[0].titel": "$j[0] has no 'titel'; the nearest is 'title'",
    "let $j = s.jbos in $j": "s has no 'jbos'; the nearest is 'jobs'",
    "@.s.jbos": "s has no 'jbos'; the nearest is 'jobs'",
    '`{"a": [1]}`.b': "`…` has no 'b'; the nearest is",
    's."jobs x"': "s has no 'jobs x'; the nearest is 'jobs'",
    "each[0].resutl": "each[0] has no 'resutl'; the nearest is 'result'",
    "each[*].result.jbos": "each[*].result has no 'jbos'; the nearest is 'jobs'",
    "each[0].item.jbos": "each[0].item has no 'jbos'; the nearest is 'jobs'",
    "each.result": "each is a list: write each[*].result for all its entries, or each[0].result for the first",
    "each[?error].error.text": "each[?…].error has no 'text'",
}


@pytest.mark.parametrize("expression", IMPOSSIBLE)
def test_what_cannot_exist_is_named_with_what_is_near(expression: str) -> None:
    found = said(expression)

    assert len(found) == 1, found
    assert found[0].startswith(IMPOSSIBLE[expression].removesuffix("; the nearest is")), found


@pytest.mark.parametrize(
    "expression",
    [
        "s.jobs[0].salary.high",
        "s.jobs[*].tags[]",
        "s.jobs[?salary.high > `1`].title | [0]",
        "s.pet.lives",
        "s.pet.tags[0]",
        "s.tree.below[0].below[0].below[*].label",
        "s.open.anything.at.all[0]",
        "s.any.x[0].y",
        "s.counts.x.high",
        "s.pair[0]",
        "s.rows[0][0].title",
        "s.rows[].title",
        "s.*.whatever",
        "open.anything[0].x",
        "unknown.x",
        # What passes a function may have become anything.
        "merge(s.best, s.open).note",
        "sort_by(s.jobs, &titel)[0].titel",
        "map(&titel, s.jobs)",
        "max_by(s.jobs, &salary.high).titel",
        "from_items(s.rows).x",
        "(s.best || `{}`).title",
        "(s.jobs || `[]`)[0].title",
        "s.best.salary || s.open.x",
        "not_null(s.best, s.any).anything",
        "each[0].skipReason",
        "each[?error.code == 'X'].item.jobs[0].title",
        "keys(@)",
        "`null`.x",
        "[" * 90 + "s.jobs" + "]" * 90,
        "`" + "[" * 300 + "]" * 300 + "`[0][0]",
        "|".join(["[@, @]"] * 30),
    ],
)
def test_what_may_exist_is_let_pass(expression: str) -> None:
    assert said(expression) == []


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"type": "object"},
        {"type": "object", "additionalProperties": True, "properties": {"a": {}}},
        {"type": "object", "additionalProperties": {}, "properties": {"a": {}}},
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}]},
        {"allOf": [{"properties": {"a": {}}}, {"properties": {"x": {}}}]},
        {"anyOf": [{"properties": {"a": {}}}, {}]},
        {"oneOf": [{"properties": {"a": {}}}, {"properties": {"x": {}}}]},
        {"if": {}, "then": {"properties": {"x": {}}}, "properties": {"a": {}}},
        {"$ref": "https://elsewhere.example/schema"},
        {"$ref": "#/$defs/nothing"},
        {"$ref": "#/$defs/round", "$defs": {"round": {"$ref": "#/$defs/round"}}},
        {"type": ["object", "null"]},
        {"type": "odd"},
        {"type": 7},
        {"anyOf": 7},
        {"anyOf": [7]},
        {"enum": [{"x": 1}, {"y": 1}]},
        {"const": None},
        {"type": "null"},
        False,
    ],
    ids=str,
)
def test_of_a_schema_that_does_not_exclude_it_a_field_is_let_pass(schema: Any) -> None:
    shape = of_schema(schema if isinstance(schema, dict) else {}, schema)

    assert said("s.x", {"s": shape}) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {}}},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": False},
        {"anyOf": [{"properties": {"a": {}}}, {"type": "null"}]},
        {"allOf": [{"properties": {"a": {}}}]},
        {"type": ["object", "null"], "properties": {"a": {}}},
        {"$ref": "#/$defs/one", "$defs": {"one": {"properties": {"a": {}}}}},
        {"type": ["string", "null"]},
        {"enum": ["a", "b", 1]},
        {"items": {"properties": {"x": {}}}},
    ],
    ids=str,
)
def test_of_a_schema_that_excludes_it_a_field_is_refused(schema: Any) -> None:
    assert len(said("s.x", {"s": of_schema(schema, schema)})) == 1


def mark(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


def faults(*steps: PlanStep, answer: Any = None, tools: Registry = TOOLS) -> dict[str, str]:
    with pytest.raises(InvalidPlan) as refused:
        check_plan(Plan(steps, answer), tools, SETTINGS, approve_from=Risk.L3)
    return {".".join(map(str, fault.path)): fault.message for fault in refused.value.faults}


S = PlanStep("s", "search")


def test_every_reference_of_a_plan_is_checked_at_its_path() -> None:
    found = faults(
        S,
        PlanStep(
            "e",
            "use",
            args={"value": [{"x": mark("item.titel")}, mark("index.x"), mark("s.jbos")]},
            depends_on=("s",),
            when=mark("s.fuond"),
            for_each=mark("s.jobs"),
        ),
        PlanStep("f", "use", depends_on=("s",), for_each=mark("s.jbos")),
        answer={"a": mark("e[*].item.titel"), "b": mark("e.item"), "c": mark("s.bset")},
    )

    assert found == {
        "plan.steps.1.args.value.0.x": "item has no 'titel'; the nearest is 'title'",
        "plan.steps.1.args.value.1": "index is a number, and has no 'x'",
        "plan.steps.1.args.value.2": "s has no 'jbos'; the nearest is 'jobs'",
        "plan.steps.1.when": "s has no 'fuond'; the nearest is 'found'",
        "plan.steps.2.forEach": "s has no 'jbos'; the nearest is 'jobs'",
        "plan.answer.a": "e[*].item has no 'titel'; the nearest is 'title'",
        "plan.answer.b": "e is a list: write e[*].item for all its entries, or e[0].item for the first",
        "plan.answer.c": "s has no 'bset'; the nearest is 'best'",
    }


def test_the_entries_of_a_list_of_children_are_known_through_every_list() -> None:
    found = faults(
        S,
        PlanStep("e", "search", depends_on=("s",), for_each=mark("s.jobs[?salary]")),
        PlanStep("f", "use", args={"value": mark("item.item.titel")}, depends_on=("e",), for_each=mark("e[?result]")),
        PlanStep("g", "use", args={"value": mark("item.result.found.x")}, depends_on=("e",), for_each=mark("e")),
    )

    assert found == {
        "plan.steps.2.args.value": "item.item has no 'titel'; the nearest is 'title'",
        "plan.steps.3.args.value": "item.result.found is a number, and has no 'x'",
    }


def test_a_misspelt_field_of_a_built_in_tool_is_refused() -> None:
    tools = load_registry()
    steps = (
        PlanStep("jobs", "job_search", args={"query": "python"}),
        PlanStep(
            "gym",
            "calendar_create",
            args={"title": mark("jobs.jobs[0].titel"), "starts": ["2026-12-01T07:00:00"]},
            depends_on=("jobs",),
        ),
    )

    assert faults(*steps, tools=tools) == {
        "plan.steps.1.args.title": "jobs.jobs[0] has no 'titel'; the nearest is 'title'"
    }


def test_a_step_mistyped_is_said_once() -> None:
    assert list(faults(S, PlanStep("e", "use", args={"value": mark("t.jbos")}, depends_on=("s",)))) == [
        "plan.steps.1.args.value"
    ]


@pytest.mark.timeout(20)
def test_many_impossible_references_are_refused_in_no_time() -> None:
    steps = [
        PlanStep(f"e{n}", "use", args={"value": mark(f"s.jobs[{n}].x{n}")}, depends_on=("s",)) for n in range(1999)
    ]

    assert len(faults(S, *steps)) == 1999
