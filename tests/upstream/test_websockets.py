"""websockets: its protocol without input and output, which uvicorn's sockets are made of."""

import inspect

import pytest
from websockets.http11 import Request
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol

from tests.upstream.leaning import there


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("state", "whether a frame can be sent is told by it"),
        ("extensions", "a frame that was made for many can't be sent where there are some"),
        ("close_sent", "what a socket is closed with is told by it"),
        ("data_to_send", "what it has to say last is there"),
    ],
)
def test_the_protocol_has_what_is_looked_at(name: str, reason: str):
    sources = "".join(inspect.getsource(each) for each in ServerProtocol.__mro__ if each is not object)

    assert hasattr(ServerProtocol, name) or f"self.{name}" in sources, f"websockets has no {name} any more: {reason}"


def test_an_open_socket_is_told_by_the_same_word():
    assert OPEN is State.OPEN, "websockets.protocol.OPEN is what an open socket's state is compared with"


def test_a_handshake_is_a_request_with_headers():
    there(Request, "parse", "a handshake is handed on as websockets.http11.Request")
