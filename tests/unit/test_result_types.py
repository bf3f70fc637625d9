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
    "s.jbos": "there is no 'jbos' in s; the nearest is 'jobs'",
    "s.zzz": "there is no 'zzz' in s; it has jobs, best, pet, tree, open, counts, any, pair, rows, found",
    "s.jobs[0].titel": "there is no 'titel' in s.jobs[0]; the nearest is 'title'",
    "s.jobs[-1].titel": "there is no 'titel' in s.jobs[-1]; the nearest is 'title'",
    "s.jobs[*].titel": "there is no 'titel' in s.jobs[*]; the nearest is 'title'",
    "s.jobs[].titel": "there is no 'titel' in s.jobs[]; the nearest is 'title'",
    "s.jobs[0:2].titel": "there is no 'titel' in s.jobs[:]; the nearest is 'title'",
    "s.jobs[?title == 'x'].titel": "there is no 'titel' in s.jobs[?…]; the nearest is 'title'",
    "s.jobs[?titel == 'x']": "there is no 'titel' in s.jobs[?…]; the nearest is 'title'",
    "s.jobs[?salary.hihg > `1`]": "there is no 'hihg' in s.jobs[?…].salary; the nearest is 'high'",
    "s.jobs[0] | titel": "there is no 'titel' in s.jobs[0]; the nearest is 'title'",
    "s.jobs[*].{t: titel}": "there is no 'titel' in s.jobs[*]; the nearest is 'title'",
    "s.jobs[*].[title, titel]": "there is no 'titel' in s.jobs[*]; the nearest is 'title'",
    "s.{a: jobs}.a[0].titel": "there is no 'titel' in {…}.a[0]; the nearest is 'title'",
    "s.{a: jobs}.b": "there is no 'b' in {…}; the nearest is",
    "[s.jobs[0]][0].titel": "there is no 'titel' in […][0]; the nearest is 'title'",
    "s.jobs.title": "there is no 'title' in s.jobs, which is a list: write s.jobs[*].title",
    "s.jobs.titel": "there is no 'titel' in s.jobs, which is a list, nor in its entries, s.jobs[*]; the nea",
    "s.jobs[*].salary | high": "there is no 'high' in s.jobs[*].salary, which is a list: write s.jobs[*].salary[*].h",
    "s.best.titel": "there is no 'titel' in s.best; the nearest is 'title'",
    "s.best.salary.hi": "there is no 'hi' in s.best.salary",
    "s.pet.nmae": "there is no 'nmae' in s.pet; the nearest is 'name'",
    "s.tree.below[0].below[*].labl": "there is no 'labl' in s.tree.below[0].below[*]; the nearest is 'label'",
    "s.counts.anything.hihg": "there is no 'hihg' in s.counts.anything; the nearest is 'high'",
    "s.counts.*.hihg": "there is no 'hihg' in s.counts.*; the nearest is 'high'",
    "s.pair[1].hihg": "there is no 'hihg' in s.pair[1]; the nearest is 'high'",
    "s.rows[].titel": "there is no 'titel' in s.rows[]; the nearest is 'title'",
    "s.rows[*].title": "there is no 'title' in s.rows[*], which is a list: write s.rows[*][*].title",
    "s.found.x": "there is no 'x' in s.found, which is a number",
    "s.jobs[0].kind.x": "there is no 'x' in s.jobs[0].kind, which is a text",
    "s.found[0]": "there are no entries in s.found, which is a number: only a list has them",
    "s.best[*].title": "there are no entries in s.best, which is an object: only a list has them",
    "s[0]": "there are no entries in s, which is an object: only a list has them",
    "length(s.jbos)": "there is no 'jbos' in s; the nearest is 'jobs'",
    "s.best || s.bset": "there is no 'bset' in s; the nearest is 'best'",
    "(s.best || s.jobs[0]).titel": "there is no 'titel' in (…); the nearest is 'title'",
    "!(s.bset)": "there is no 'bset' in s; the nearest is 'best'",
    "s.fuond + `1`": "there is no 'fuond' in s; the nearest is 'found'",
    "let $j = s.jobs in $j[0].titel": "there is no 'titel' in $j[0]; the nearest is 'title'",
    "let $j = s.jbos in $j": "there is no 'jbos' in s; the nearest is 'jobs'",
    "@.s.jbos": "there is no 'jbos' in s; the nearest is 'jobs'",
    '`{"a": [1]}`.b': "there is no 'b' in `…`; the nearest is",
    's."jobs x"': "there is no 'jobs x' in s; the nearest is 'jobs'",
    "each[0].resutl": "there is no 'resutl' in each[0]; the nearest is 'result'",
    "each[*].result.jbos": "there is no 'jbos' in each[*].result; the nearest is 'jobs'",
    "each[0].item.jbos": "there is no 'jbos' in each[0].item; the nearest is 'jobs'",
    "each.result": "there is no 'result' in each, which is a list: write each[*].result for all its",
    "each[?error].error.text": "there is no 'text' in each[?…].error",
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


def test_of_many_faults_in_one_expression_the_first_are_said() -> None:
    found = said(f"[{', '.join(f's.x{number}' for number in range(50))}]")

    assert [each[:21] for each in found] == [f"there is no 'x{number}' in s" for number in range(5)]


def test_a_long_path_is_quoted_by_its_end() -> None:
    (found,) = said(f"s.tree{'.below[0]' * 200}.labl")

    assert found.endswith(".below[0].below[0]; the nearest is 'label'")
    assert len(found) < 300


OPEN_SCHEMAS: list[Any] = [
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
]


@pytest.mark.parametrize("schema", OPEN_SCHEMAS, ids=str)
def test_of_a_schema_that_does_not_exclude_it_a_field_is_let_pass(schema: Any) -> None:
    shape = of_schema({} if isinstance(schema, bool) else schema, schema)

    assert said("s.x", {"s": shape}) == []


CLOSED_SCHEMAS: list[Any] = [
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
]


@pytest.mark.parametrize("schema", CLOSED_SCHEMAS, ids=str)
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
        "plan.steps.1.args.value.0.x": "there is no 'titel' in item; the nearest is 'title'",
        "plan.steps.1.args.value.1": "there is no 'x' in index, which is a number",
        "plan.steps.1.args.value.2": "there is no 'jbos' in s; the nearest is 'jobs'",
        "plan.steps.1.when": "there is no 'fuond' in s; the nearest is 'found'",
        "plan.steps.2.forEach": "there is no 'jbos' in s; the nearest is 'jobs'",
        "plan.answer.a": "there is no 'titel' in e[*].item; the nearest is 'title'",
        "plan.answer.b": "there is no 'item' in e, which is a list: "
        "write e[*].item for all its entries, or e[0].item for the first",
        "plan.answer.c": "there is no 'bset' in s; the nearest is 'best'",
    }


def test_the_entries_of_a_list_of_children_are_known_through_every_list() -> None:
    found = faults(
        S,
        PlanStep("e", "search", depends_on=("s",), for_each=mark("s.jobs[?salary]")),
        PlanStep("f", "use", args={"value": mark("item.item.titel")}, depends_on=("e",), for_each=mark("e[?result]")),
        PlanStep("g", "use", args={"value": mark("item.result.found.x")}, depends_on=("e",), for_each=mark("e")),
    )

    assert found == {
        "plan.steps.2.args.value": "there is no 'titel' in item.item; the nearest is 'title'",
        "plan.steps.3.args.value": "there is no 'x' in item.result.found, which is a number",
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
        "plan.steps.1.args.title": "there is no 'titel' in jobs.jobs[0]; the nearest is 'title'"
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
