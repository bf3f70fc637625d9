"""Whatever way leads through the schema from a list to objects, a longer list takes no more statements.

The ways are found in the schema itself: a field that is added tomorrow is on one of them.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
)

from persistence.ids import run_id
from persistence.states import Risk
from schema.api.schema import build_schema
from schema.fast.limits import Limits
from tests.engine.test_conditions import mark, planned
from tests.schema.stories import Told
from tests.schema.world import World, person_of, world

SIZES = (10, 100, 1000)
LIMITS = Limits(tokens=4000, nodes=10**7, page=1000, pages={"Run.timeline": 1000})
HOPS = 2
SCHEMA = build_schema(limits=LIMITS).documents.schema


def type_of(field: GraphQLField) -> Any:
    return get_named_type(field.type)


def is_page(type_: Any) -> bool:
    return is_object_type(type_) and {"nodes", "edges"} <= type_.fields.keys()


def is_resolved(field: GraphQLField) -> bool:
    return not field.extensions["strawberry-definition"].is_basic_field


def leaves(type_: GraphQLObjectType) -> str:
    """All its fields that lead nowhere, but for those that are worked out by a resolver: each is a way of its own."""
    return " ".join(
        name for name, field in type_.fields.items() if is_leaf_type(type_of(field)) and not is_resolved(field)
    )


def ways(type_: GraphQLObjectType, hops: int) -> Iterator[tuple[str, bool]]:
    """Selections of an object, one for each way over so many objects; and whether a run's lists are on it."""
    onward = {name: field for name, field in type_.fields.items() if is_object_type(type_of(field))}
    if not hops or not onward:
        yield leaves(type_), False
        return
    for name, field in onward.items():
        to = type_of(field)
        if is_page(to):
            if "first" not in field.args:
                continue
            for inner, lists in ways(type_of(to.fields["nodes"]), hops - 1):
                yield f"{name}(first: 3) {{nodes {{{inner}}}}}", lists or type_.name == "Run"
            continue
        is_list = is_list_type(get_nullable_type(field.type))
        for inner, lists in ways(to, hops - 1):
            yield f"{name} {{{inner}}}", lists or (is_list and type_.name == "Run")
    for name, field in type_.fields.items():
        if is_leaf_type(type_of(field)) and is_resolved(field):
            yield name, type_.name == "Run"


def lists_of(schema: GraphQLSchema) -> dict[str, tuple[str, Any, bool]]:
    """The lists that begin a way, as a query around a selection of their entries; whether all are of one run."""
    found: dict[str, tuple[str, Any, bool]] = {}
    assert schema.query_type is not None
    for name, field in schema.query_type.fields.items():
        if is_page(type_of(field)):
            entry = type_of(type_of(field).fields["nodes"])
            found[name] = (f"query ($n: Int!) {{{name}(first: $n) {{nodes {{%s}}}}}}", entry, False)
            found[f"{name}'s edges"] = (
                f"query ($n: Int!) {{{name}(first: $n) {{edges {{node {{%s}}}}}}}}",
                entry,
                False,
            )
    run = schema.type_map["Run"]
    assert is_object_type(run)
    for name, field in run.fields.items():
        if is_page(type_of(field)):
            entry = type_of(type_of(field).fields["nodes"])
            query = f"query ($n: Int!, $run: ID!) {{run(id: $run) {{{name}(first: $n) {{nodes {{%s}}}}}}}}"
            found[f"run.{name}"] = (query, entry, True)
        elif is_list_type(get_nullable_type(field.type)) and is_object_type(type_of(field)):
            found[f"run.{name}"] = (f"query ($run: ID!) {{run(id: $run) {{{name} {{%s}}}}}}", type_of(field), True)
    return found


LISTS = lists_of(SCHEMA)


def test_the_lists_are_those_that_there_are():
    assert LISTS.keys() >= {
        "runs",
        "approvals",
        "deadLetters",
        "auditLog",
        "run.steps",
        "run.approvals",
        "run.timeline",
    }
    assert sum(1 for query, entry, _ in LISTS.values() for _ in ways(entry, HOPS)) > 100


