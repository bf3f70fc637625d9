"""Variables that are read at once are what graphql-core and Strawberry make of them, and errors are theirs alone."""

from copy import deepcopy
from typing import Any, cast

import pytest
import strawberry
from graphql import OperationDefinitionNode, get_nullable_type, is_input_object_type, parse
from graphql.execution.values import VariableValues, get_variable_values
from graphql.pyutils import Undefined
from graphql.type import is_enum_type, is_list_type, is_non_null_type
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import convert_argument

from schema.api.mutations import Mutation
from schema.api.queries import Query
from schema.api.schema import build_schema
from schema.fast.scalars import SCALARS
from schema.fast.variables import Variables, read_into_objects

SCHEMA = build_schema().documents.schema
PLAIN = strawberry.Schema(Query, Mutation, config=StrawberryConfig(scalar_map=SCALARS))
INPUTS = sorted(name for name, type_ in SCHEMA.type_map.items() if is_input_object_type(type_))
DEFINITIONS = {name: SCHEMA.type_map[name].extensions["strawberry-definition"] for name in INPUTS}
ODD = [None, "", "x", "L3", "a\x00b", "\ud800", 0, 7, 2**31, 2**60, True, 1.5, float("inf"), [], [None], ["x"], [["x"]],
       {}, {"x": 1}, {"key": "a"}, ("x",), Undefined, object()]  # fmt: skip
LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "String": st.text(st.characters(codec="utf-8"), max_size=4),
    "ID": st.one_of(st.text("ab1", max_size=3), st.integers(-5, 5)),
    "Int": st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([1.0, -0.0])),
    "Float": st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)),
    "Boolean": st.booleans(),
    "DateTime": st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+02:00"]),
    "JSON": st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text("aé", max_size=3)),
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text("ab", max_size=2), inner)),
        max_leaves=4,
    ),
}


def right(type_: Any) -> st.SearchStrategy[Any]:
    """Values that a client may send for this type."""
    inner = get_nullable_type(type_)
    if is_list_type(inner):
        values = st.lists(right(inner.of_type), max_size=3)
    elif is_enum_type(inner):
        values = st.sampled_from(sorted(inner.values))
    elif is_input_object_type(inner):
        required = {name: right(field.type) for name, field in inner.fields.items() if is_non_null_type(field.type)}
        optional = {name: right(field.type) for name, field in inner.fields.items() if name not in required}
        values = st.fixed_dictionaries(required, optional=optional)
    else:
        values = LEAVES[inner.name]
    return values if is_non_null_type(type_) else st.one_of(st.none(), values)


def odd(draw: st.DrawFn) -> Any:
    """Something odd, of its own: what is drawn may be spoiled further."""
    return deepcopy(draw(st.sampled_from(ODD)))


