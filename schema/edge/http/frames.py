"""WebSockets below the application: uvicorn's, which also take a whole frame that was made for many of them."""

# uvicorn's protocol leaves most of its attributes without types.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import OPEN

from schema.edge.http.parting import Parting

__all__ = ["FrameSocket", "Write", "text_frame", "writer_of"]

_EXTENSION: Final = "lifeos.frames"

Write = Callable[[bytes], bool]
"""Sends a frame now; False when that can't be done now, or ever more."""


def text_frame(text: str) -> bytes:
    """An unfragmented text message as a server sends it, without a mask (RFC 6455, section 5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class FrameSocket(WebSocketsSansIOProtocol):
    """One socket. Its scope's extensions hold a function that writes frames: see `writer_of`.

    What goes to a thousand sockets is put into a frame once, and not a thousand times; and each time it goes straight
    to the transport, past the layers that know nothing of it.
    """

    _parting: Parting | None = None

    def data_received(self, data: bytes) -> None:
        """Some bytes of a message."""
        if self._parting is not None:
            self._parting.discard(data)
        else:
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """What came is too long, or no frame: the application and the client both get to know."""
        closing = self.conn.close_sent
        assert closing is not None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": closing.code, "reason": closing.reason})
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._parting = Parting(self.loop, self.transport, b"".join(self.conn.data_to_send()))
        # As after a close frame of the application's, whose end would otherwise be the connection's.
        self.close_timer = self._parting.timer

    def handle_connect(self, event: Request) -> None:
        """Somebody wants to talk."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][_EXTENSION] = self.write_frame

    def write_frame(self, frame: bytes) -> bool:
        """Send a frame that needs no extension of the protocol; False when the socket does not take it now."""
        if self.close_sent or self.disconnected or not self.writable.is_set():
            return False
        if self.conn.state is not OPEN or self.conn.extensions or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True


def writer_of(scope: Any) -> Write | None:
    """What writes frames to this socket, or None where another server is below."""
    return cast("Write | None", scope.get("extensions", {}).get(_EXTENSION))
