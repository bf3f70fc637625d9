"""Answers that reach a client that is still sending: a connection that is closed while bytes come in is reset instead.

Who is refused by the head of a request, or in the middle of its body, may only look for an answer once all is sent. A
reset throws away what they have not read until then, and tells them nothing.
"""

from asyncio import get_running_loop
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.edge.http.settings import HttpSettings
from schema.fast.eager import in_time

__all__ = ["Drained"]

_BODY_HEADERS: Final = (b"content-length", b"transfer-encoding")
_FALLS_SILENT_SECONDS: Final = 2.0


class Drained:
    """The application, whose answers may come before the body that they are about has.

    What still comes is then thrown away, as long as it is neither too much nor too slow, before the connection ends.
    """

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        body = _Body(receive, is_asked_for=_waits_to_be_asked(scope["headers"]))
        is_early = False

        async def send_and_drain(message: Message) -> None:
            nonlocal is_early
            if message["type"] == "http.response.start":
                is_early = not await body.is_here()
                if is_early:
                    message = {**message, "headers": _closing(message.get("headers", ()))}
            elif is_early and not message.get("more_body", False):
                # All of the answer but its end, after which the server closes the connection.
                await send({**message, "more_body": True})
                await body.drain(self._settings.drain_bytes, self._settings.drain_seconds)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, body.receive, send_and_drain)


class _Body:
    """A request's body, as far as it is here."""

    def __init__(self, receive: Receive, *, is_asked_for: bool) -> None:
        self._receive = receive
        self._is_asked_for = is_asked_for
        """Whether the client sends it only once somebody wants to read it (`Expect: 100-continue`)."""
        self._is_over = False

    async def receive(self) -> Message:
        """The next part of it."""
        self._is_asked_for = False
        message = await self._receive()
        self._is_over = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def is_here(self) -> bool:
        """Whether all of it has come, without waiting for more."""
        if not self._is_over and not self._is_asked_for:
            await self._within(0)
        return self._is_over

    async def drain(self, most_bytes: int, most_seconds: float) -> None:
        """Throw the rest away, unless it is too much, too slow, or falls silent."""
        deadline = get_running_loop().time() + most_seconds
        left = most_bytes
        while not self._is_over and left > 0 and (seconds := deadline - get_running_loop().time()) > 0:
            message = await self._within(min(seconds, _FALLS_SILENT_SECONDS))
            if message is None:
                return
            left -= len(message.get("body", b""))

    async def _within(self, seconds: float) -> Message | None:
        try:
            return await in_time(get_running_loop().time() + seconds, self.receive())
        except TimeoutError:
            return None


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in _BODY_HEADERS and value != b"0" for name, value in headers)


def _waits_to_be_asked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)


def _closing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [*(each for each in headers if each[0] != b"connection"), (b"connection", b"close")]
