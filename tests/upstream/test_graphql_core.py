"""graphql-core: its executor keeps our field lists, and lets us complete what is plain."""

import asyncio
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLInputObjectType, Node, execute, parse, validate
from graphql.execution import Executor
from graphql.execution import executor as executor_module
from graphql.execution.collect_fields import FieldDetails, FragmentDetails
from graphql.execution.get_variable_signature import GraphQLVariableSignature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.type.definition import GraphQLResolveInfoHelpers
from graphql.validation import OverlappingFieldsCanBeMergedRule
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.fast.execution import LEANED_ON, Compiled, FastExecutor, LibraryChanged, check_executor
from tests.schema.toy import Context, Toy, Viewer, make_schema
from tests.upstream.leaning import there

SEAMS = {
    "execute_collected_root_fields": "the same root fields are executed for each request with a document",
    "execute_fields": "plain attributes are read at once",
    "complete_iterable_value": "lists of plain objects are made in one loop, and long ones with pauses",
    "complete_leaf_value": "a leaf that is too much ends the answer where it is awaited",
    "build_per_event_executor": "each event of a subscription gets a context of its own",
    "collect_subfields": "plans are made from what it collects",
    "gather_async_work": "the executor's helpers are to hold no executor",
    "track_async_work": "the executor's helpers are to hold no executor",
    "build_resolve_info": "Strawberry makes its info there",
}


@pytest.mark.parametrize("name", SEAMS)
def test_the_executor_has_the_seams_that_ours_is_made_at(name: str):
    there(Executor, name, SEAMS[name])
    theirs = list(inspect.signature(getattr(Executor, name)).parameters)
    ours = list(inspect.signature(getattr(FastExecutor, name)).parameters)

    assert theirs == ours, f"Executor.{name} takes {theirs} now, and ours {ours}: {SEAMS[name]}"


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        (GraphQLResolveInfoHelpers, "gather", "the executor's helpers are made anew"),
        (GraphQLResolveInfoHelpers, "track", "the executor's helpers are made anew"),
        (FieldDetails, "fragment_variable_values", "a field of a fragment with variables is not plain"),
        (FragmentDetails, "definition", "the executor is given its fragments ready made"),
        (GraphQLVariableSignature, "default_value", "variables are read by their signatures"),
        (VariableValues, "coerced", "the executor is given the variables ready made"),
        (VariableValueSource, "signature", "the executor is given the variables ready made"),
        (GraphQLInputObjectType, "out_type", "it makes the objects of Strawberry's input types"),
        (Node, "keys", "all nodes of a document are walked by them"),
    ],
)
def test_what_is_taken_from_inner_modules_is_there(owner: type, name: str, reason: str):
    assert name in {*dir(owner), *inspect.signature(owner).parameters, *getattr(owner, "__slots__", ())}, (
        f"graphql-core's {owner.__name__} has no {name} any more: {reason}"
    )


def test_comparing_fields_has_a_budget():
    rule = OverlappingFieldsCanBeMergedRule.__init__
    source = inspect.getsource(inspect.getmodule(rule))  # pyright: ignore[reportArgumentType]

    assert "self.rule_context = " in source, "a document's fields are compared within a budget: rule_context holds it"
    assert "remaining_complexity_budget" in source, "a document's fields are compared within a budget of that name"


def test_the_sentences_that_refusals_are_recognised_by_are_the_same():
    with pytest.raises(Exception, match="more than 2 tokens"):
        parse("{a b c}", max_tokens=2)
    schema = make_schema()
    many = "{" + " ".join(f"x{n}: hello(a: {n})" for n in range(400)) + " hello}"
    clash = "{" + " ".join(f"x: hello x: viewer y{n}: hello" for n in range(300)) + "}"

    messages = {error.message for text in (many, clash) for error in validate(schema._schema, parse(text))}

    assert any(message.endswith("Validation aborted.") for message in messages), "a document of too many faults"
    assert parse("{a b c}").token_count == 5, "documents are measured by their token_count"


# ── a private name that is called something else ──


def renamed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have graphql-core's executor call it something else, wherever it does."""
    places = {each: function for each, function in vars(Executor).items() if inspect.isfunction(function)}
    changed = 0
    for each, function in places.items():
        source = textwrap.dedent(inspect.getsource(function))
        if name in source:
            made: dict[str, Callable[..., Any]] = {}
            exec(
                "from __future__ import annotations\n" + source.replace(name, f"{name}_v2"), vars(executor_module), made
            )
            monkeypatch.setattr(Executor, each, made[each])
            changed += 1
    assert changed, f"graphql-core's Executor has no {name} any more: {LEANED_ON[name]}"


@pytest.mark.parametrize("name", LEANED_ON)
def test_a_renamed_name_keeps_the_server_from_starting_and_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    renamed(monkeypatch, name)

    with pytest.raises(LibraryChanged, match=name):
        make_schema()


@pytest.mark.parametrize("name", LEANED_ON)
def test_answers_are_right_even_so(name: str, monkeypatch: pytest.MonkeyPatch):
    schema = make_schema()
    renamed(monkeypatch, name)
    # Field lists that are made anew for each request, and gone after it: others come to lie where they lay.
    query = "{a: all {id shout number} b: all {title shout} c: all {shout weight owner {name}} d: all {ready shout}}"
    plain = execute(schema._schema, parse(query), executor_class=StrawberryGraphQLCoreExecutionContext)
    assert isinstance(plain, ExecutionResult)

    async def answers() -> None:
        for _ in range(200):
            fast = await schema.execute(query, context_value=Context(Viewer("ada"), Toy()))
            assert fast.data == plain.data

    asyncio.run(answers())


@pytest.mark.parametrize("name", ["execute_collected_root_fields", "execute_fields"])
def test_a_seam_that_is_not_called_any_more_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch):
    schema = make_schema()
    monkeypatch.delattr(FastExecutor, name)

    with pytest.raises(LibraryChanged, match=name):
        check_executor(schema._schema)


def test_a_memo_that_is_not_used_any_more_is_noticed(monkeypatch: pytest.MonkeyPatch):
    schema = make_schema()
    collect = Executor.collect_subfields

    def forgetful(self: Any, return_type: Any, field_details_list: Any) -> Any:
        kept, self._relevant_sub_fields = self._relevant_sub_fields, {}
        try:
            return collect(self, return_type, field_details_list)
        finally:
            self._relevant_sub_fields = kept

    monkeypatch.setattr(Executor, "collect_subfields", forgetful)

    with pytest.raises(LibraryChanged, match="_relevant_sub_fields"):
        check_executor(schema._schema)


def test_plans_and_branches_hold_what_they_were_made_for():
    schema = make_schema()
    text = "{all {id owner {name} parts {id}}}"
    asyncio.run(schema.execute(text, context_value=Context(Viewer("ada"), Toy())))
    compiled: Compiled = schema.documents.read(text).operation(None).compiled

    assert compiled.plans
    assert all(key == id(plan.fields) for key, plan in compiled.plans.items())
    assert compiled.branches
    assert all(key[0] == id(details) for key, (details, _) in compiled.branches.items())
