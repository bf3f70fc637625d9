"""The schema, put together: what `lifeos schema` prints and the view serves."""

from typing import Final

from graphql import GraphQLObjectType, GraphQLSchema, print_schema

from persistence.database import Unavailable
from persistence.reads import MOST_BYTES, TooManyBytes
from schema.api.mutations import Mutation
from schema.api.queries import Query
from schema.api.subscriptions import Subscription
from schema.fast.limits import Limits
from schema.fast.pipeline import Admit, Schema

__all__ = ["TIMELINE_PAGE", "build_schema", "default_limits", "sdl"]

TIMELINE_PAGE: Final = 1000
"""The most events that one page of a timeline may have."""


def build_schema(
    *, limits: Limits | None = None, request_timeout_seconds: float = 10.0, admit: Admit | None = None
) -> Schema:
    """The schema under these limits; a page size that a client leaves out is cut to them."""
    limits = limits or default_limits()
    schema = Schema(
        Query,
        Mutation,
        Subscription,
        limits=limits,
        request_timeout_seconds=request_timeout_seconds,
        unavailable=(Unavailable,),
        refusals={TooManyBytes: limits.too_much_json()},
        admit=admit,
    )
    _cut_defaults(schema.documents.schema, limits)
    return schema


def default_limits(**changes: int) -> Limits:
    """The limits as the contract says them, but for `changes`."""
    return Limits(pages={"Run.timeline": TIMELINE_PAGE}, **{"json_bytes": MOST_BYTES, **changes})


def sdl() -> str:
    """The schema in GraphQL's own language, as it is under the default limits."""
    return print_schema(build_schema().documents.schema) + "\n"


def _cut_defaults(schema: GraphQLSchema, limits: Limits) -> None:
    for type_name, type_ in schema.type_map.items():
        if not isinstance(type_, GraphQLObjectType):
            continue
        for name, field in type_.fields.items():
            first = field.args.get("first")
            if first is not None:
                first.default_value = min(first.default_value, limits.page_of(type_name, name))
