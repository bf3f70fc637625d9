from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
)
from graphql.utilities import find_breaking_changes, find_dangerous_changes

from schema.api.schema import build_schema as build_ours
from schema.api.schema import default_limits, sdl

CONTRACT = Path(__file__).with_name("contract.graphql")
PRINTED = Path(__file__).parents[2] / "schema" / "schema.graphql"


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return build_ours().documents.schema


def test_nothing_that_clients_rely_on_is_broken_or_changed(ours: GraphQLSchema):
    contract = build_schema(CONTRACT.read_text())

    assert find_breaking_changes(contract, ours) == []
    assert find_dangerous_changes(contract, ours) == []


def test_the_printed_schema_is_the_one_that_is_served():
    assert PRINTED.read_text() == sdl(), "print it anew with `lifeos schema`, and review the difference"


def _undescribed(schema: GraphQLSchema) -> Iterator[str]:
    for name, type_ in schema.type_map.items():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        if not type_.description:
            yield name
        if isinstance(type_, GraphQLEnumType):
            yield from (f"{name}.{value}" for value, what in type_.values.items() if not what.description)
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for field, what in type_.fields.items():
                if not what.description:
                    yield f"{name}.{field}"
                yield from (f"{name}.{field}({arg})" for arg, of in what.args.items() if not of.description)
        if isinstance(type_, GraphQLInputObjectType):
            yield from (f"{name}.{field}" for field, what in type_.fields.items() if not what.description)


def test_everything_is_described_for_the_client(ours: GraphQLSchema):
    assert list(_undescribed(ours)) == []


def test_a_default_page_is_cut_to_its_limit():
    small = build_ours(limits=default_limits(page=7)).documents.schema
    query, run = small.type_map["Query"], small.type_map["Run"]
    assert isinstance(query, GraphQLObjectType)
    assert isinstance(run, GraphQLObjectType)

    assert query.fields["runs"].args["first"].default_value == 7
    assert query.fields["deadLetters"].args["first"].default_value == 7
    assert run.fields["timeline"].args["first"].default_value == 100
