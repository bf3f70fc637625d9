"""The fast executor answers as graphql-core's does, only sooner."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, execute, parse, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.fast.execution import Compiled, FastExecutor, SharedData
from schema.fast.pipeline import Schema
from tests.schema.serving import log, until
from tests.schema.toy import (
    Context,
    Event,
    Item,
    Owner,
    State,
    Toy,
    Viewer,
    make_event,
    make_item,
    make_schema,
)

SCHEMA = make_schema()
LEAVES = [
    "id", "number", "title", "weight", "ready", "state", "past", "tags", "createdAt", "args", "shout", "secret",
    "__typename", "later", "later(times: 2)",
]  # fmt: skip

__all__ = ["log"]
pytestmark = pytest.mark.usefixtures("log")


async def _later() -> str:
    return "later"


# What a field may hold besides what it should: all of it has an answer, or an error, in graphql-core.
ODD: dict[str, list[Any]] = {
    "number": [0, True, 2**31, -(2**31), "7", 1.5, None, float("nan"), ValueError("no number")],
    "title": ["", "ü", None, 5, 1.5, True, b"bytes", RuntimeError("secret"), State.DONE],
    "weight": [0, 1, float("nan"), float("inf"), True, "x", None, 2**2000],
    "ready": [0, 1, "yes", None, 2.5],
    "state": [State.DONE, "running", "RUNNING", None, 5, []],
    "past": [[], None, [None], ["nonsense"], (State.DONE,), {State.DONE}, "text", 5, [State.DONE, RuntimeError("no")]],
    "tags": [[], ["x", None], [5], None, (), ("a", "b"), {"a"}, "ab", [["a"]]],
    "created_at": [datetime(2026, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None, "2026", 5],
    "args": [None, 0, "", [], {}, float("inf"), {"a": [1, {"b": None}]}, (1, 2), 2**80, RuntimeError("secret")],
    "owner": [None, Owner(name="Bob"), Owner(name=None), "nobody", {"name": "dict"}, RuntimeError("x")],  # pyright: ignore[reportArgumentType]
    "parts": [[], None, [None], (make_item(9),), ["x"], 5],
    "id": ["", 5, None, 1.5, True],
}  # fmt: skip


@st.composite
def items(draw: st.DrawFn, depth: int = 2) -> Item:
    item = make_item(draw(st.integers(0, 5)), owner=draw(st.sampled_from([None, Owner(name="Ada", age=3)])))
    if depth:
        item.parts = draw(st.lists(items(depth=depth - 1), max_size=3))
    for name in draw(st.lists(st.sampled_from(sorted(ODD)), max_size=2, unique=True)):
        setattr(item, name, draw(st.sampled_from(ODD[name])))
    if draw(st.integers(0, 9)) == 0:
        del item.title
    return item


@st.composite
def selections(draw: st.DrawFn, depth: int = 2) -> str:
    fields = draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=6, unique=True))
    parts: list[str] = []
    for field in fields:
        alias = draw(st.sampled_from(["", "", "", "x: ", "y: "]))
        condition = draw(st.sampled_from(["", "", "", " @include(if: $yes)", " @skip(if: $yes)"]))
        parts.append(alias + field + condition)
    if depth:
        inner = selections(depth=depth - 1)
        if draw(st.booleans()):
            parts.append("parts {" + draw(inner) + "}")
        if draw(st.booleans()):
            parts.append("... on Item {" + draw(inner) + "}")
        if draw(st.booleans()):
            parts.append("owner {name " + draw(st.sampled_from(["", "age", "__typename"])) + "}")
        if draw(st.integers(0, 3)) == 0:
            parts.append("items(first: 2) {nodes {" + draw(inner) + "} edges {cursor node {id}}}")
    return " ".join(draw(st.permutations(parts)))


@dataclass
class Root:
    """Stands for the resolvers' results: both executors read the same objects."""

    all: list[Any]


def run(executor: type, document: Any, **options: Any) -> Any:
    async def answer() -> Any:
        result = execute(
            ROOTED._schema,
            document,
            executor_class=executor,
            is_awaitable=optimized_is_awaitable,  # pyright: ignore[reportArgumentType]
            context_value=Context(Viewer("ada"), Toy()),
            **options,
        )
        result = result if isinstance(result, ExecutionResult) else await result
        # graphql-core lets the siblings of what failed run out in the background.
        await until(lambda: len(asyncio.all_tasks()) == 1)
        return result

    return asyncio.run(answer())


