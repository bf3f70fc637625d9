"""HTTP/1.1 below the application: uvicorn's, with a limit to the head of a request and to the time it may take.

A client that opens connections and says nothing, or a byte now and then, would hold them for ever; one that sends
headers without end would fill the memory before there is a request to refuse.
"""

# uvicorn's protocol leaves most of its callbacks without types.
# pyright: reportUnknownMemberType=false

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schema.edge.http.parting import Parting

__all__ = ["BoundedHttp"]


def _answer(status: str, text: str) -> bytes:
    """A whole answer, after which the connection ends."""
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
        f"connection: close\r\n\r\n{text}"
    ).encode("ascii")


_TOO_LARGE: Final = _answer("431 Request Header Fields Too Large", "The head of the request is too long.")


class BoundedHttp(HttpToolsProtocol):
    """One connection: each request's head has to be here in time, and no longer than allowed."""

    head_seconds: ClassVar[float] = 10.0
    max_head_bytes: ClassVar[int] = 64 * 1024

    _timer: asyncio.TimerHandle | None = None
    _awaits_head = True
    _is_in_head = True
    _head_bytes = 0
    _trailer_bytes = 0
    _parting: Parting | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as the base has it
        """Somebody connected: they have a request to make."""
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._stop()
        if self._parting is not None:
            self._parting.timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        if self._parting is not None:
            self._parting.discard(data)
            return
        if self._awaits_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._awaits_head or self._parting is not None or self.transport.is_closing():
            return
        if self._timer is None:
            self._start()
        if self._head_bytes > self.max_head_bytes:
            self._refuse(_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(_answer("400 Bad Request", msg))

    def on_message_begin(self) -> None:
        """A request begins."""
        self._awaits_head = self._is_in_head = True
        self._trailer_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers; or of its trailers, which come after the body, and which nobody reads or keeps."""
        if self._is_in_head:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > self.max_head_bytes and not self.transport.is_closing():
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Its head is here; the application has a deadline of its own for the rest."""
        self._awaits_head = self._is_in_head = False
        self._head_bytes = 0
        self._stop()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """It is answered, and the next one may come."""
        # The head of one that was sent ahead is here already.
        self._awaits_head = not self.pipeline
        super().on_response_complete()

    def _start(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, answer: bytes) -> None:
        self._stop()
        if self.cycle and not self.cycle.response_complete:
            # The task that answers this one sees that its client has gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self._parting = Parting(self.loop, self.transport, answer)

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()