@pytest.mark.timeout(900)
@pytest.mark.parametrize("start", LISTS)
async def test_the_statements_are_the_same_for_ten_and_a_thousand(dsn: str, start: str):
    query, entry, is_of_one_run = LISTS[start]
    async with world(dsn, executes=False, limits=LIMITS) as it:
        person = person_of(it.admin)
        runs: dict[int, Any] = {}
        if is_of_one_run:
            for size in SIZES:
                told = [
                    Told(f"s{n}", after=(f"s{n - 1}",) if n % 2 else (), risk=Risk.L0 if n % 2 else Risk.L3)
                    for n in range(2 * size)
                ]
                runs[size] = await it.stories.run(person, told)
        else:
            told = [Told("a"), Told("b", after=("a",)), Told("c", risk=Risk.L3)]
            await it.stories.runs(person, max(SIZES), told)
            await it.stories.claim()
            await it.stories.fail_all()
        grew = await growing(it, query, entry, {"run": runs} if is_of_one_run else {})

    assert not grew, f"statements for lists of {SIZES}"


@pytest.mark.timeout(900)
async def test_steps_with_conditions_lists_and_waits_take_no_more_statements_for_more_of_them(dsn: str):
    query, entry, _ = LISTS["run.steps"]
    async with world(dsn, executes=False, limits=LIMITS, max_plan_steps=4 * max(SIZES)) as it:
        runs = {size: await it.it.submit(*elaborate(size)) for size in SIZES}

        grew = await growing(it, query, entry, {"run": runs})

    assert not grew, f"statements for lists of {SIZES}"


@pytest.mark.timeout(900)
async def test_children_take_no_more_statements_for_more_of_them(dsn: str):
    query = "query ($n: Int!, $run: ID!) {run(id: $run) {steps {children(first: $n) {totalCount nodes {%s}}}}}"
    async with world(dsn, executes=False, limits=LIMITS) as it:
        every = mark(f"`{[0] * (max(SIZES) // 2)}` | [@, @][]".replace(" 0", "0"))
        each = planned("each", "note", for_each=every, for_each_most=max(SIZES), max_parallel=1)
        run = await it.it.submit(each)

        grew = await growing(it, query, LISTS["run.steps"][1], {"run": dict.fromkeys(SIZES, run)})

        assert (await it.it.run(run))["ready"] == max(SIZES)

    assert not grew, f"statements for lists of {SIZES}"


def elaborate(size: int) -> list[Any]:
    """A plan of which so many steps are each of a kind: with a list, with a wait, and with a condition."""
    three = mark("`[1, 2, 3]`")
    return [
        step
        for n in range(size)
        for step in (
            planned(f"each{n}", "note", for_each=three, max_parallel=1),
            planned(f"tidy{n}", "note", after=(f"each{n}",)),
            planned(f"pay{n}", "pay", needs=(f"tidy{n}",), when=mark(f"tidy{n}"), args={"amount": n}),
        )
    ]


async def growing(it: World, query: str, entry: Any, of: dict[str, dict[int, UUID]]) -> dict[str, list[int]]:
    """The ways on which longer lists take more statements, with how many; `of` are the runs that are asked about."""
    grew: dict[str, list[int]] = {}
    for selection, leads_to_lists in ways(entry, HOPS):
        counts: list[int] = []
        for size in SIZES:
            if of and leads_to_lists and "run {" in selection:
                # Each of a thousand steps would show all of them: a million objects, which no answer holds.
                continue
            variables: dict[str, Any] = {"n": size} if "$n" in query else {}
            variables |= {name: run_id(runs[size]) for name, runs in of.items()}
            it.statements.clear()
            await ask(it, query % selection, variables)
            counts.append(len(it.statements))
        if len(set(counts)) > 1:
            grew[selection] = counts
    return grew


async def ask(it: Any, query: str, variables: dict[str, Any]) -> None:
    result = await it.schema.execute(query, variable_values=variables, context_value=it.services.context(it.admin))
    assert not result.errors, (query, result.errors)
