"""What an operation asks for is known before anything else reads it, and too much is refused."""

import gc
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import ref

import pytest
from graphql import GraphQLError, get_introspection_query, parse, print_ast
from hypothesis import given
from hypothesis import strategies as st

from schema.fast.documents import without_repeats
from schema.fast.limits import Analysis, Limits, analyse
from schema.shared.faults import RequestError
from tests.schema.toy import Context, Toy, Viewer, make_schema

SCHEMA = make_schema()
CONTEXT = Context(Viewer("ada"), Toy())


def measure(text: str, name: str | None = None, *, limits: Limits | None = None, **variables: Any) -> Analysis:
    analysis = analyse(parse(text), name, variables, SCHEMA._schema, limits)
    assert analysis is not None
    return analysis


async def codes(text: str, schema: Any = SCHEMA, **options: Any) -> list[tuple[str, str | None]]:
    result = await schema.execute(text, context_value=CONTEXT, **options)
    return [(e.extensions["code"], e.extensions.get("limit")) for e in result.errors or []]


def nested(depth: int) -> str:
    return "{all {" + "parts {" * (depth - 2) + "id" + "}" * depth


def aliased(count: int) -> str:
    return "{" + " ".join(f"a{n}: hello" for n in range(count)) + "}"


def skipping(count: int) -> str:
    return "{" + "hello @skip(if: false) " * count + "}"


# ── depth, aliases, directives, tokens ──


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("{hello}", 1),
        ("{all {id}}", 2),
        ("{... on Query {all {... on Item {... {id}}}}}", 2),
        ("{...F} fragment F on Query {all {...G}} fragment G on Item {parts {id}}", 3),
        ("{__schema {types {fields {type {ofType {name}}}}} hello}", 1),
        ('{__type(name: "Item") {fields {name}}}', 1),
        ("{x: __schema {...F}} fragment F on __Schema {types {fields {name}}}", 1),
        ("{all {__typename}}", 2),
        ('mutation {order(input: {title: "x"})}', 1),
        ("subscription {events {item {id}}}", 3),
        ("{nothing {known {here}}}", 3),
    ],
)
def test_depth_counts_fields_from_one_at_the_root(text: str, depth: int):
    assert measure(text).depth == depth


@pytest.mark.parametrize(
    ("text", "aliases", "directives"),
    [
        ("{a: hello b: hello hello}", 2, 0),
        ("{...F ...F} fragment F on Query {a: hello @skip(if: false)}", 2, 2),
        ("{...F} fragment F on Query {...G ...G} fragment G on Query {a: hello}", 2, 0),
        ("query($v: Int @y) @z {hello @skip(if: false) @include(if: true) ... @skip(if: true) {hello}}", 0, 5),
        ("{...F @skip(if: true)} fragment F on Query @x {hello}", 0, 2),
    ],
)
def test_aliases_and_directives_count_wherever_they_are_spread(text: str, aliases: int, directives: int):
    analysis = measure(text)

    assert (analysis.aliases, analysis.directives) == (aliases, directives)


def test_only_the_operation_that_runs_is_measured():
    text = "query A {hello} query B {all {parts {parts {id}}} x: hello}"

    assert (measure(text, "A").depth, measure(text, "B").depth) == (1, 4)
    assert analyse(parse(text), None, {}, SCHEMA._schema) is None
    assert analyse(parse(text), "C", {}, SCHEMA._schema) is None


@pytest.mark.parametrize(
    ("at", "past", "limit"),
    [
        ("{" + "hello " * 1998 + "}", "{" + "hello " * 1999 + "}", "MAX_QUERY_TOKENS"),
        (nested(12), nested(13), "MAX_QUERY_DEPTH"),
        (aliased(30), aliased(31), "MAX_QUERY_ALIASES"),
        (skipping(10), skipping(11), "MAX_QUERY_DIRECTIVES"),
        ("{items(first: 100) {nodes {items(first: 96) {nodes {id}} owner {name}}}}",
         "{items(first: 100) {nodes {items(first: 97) {nodes {id}} owner {name}}}}", "MAX_QUERY_NODES"),
    ],
    ids=["tokens", "depth", "aliases", "directives", "nodes"],
)  # fmt: skip
async def test_each_limit_holds_from_one_past_it(at: str, past: str, limit: str):
    assert ("LIMIT_EXCEEDED", limit) not in await codes(at)
    assert await codes(past) == [("LIMIT_EXCEEDED", limit)]