def rooted() -> Schema:
    """The toy's schema, except that the root's items are what the test says."""
    schema = make_schema()
    schema._schema.query_type.fields["all"].resolve = lambda root, _info: root.all  # pyright: ignore[reportOptionalMemberAccess, reportUnknownLambdaType]
    return schema


ROOTED = rooted()


def comparable(result: ExecutionResult) -> tuple[Any, list[Any]]:
    # NaN is unlike itself, so texts are compared; the keys' order counts.
    errors = [error.formatted for error in result.errors or []]
    return repr(result.data), sorted(map(repr, errors))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    source=st.lists(items() | st.none(), min_size=1, max_size=4),
    selection=selections(),
    yes=st.booleans(),
)
def test_any_selection_of_any_objects_is_answered_alike(source: list[Any], selection: str, *, yes: bool):
    document = parse("query($yes: Boolean = true) {hello @skip(if: $yes) all {" + selection + "}}")
    if validate(SCHEMA._schema, document):
        return
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    compiled = Compiled(ROOTED._schema, document, operation)
    options = {"root_value": Root(source), "variable_values": {"yes": yes}}

    plain = run(StrawberryGraphQLCoreExecutionContext, document, **options)
    first = run(FastExecutor, document, compiled=compiled, **options)
    again = run(FastExecutor, document, compiled=compiled, **options)

    assert comparable(first) == comparable(plain)
    assert comparable(again) == comparable(plain)


@pytest.mark.parametrize("name", sorted(ODD))
@pytest.mark.parametrize("selection", ["{0}", "id {0} shout", "{0} later", "__typename {0} title"])
def test_every_odd_value_is_answered_alike(name: str, selection: str):
    field = {"created_at": "createdAt", "owner": "owner {name age}", "parts": "parts {id number}"}.get(name, name)
    document = parse("{all {" + selection.format(field) + "}}")
    for value in ODD[name]:
        source = [make_item(1), make_item(2), make_item(3)]
        setattr(source[1], name, value)

        plain = run(StrawberryGraphQLCoreExecutionContext, document, root_value=Root(source))
        fast = run(FastExecutor, document, root_value=Root(source))

        assert comparable(fast) == comparable(plain), value


def test_an_attribute_that_has_to_be_awaited_is_awaited():
    async def answer(executor: type) -> Any:
        source = make_item(1)
        source.title = _later()  # pyright: ignore[reportAttributeAccessIssue]
        source.owner = Owner(name="Ada")
        return await execute(  # pyright: ignore[reportGeneralTypeIssues]
            ROOTED._schema,
            parse("{all {id title number}}"),
            root_value=Root([source]),
            executor_class=executor,
            is_awaitable=optimized_is_awaitable,  # pyright: ignore[reportArgumentType]
        )

    plain, fast = (asyncio.run(answer(each)) for each in (StrawberryGraphQLCoreExecutionContext, FastExecutor))

    assert plain.data == fast.data == {"all": [{"id": "item_1", "title": "later", "number": 1}]}


async def test_what_an_include_leaves_out_is_not_remembered_for_the_next_request():
    query = "query($yes: Boolean!) {all {id number @include(if: $yes)}}"

    answers = [
        (await SCHEMA.execute(query, variable_values={"yes": yes}, context_value=Context(Viewer("a"), Toy()))).data
        for yes in (True, False, True)
    ]

    assert [len(answer["all"][0]) for answer in answers if answer] == [2, 1, 2]


async def test_an_interfaces_object_is_answered_alike():
    result = await SCHEMA.execute('{node(id: "item_3") {__typename id ... on Item {number owner {name}}}}')

    assert result.data == {"node": {"__typename": "Item", "id": "item_3", "number": 3, "owner": {"name": "Ada"}}}


# ── events ──

EVENTS = "subscription($after: Int) {events(after: $after) {seq message at item {id number state}}}"


async def answers(query: str, viewer: Viewer, toy: Toy, **variables: Any) -> list[Any]:
    stream = await SCHEMA.stream(query, variable_values=variables, context_value=Context(viewer, toy))
    return [answer async for answer in stream]


