"""uvicorn: its protocols for HTTP and for sockets are made stricter, and its server ends by our signals."""

import inspect

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from schema.edge.http import BoundedHttp, FrameSocket
from serving.uvicorn_server import _Server
from tests.upstream.leaning import overridden, taken_alike

OURS = [
    (
        BoundedHttp,
        HttpToolsProtocol,
        "the head of a request has to be short and in time",
        {
            "connection_made", "connection_lost", "data_received", "on_message_begin", "on_header",
            "on_headers_complete", "on_response_complete", "send_400_response",
        },
    ),
    (
        FrameSocket,
        WebSocketsSansIOProtocol,
        "frames that many get are written as they are",
        {"data_received", "handle_connect", "handle_parser_exception"},
    ),
    (_Server, uvicorn.Server, "a signal ends it with status 0", {"startup", "capture_signals"}),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "base", "reason", "names"), OURS)
def test_what_is_overridden_has_the_name_that_it_had(ours: type, base: type, reason: str, names: set[str]):
    missing = names - set(overridden(ours, base))

    assert not missing, f"{base.__module__}.{base.__qualname__} has no {sorted(missing)} any more: {reason}"
    for name in names:
        taken_alike(ours, base, name, reason)


SET = {
    HttpToolsProtocol: (
        "it is known where a request stands",
        ["cycle", "flow", "loop", "pipeline", "transport"],
    ),
    RequestResponseCycle: (
        "the task that answers a refused request sees that its client has gone",
        ["disconnected", "message_event", "response_complete"],
    ),
    WebSocketsSansIOProtocol: (
        "frames are written, and a socket is ended, by them",
        ["close_sent", "close_timer", "conn", "disconnected", "loop", "queue", "read_paused", "scope", "transport",
         "writable"],
    ),
    uvicorn.Server: ("the server is ended by them", ["started", "should_exit", "force_exit"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "name", "reason"), [(owner, name, reason) for owner, (reason, names) in SET.items() for name in names]
)
def test_its_instances_have_what_is_looked_at(owner: type, name: str, reason: str):
    assert f"self.{name}" in inspect.getsource(owner), (
        f"uvicorn's {owner.__qualname__} has no {name} any more: {reason}"
    )


def test_sockets_say_what_they_can_in_their_scope():
    source = inspect.getsource(WebSocketsSansIOProtocol.handle_connect)

    assert '"extensions"' in source, (
        "a socket's scope has no extensions any more: what writes frames is handed on there"
    )


def test_what_is_no_http_is_answered_where_ours_is():
    source = inspect.getsource(HttpToolsProtocol.data_received)

    assert "self.send_400_response(" in source, "uvicorn refuses what is no HTTP in another way: ours lets it arrive"