async def test_a_refusal_names_the_limit_and_its_value():
    result = await SCHEMA.execute(nested(13), context_value=CONTEXT)

    assert result.errors is not None
    assert result.errors[0].message == "The operation has 13 levels of fields; at most 12 are allowed."
    assert result.errors[0].extensions == {"code": "LIMIT_EXCEEDED", "limit": "MAX_QUERY_DEPTH", "maximum": 12}


async def test_the_whole_introspection_fits():
    assert await codes(get_introspection_query()) == []
    assert measure(get_introspection_query()).tokens < 600


# ── nodes ──


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("{hello}", 0),
        ("{all {id}}", 1),
        ("{all {parts {id} owner {name}}}", 3),
        ("{items(first: 10) {nodes {id}}}", 1 + 10),
        ("{items(first: 10) {edges {cursor node {id}} pageInfo {hasNextPage}}}", 1 + 10 + 10 + 1),
        ("{items {nodes {id}}}", 1 + 20),
        ("{items(first: 10) {nodes {items(first: 5) {nodes {id}}}}}", 1 + 10 * (1 + 1 + 5)),
        ("{items(first: 10) {...P}} fragment P on Items {nodes {...I}} fragment I on Item {owner {name}}", 1 + 10 * 2),
        ("{items(first: 1000000) {nodes {id}}}", 1 + 100),
        ("{items(first: -5) {nodes {id}}}", 1),
        ("{items(first: 0) {nodes {id}}}", 1),
        ("{items(first: " + "9" * 5000 + ") {nodes {id}}}", 1),
        ("{all {log(first: 1000) {nodes {id}}}}", 1 + 1 + 1000),
        ("{all {log {nodes {id}}}}", 1 + 1 + 100),
        ("{unknown(first: 10) {nodes {id}}}", 2),
    ],
)  # fmt: skip
def test_nodes_are_the_most_objects_that_may_be_returned(text: str, nodes: int):
    limits = Limits(pages={"Item.log": 1000})

    assert measure(text, limits=limits).nodes == nodes


@pytest.mark.parametrize(
    ("declared", "given", "size"),
    [("Int!", {"n": 7}, 7), ("Int = 7", {}, 7), ("Int = 7", {"n": 3}, 3), ("Int", {}, 20), ("Int", {"n": None}, 20),
     ("Int!", {"n": "x"}, 0), ("Int!", {"n": 10**9}, 100), ("Int!", {"n": True}, 1)],
)  # fmt: skip
def test_page_sizes_count_from_variables_and_defaults(declared: str, given: dict[str, Any], size: int):
    assert measure(f"query($n: {declared}) {{items(first: $n) {{nodes {{id}}}}}}", **given).nodes == 1 + size


def test_a_default_is_cut_to_its_limit():
    assert measure("{items {nodes {id}}}", limits=Limits(page=5)).nodes == 1 + 5


def test_an_operation_costs_one_point_and_one_for_each_node():
    assert measure("{items(first: 10) {nodes {id}}}").points == 12


# ── hostile documents ──