async def test_subscribers_that_ask_the_same_share_one_answer_whatever_their_cursors():
    toy = Toy()

    first = await answers(EVENTS, Viewer("ada"), toy, after=0)
    second = await answers(EVENTS, Viewer("bob"), toy, after=1)

    assert [answer.data["events"]["seq"] for answer in second] == [2, 3]
    assert all(type(answer.data) is SharedData for answer in first)
    assert [answer.data for answer in second] == [answer.data for answer in first[1:]]
    assert all(one.data is other.data for one, other in zip(first[1:], second, strict=True))


async def test_who_may_see_something_else_gets_an_answer_of_their_own():
    toy = Toy()
    query = "subscription {events {seq seenBy}}"

    ada = await answers(query, Viewer("ada", scope="ada"), toy)
    bob = await answers(query, Viewer("bob", scope="bob"), toy)

    assert {answer.data["events"]["seenBy"] for answer in ada} == {"ada"}
    assert {answer.data["events"]["seenBy"] for answer in bob} == {"bob"}


async def test_a_viewer_without_a_scope_shares_nothing():
    toy = Toy()
    query = "subscription {events {seq seenBy}}"

    for name in ("ada", "bob"):
        received = await answers(query, Viewer(name, scope=None), toy)  # pyright: ignore[reportArgumentType]
        assert {answer.data["events"]["seenBy"] for answer in received} == {name}


async def test_variables_below_the_root_tell_answers_apart():
    toy = Toy()
    query = "subscription($yes: Boolean!) {events {seq message @include(if: $yes)}}"

    sizes = [
        {len(answer.data["events"]) for answer in await answers(query, Viewer("ada"), toy, yes=yes)}
        for yes in (True, False, True)
    ]

    assert sizes == [{2}, {1}, {2}]


async def test_what_was_awaited_or_failed_is_nobody_elses():
    toy = Toy()

    for query in ("subscription {events {item {later}}}", "subscription {events {item {id secret}}}"):
        one, other = [await answers(query, Viewer("ada"), toy) for _ in range(2)]
        assert all(a.data is not b.data or a.data is None for a, b in zip(one, other, strict=True))
    assert all(not event.memo for event in toy.shared)


async def test_a_long_stream_remembers_no_more_than_a_short_one():
    toy = Toy(shared=[make_event(n) for n in range(1, 500)])
    query = "subscription {events {seq item {id owner {name}} }}"
    await answers(query, Viewer("ada", scope="1"), toy)

    compiled = SCHEMA.documents.read(query).operation(None).compiled

    assert len(compiled.sub_fields) <= 3
    assert len(compiled.plans) <= 4


async def test_each_event_gets_a_fresh_context_where_there_is_one():
    @dataclass
    class Renewed(Context):
        made: int = 0

        def for_event(self) -> Context:
            self.made += 1
            return Context(Viewer(f"ada {self.made}"), self.toy)

    context = Renewed(Viewer("ada", scope=None), Toy())  # pyright: ignore[reportArgumentType]
    stream = await SCHEMA.stream("subscription {events {seenBy}}", context_value=context)

    seen = [answer.data["events"]["seenBy"] async for answer in stream if answer.data]

    assert seen == ["ada 1", "ada 2", "ada 3"]


async def test_an_event_that_takes_too_long_ends_the_stream_so_that_its_cursor_stays():
    schema = make_schema(request_timeout_seconds=0.02)
    toy = Toy()
    hanging = asyncio.Event()

    async def hangs() -> str:
        await hanging.wait()
        return ""

    toy.shared[1].message = hangs()  # pyright: ignore[reportAttributeAccessIssue]
    stream = await schema.stream("subscription {events {message}}", context_value=Context(Viewer("ada"), toy))

    received = [answer async for answer in stream]

    assert [answer.data is None for answer in received] == [False, True]
    (error,) = received[1].errors or []
    assert isinstance(error, GraphQLError)
    assert error.extensions == {"code": "UNAVAILABLE"}


def test_an_event_is_no_dearer_for_having_a_memo():
    assert make_event(1) == make_event(1)
    assert "memo" not in repr(make_event(1))
    assert isinstance(make_event(1), Event)
