"""The terminal client asks only for what the API has, within its limits."""

from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from console import documents

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"
DOCUMENTS = {name: text for name, text in vars(documents).items() if name.isupper() and not name.startswith("_")}


@pytest.fixture(scope="module")
def api() -> GraphQLSchema:
    return build_schema(SDL.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_operation_is_valid(name: str, api: GraphQLSchema) -> None:
    assert validate(api, parse(DOCUMENTS[name])) == []