def spoiled(value: Any, draw: st.DrawFn) -> Any:
    """The same with something odd somewhere in it: another value, one too many, or one too few."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 5)):
        entries: Any = cast("Any", value)
        place = draw(st.sampled_from(list(entries if isinstance(value, dict) else range(len(entries)))))
        entries[place] = spoiled(entries[place], draw)
        return entries
    if isinstance(value, dict) and draw(st.booleans()):
        if value and draw(st.booleans()):
            del value[draw(st.sampled_from(sorted(value)))]
        else:
            value[draw(st.sampled_from(["nonsense", "Key", "requireApprovalFrom", "name"]))] = odd(draw)
        return cast("Any", value)
    return odd(draw)


def operation(type_: str) -> OperationDefinitionNode:
    (node,) = parse("query ($it: " + type_ + ") { __typename }").definitions
    assert isinstance(node, OperationDefinitionNode)
    return node


def slowly(node: OperationDefinitionNode, values: dict[str, Any]) -> Any:
    return get_variable_values(SCHEMA, node.variable_definitions or (), values, max_errors=50)


@given(st.data())
def test_what_is_right_is_read_at_once_into_what_graphql_core_makes_of_it(data: st.DataObject):
    name = data.draw(st.sampled_from(INPUTS))
    node = operation(f"{name}!")
    given = {"it": data.draw(right(SCHEMA.type_map[name]).filter(lambda each: each is not None))}

    read = Variables(SCHEMA, node).read(given)

    assert read is not None
    assert repr(read) == repr(slowly(node, given))
    assert read.coerced == slowly(node, given).coerced
    assert type(read.coerced["it"]).__name__ == name


@given(st.data())
def test_whatever_is_sent_is_read_as_graphql_core_does_or_left_to_it(data: st.DataObject):
    name = data.draw(st.sampled_from([*INPUTS, "String", "[String!]", "[Risk]", "JSON", "[[Int!]]"]))
    node = operation(name + data.draw(st.sampled_from(["", "!"])))
    type_ = SCHEMA.type_map.get(name)
    value = odd(data.draw) if type_ is None else data.draw(right(type_))
    given = {"it": spoiled(value, data.draw)} if data.draw(st.integers(0, 9)) else {}

    read, told = Variables(SCHEMA, node).read(given), slowly(node, given)

    if isinstance(told, VariableValues):
        assert read is None or repr(read) == repr(told)
    else:
        assert read is None


@given(st.data())
def test_an_input_is_the_object_that_strawberry_would_make(data: st.DataObject):
    name = data.draw(st.sampled_from(INPUTS))
    value = data.draw(right(SCHEMA.type_map[name]).filter(lambda each: each is not None))
    node = operation(f"{name}!")

    with pytest.MonkeyPatch.context() as patch:
        for each in DEFINITIONS.values():
            patch.setattr(each, "from_input", None)
        dicts = get_variable_values(PLAIN._schema, node.variable_definitions or (), {"it": value})
        assert isinstance(dicts, VariableValues)
        made = convert_argument(
            dicts.coerced["it"], DEFINITIONS[name].origin, PLAIN.schema_converter.scalar_registry, PLAIN.config
        )

    read = Variables(SCHEMA, node).read({"it": value})

    assert read is not None
    assert read.coerced["it"] == made
    assert repr(read.coerced["it"]) == repr(made)


def test_a_default_and_a_variable_that_is_missing_are_left_to_graphql_core():
    (with_default,) = parse("query ($it: Int = 5, $other: String) { __typename }").definitions
    assert isinstance(with_default, OperationDefinitionNode)

    assert Variables(SCHEMA, with_default).read({}) is None
    assert Variables(SCHEMA, with_default).read({"it": None}) == slowly(with_default, {"it": None})
    assert Variables(SCHEMA, operation("String!")).read({}) is None


# ── types that need more than to be handed on ──


@strawberry.input
class Defaulted:
    often: int = 3
    text: str | None = strawberry.UNSET


@strawberry.input
class Perhaps:
    text: strawberry.Maybe[str]


@strawberry.input(one_of=True)
class Either:
    one: str | None = strawberry.UNSET
    other: int | None = strawberry.UNSET


@strawberry.input
class Nested:
    inner: "Nested | None" = strawberry.UNSET
    text: str | None = strawberry.UNSET


@strawberry.input
class Holder:
    other_name: str
    held: Defaulted | None = strawberry.UNSET


@strawberry.input
class Simple:
    other_name: str
    many: list[str | None] | None = strawberry.UNSET


@strawberry.type
class Ask:
    @strawberry.field
    def defaulted(self, it: Defaulted) -> str:
        return repr(it)

    @strawberry.field
    def perhaps(self, it: Perhaps) -> str:
        return repr(it)

    @strawberry.field
    def either(self, it: Either) -> str:
        return repr(it)

    @strawberry.field
    def nested(self, it: Nested) -> str:
        return repr(it)

    @strawberry.field
    def holder(self, it: Holder) -> str:
        return repr(it)

    @strawberry.field
    def simple(self, it: Simple) -> str:
        return repr(it)


SENT: dict[str, list[dict[str, Any]]] = {
    "Defaulted": [{}, {"often": 4, "text": None}],
    "Perhaps": [{}, {"text": "x"}],
    "Either": [{"one": "x"}, {"other": 5}, {"one": "x", "other": 5}, {}],
    "Nested": [{"inner": {"inner": {"text": "x"}}}, {"inner": None}],
    "Holder": [{"otherName": "x"}, {"otherName": "x", "held": {}}, {"otherName": "x", "held": {"often": 1}}],
    "Simple": [{"otherName": "x"}, {"otherName": "x", "many": ["y", None]}, {"otherName": "x", "many": "y"}, {}],
}
ASKED = strawberry.Schema(Ask)


def answers(name: str) -> list[Any]:
    document = "query ($it: " + name + "!) { " + name.lower() + "(it: $it) }"
    results = [ASKED.execute_sync(document, {"it": each}) for each in SENT[name]]
    literal = ASKED.execute_sync('{ simple(it: {otherName: "x", many: ["y"]}) }')
    return [(each.data, each.errors and [error.message for error in each.errors]) for each in (*results, literal)]


def test_every_type_is_read_as_before_by_variable_and_by_literal():
    before = {name: answers(name) for name in SENT}

    read_into_objects(ASKED._schema)

    assert {name: answers(name) for name in SENT} == before
    at_once = [
        name for name in SENT if Variables(ASKED._schema, operation(f"{name}!")).read({"it": SENT[name][0]}) is not None
    ]
    assert at_once == ["Simple"]
