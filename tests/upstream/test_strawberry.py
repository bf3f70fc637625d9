"""strawberry-graphql: its schema, its protocol handlers and what it writes into graphql-core's types."""

import inspect
from typing import Any

import pytest
import strawberry
from graphql import is_input_object_type, is_object_type
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.execution import optimized_is_awaitable
from strawberry.extensions.field_extension import FieldExtension
from strawberry.http.streaming import SSETransport
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from schema.api.audited import Audited
from schema.edge.http.sockets import SocketAdapter, SocketHandler
from schema.edge.http.streams import LineFeedTransport
from schema.edge.http.view import GraphQLView
from schema.fast.execution import FastExecutor
from schema.fast.pipeline import Schema
from tests.schema.toy import State, make_schema
from tests.upstream.leaning import overridden, taken_alike, there

OURS = [
    (Schema, strawberry.Schema, "operations run through our own pipeline"),
    (FastExecutor, StrawberryGraphQLCoreExecutionContext, "it answers what is plain at once"),
    (GraphQLView, GraphQL, "it serves HTTP in our own way"),
    (SocketHandler, BaseGraphQLTransportWSHandler, "it speaks graphql-transport-ws to the letter"),
    (SocketAdapter, ASGIWebSocketAdapter, "it bounds messages and sends"),
    (LineFeedTransport, SSETransport, "events end their lines as every client reads them"),
    (Audited, FieldExtension, "refused mutations are written down"),
]


@pytest.mark.parametrize(
    ("ours", "base", "name", "reason"),
    [(ours, base, name, reason) for ours, base, reason in OURS for name in overridden(ours, base)],
)
def test_what_is_overridden_takes_what_it_took(ours: type, base: type, name: str, reason: str):
    taken_alike(ours, base, name, reason)


OVERRIDDEN = {
    Schema: {"execute", "stream", "process_errors"},
    GraphQLView: {"__call__", "get_context"},
    SocketHandler: {
        "handle", "handle_connection_init", "handle_connection_init_timeout", "handle_subscribe", "run_operation",
    },
    SocketAdapter: {"iter_json", "send_json", "close"},
    LineFeedTransport: {"encode_event", "encode_comment"},
    Audited: {"resolve_async"},
}  # fmt: skip


@pytest.mark.parametrize(("ours", "base", "reason"), [each for each in OURS if each[0] in OVERRIDDEN])
def test_what_has_to_be_overridden_has_the_name_that_it_had(ours: type, base: type, reason: str):
    missing = OVERRIDDEN[ours] - set(overridden(ours, base))

    assert not missing, f"{base.__module__}.{base.__qualname__} has no {sorted(missing)} any more: {reason}"


SET = {
    BaseGraphQLTransportWSHandler: (
        "a socket's state is kept there",
        ["connection_init_received", "connection_acknowledged", "connection_timed_out", "connection_init_timeout_task",
         "connection_init_wait_timeout", "operations", "view", "websocket", "context"],
    ),
    Operation: ("an operation's task is ended with its socket", ["task", "id", "query", "variables", "operation_name"]),
    ASGIWebSocketAdapter: ("messages are read from the socket itself", ["ws"]),
    SSETransport: ("an event stream's head is written with them", ["headers"]),
    strawberry.Schema: ("graphql-core's schema is there", ["_schema"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "name", "reason"), [(owner, name, reason) for owner, (reason, names) in SET.items() for name in names]
)
def test_its_instances_have_what_is_looked_at(owner: type, name: str, reason: str):
    sets = "".join(
        inspect.getsource(each) for each in owner.__mro__ if each is not object and each.__module__ != "typing"
    )

    assert f"self.{name}" in sets or hasattr(owner, name), f"{owner.__qualname__} has no {name} any more: {reason}"


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        (BaseGraphQLTransportWSHandler, "_task_done", "an operation's task is looked at when it is done"),
        (BaseGraphQLTransportWSHandler, "handle_message", "messages that are well formed are handed to it"),
        (BaseGraphQLTransportWSHandler, "on_request_accepted", "it starts the time for connection_init"),
        (BaseGraphQLTransportWSHandler, "send_message", "answers are sent by it"),
        (BaseGraphQLTransportWSHandler, "shutdown", "it ends what runs on a socket"),
        (GraphQL, "websocket_adapter_class", "ours takes its place"),
        (GraphQL, "graphql_transport_ws_handler_class", "ours takes its place"),
        (SSETransport, "encode_complete", "it ends a stream"),
    ],
)
def test_what_is_called_is_there(owner: type, name: str, reason: str):
    there(owner, name, reason)


def test_types_carry_the_definitions_that_they_were_made_from():
    schema = make_schema()._schema
    key = "strawberry-definition"
    types = [each for each in schema.type_map.values() if key in each.extensions]
    objects = [each for each in types if is_object_type(each)]
    field = schema.type_map["Item"].fields["number"].extensions[key]  # pyright: ignore[reportAttributeAccessIssue]

    assert objects, f"graphql-core's types have no extension {key} any more: plain fields are known by it"
    assert [each for each in types if is_input_object_type(each)], "input objects are made by their definitions"
    assert all(isinstance(each.extensions[key], StrawberryObjectDefinition) for each in objects)
    assert key in schema.extensions, "the schema's own definition is found by it"
    assert isinstance(field, StrawberryField)
    assert field.is_basic_field, "a plain attribute is told by is_basic_field"
    assert field.default_resolver is getattr, "a plain attribute is told by default_resolver"
    assert field.python_name == "number", "an attribute is read by its python_name"
    assert hasattr(schema.extensions[key], "exception_handlers"), "a schema with exception_handlers has no plain fields"


def test_the_definitions_have_what_plans_and_readers_ask_for():
    for name in ("is_type_of", "from_input"):
        assert name in StrawberryObjectDefinition.__dataclass_fields__ or hasattr(StrawberryObjectDefinition, name), (
            f"StrawberryObjectDefinition has no {name} any more: objects are told apart, and made, by it"
        )
    definition: Any = State.__strawberry_definition__  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(definition, StrawberryEnumDefinition)
    assert hasattr(make_schema()._schema.type_map["State"], "wrapped_cls"), "an enum's members are found by wrapped_cls"


def test_a_cast_leaves_a_mark_and_awaitables_are_recognised():
    class Thing:
        pass

    marked = strawberry.cast(Thing, Thing())

    assert TYPE_CAST_ATTRIBUTE in marked.__dict__, "an object that was cast is not plain: it is told by its mark"
    assert not optimized_is_awaitable(marked)
