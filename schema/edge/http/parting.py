"""The end of a connection whose client may still be sending: it has to hear why, and not only that, it ends."""

import asyncio
from typing import ClassVar

__all__ = ["Parting"]


class Parting:
    """Says the last words, and throws away what still comes until the client goes, or too much or too long.

    Closed at once, the connection would be reset, and what the client has not read yet would be lost with it.
    """

    seconds: ClassVar[float] = 5.0
    most_bytes: ClassVar[int] = 64 * 1024 * 1024

    timer: asyncio.TimerHandle
    """Ends it when its time is over; cancel it when the connection is lost before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, last_words: bytes) -> None:
        self._transport = transport
        self._bytes_left = self.most_bytes
        self.timer = loop.call_later(self.seconds, transport.close)
        transport.write(last_words)
        if transport.can_write_eof():
            transport.write_eof()

    def discard(self, data: bytes) -> None:
        """Take no notice of this."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._transport.close()