CHAIN = "".join(f"fragment F{n} on Item {{...F{n + 1} ...F{n + 1}}} " for n in range(90)) + "fragment F90 on Item {id}"
HOSTILE = {
    "a chain of 90 fragments that double": "{all {...F0}} " + CHAIN,
    "a chain of 180 fragments around nothing": "{...F0} "
    + "".join(f"fragment F{n} on Query {{...F{n + 1} ...F{n + 1}}} " for n in range(180))
    + "fragment F180 on Query {...F180}",
    "a cycle of fragments": "{all {...A}} fragment A on Item {...B} fragment B on Item {parts {...A}}",
    "10000 aliases": "{" + " ".join(f"a{n}: hello" for n in range(10_000)) + "}",
    "as many aliases as fit": "{" + " ".join(f"a{n}: hello" for n in range(600)) + "}",
    "1000 directives": "{hello " + "@skip(if: false) " * 1000 + "}",
    "as many directives as fit": "{hello " + "@skip(if: false) " * 280 + "}",
    "deep introspection": "{__schema {types {" + "fields {type {" * 60 + "name" + "}}" * 60 + "}}}",
    "introspection's lists within lists": "{__schema {types {fields {type {fields {type {fields {name}}}}}}}}",
    "fields that have to be compared": "{" + "all {id number title} " * 300 + "}",
    "arguments that have to be compared": "{" + " ".join(f"echo(number: {n})" for n in range(280)) + "}",
    "fragments that have to be compared": "{"
    + " ".join(f"all {{...G{n}}}" for n in range(90))
    + "} "
    + " ".join(f"fragment G{n} on Item {{parts {{id title}}}}" for n in range(90)),
    "braces without end": "{a" * 5000,
    "brackets without end": "{echo(value: " + "[" * 5000,
    "a long comment": "{hello} #" + "x" * 1_000_000,
    "a long string": '{echo(text: "' + "x" * 1_000_000 + '")}',
    "many comments": "{hello}" + "\n#" * 30_000,
    "a number of many digits": "{echo(number: " + "9" * 60_000 + ")}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_document_is_refused_before_it_costs_anything(text: str):
    schema = make_schema()
    await schema.execute("{hello}", context_value=CONTEXT)

    spent: list[float] = []
    for _ in range(3):
        schema.documents._kept.clear()
        begun = time.process_time()
        result = await schema.execute(text, context_value=CONTEXT)
        spent.append(time.process_time() - begun)

    assert result.errors
    assert {error.extensions["code"] for error in result.errors if error.extensions} <= {
        "LIMIT_EXCEEDED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT",
    }  # fmt: skip
    # 50 ms on a quiet machine; this one is shared, and the exponential ones would take years.
    assert min(spent) < 0.25


def test_expanded_fields_are_counted_however_many_they_are():
    assert measure("{all {...F0}} " + CHAIN).fields == 2**90 + 1


async def test_many_operations_in_one_document_are_bounded_too():
    text = "".join(f"query Q{n} {{...F0}} " for n in range(100))
    text += "".join(f"fragment F{n} on Query {{...F{n + 1}}} " for n in range(130)) + "fragment F130 on Query {hello}"

    begun = time.process_time()
    assert await codes(text, make_schema(), operation_name="Q1") == []
    assert time.process_time() - begun < 3


@given(st.text(alphabet="{}()[]:!$@.&|=#\"' \n\\abFon1-,", max_size=200))
def test_no_text_at_all_is_an_unforeseen_error(text: str):
    with suppress(RequestError, GraphQLError):
        SCHEMA.documents.read(text).operation(None).shape.with_variables({})


# ── what is kept ──


async def test_a_text_is_read_once():
    schema = make_schema()
    text = "{hello}"

    assert schema.documents.read(text) is schema.documents.read(text)


LEAVES = "id number title weight ready state past tags createdAt args"
LARGE: dict[str, Callable[[int], str]] = {
    "leaves": lambda n: "{all {" + " ".join(f"f{n}x{i}{x}: {x}" for i in range(6) for x in LEAVES.split()) + "}}",
    "objects in lists": lambda n: (
        "{" + " ".join(f"a{n}x{i}: all {{id owner {{name}} parts {{id number}}}}" for i in range(10)) + "}"
    ),
    "fields that are resolved": lambda n: "{" + " ".join(f"a{n}x{i}: all {{shout id}}" for i in range(25)) + "}",
    "fragments that are spread again and again": lambda n: (
        "{" + " ".join(f"a{n}x{i}: all {{...F}}" for i in range(4)) + "} "
        "fragment F on Item {" + " ".join(f"p{i}: parts {{id owner {{name}}}}" for i in range(6)) + "}"
    ),
    "a long list": lambda n: "{echo(value: [" + ",".join(str(n * 2000 + i) for i in range(400)) + "])}",
    "a long object": lambda n: "{echo(value: {" + ",".join(f"a{n}x{i}: {i}" for i in range(120)) + "})}",
    "variables": lambda n: (
        "query(" + " ".join(f"$v{n}x{i}: Int = {i}" for i in range(20)) + ") {"
        + " ".join(f"e{i}: echo(number: $v{n}x{i})" for i in range(20)) + "}"
    ),
    "a remark": lambda n: f"{{hello}} #{n}" + "x" * 40_000,
    "a wide text": lambda n: f'{{echo(text: "{n}' + "\U0001f600" * 10_000 + '")}',
    "short ones": lambda n: f"{{a{n}: hello}}",
    "many operations": lambda n: (
        " ".join(f"query Q{i} {{a{n}: hello all {{id shout owner {{name}}}}}}" for i in range(12))
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LARGE)
async def test_all_that_is_kept_of_documents_has_one_bound(kind: str):
    schema = make_schema(limits=Limits(aliases=1000, nodes=100_000))
    schema.documents.kept_bytes = 3 * 1024 * 1024

    async def run(n: int) -> int:
        text = LARGE[kind](n)
        for name in [f"Q{i}" for i in range(12)] if kind == "many operations" else [None]:
            result = await schema.execute(text, context_value=CONTEXT, operation_name=name)
            assert not result.errors
        return len(schema.documents._kept)

    # What is made once for all is there before the first measure.
    await run(0)
    schema.documents._kept.clear()
    schema.documents._bytes = 0
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        n = kept = 0
        while kept == n and n < 4000:
            n += 1
            kept = await run(n)
        gc.collect()
        full = tracemalloc.get_traced_memory()[0] - before
        for more in range(n + 1, n + n // 2 + 1):
            await run(more)
        gc.collect()
        later = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert kept < n, "it was never full"
    # What is counted is what is there: never less, and not so much more that little would be kept.
    assert schema.documents.kept_bytes / 4 < full < schema.documents.kept_bytes
    assert later < schema.documents.kept_bytes


async def test_a_document_that_is_too_large_to_keep_drives_no_other_out():
    schema = make_schema(limits=Limits(aliases=1000))
    schema.documents.kept_bytes = 400_000
    await schema.execute("{hello}", context_value=CONTEXT)

    await schema.execute(LARGE["leaves"](1), context_value=CONTEXT)

    assert list(schema.documents._kept) == ["{hello}"]


async def test_what_events_remember_keeps_no_document():
    schema, toy = make_schema(), Toy()
    text = "subscription {events {seq message}}"
    async for _ in await schema.stream(text, context_value=Context(Viewer("ada"), toy)):
        pass
    assert all(event.memo for event in toy.shared)
    compiled = ref(schema.documents.read(text).operation(None).compiled)

    schema.documents._kept.clear()
    gc.collect()

    assert compiled() is None


async def test_an_event_remembers_so_many_answers_and_no_more():
    schema, toy = make_schema(), Toy()
    for n in range(300):
        text = f"subscription {{events {{seq a{n}: message}}}}"
        async for answer in await schema.stream(text, context_value=Context(Viewer("ada"), toy)):
            assert answer.data
            assert answer.data["events"][f"a{n}"].startswith("event")

    assert {len(event.memo) for event in toy.shared} == {256}


async def test_the_page_size_of_the_last_request_is_not_the_next_ones():
    text = "query($n: Int!) {items(first: 100) {nodes {items(first: $n) {nodes {id}}}}}"

    outcomes = [await codes(text, variable_values={"n": n}) for n in (1, 100, 1)]

    assert outcomes == [[], [("LIMIT_EXCEEDED", "MAX_QUERY_NODES")], []]


def test_a_leaf_that_is_there_many_times_is_read_once_and_all_else_as_it_stands():
    text = "{all {" + "id title " * 30 + "x: id id @skip(if: true) id parts {id id}} hello}"

    once = print_ast(without_repeats(parse(text)))

    assert once == print_ast(parse("{all {id title x: id id @skip(if: true) parts {id}} hello}"))
    assert SCHEMA.documents.read(text).tokens == parse(text).token_count
