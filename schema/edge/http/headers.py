"""The headers of every answer, whichever part wrote it: a page, JSON, an event stream or a 404."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

__all__ = ["Guarded"]

_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of what is no page: opened as one, it may load and do nothing."""


class Guarded:
    """The application, with these headers on each of its answers that has none of its own.

    What names no host, or several, never gets to it (RFC 9112, section 3.2): what a proxy makes of such a request need
    not be what we would.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        headers = {"Content-Security-Policy": _NOTHING, "Cache-Control": "no-store", **headers}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await (self._app if _names_one_host(scope) else WebSocketClose())(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                # ASGI has their names in lower case.
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                message = {**message, "headers": given + [each for each in self._headers if each[0] not in names]}
            await send(message)

        app = self._app if _names_one_host(scope) else PlainTextResponse("A request has to name one host.\n", 400)
        await app(scope, receive, send_guarded)


def _names_one_host(scope: Scope) -> bool:
    hosts = sum(name == b"host" for name, _ in scope["headers"])
    return hosts == 1 or (hosts == 0 and scope.get("http_version") == "1.0")
