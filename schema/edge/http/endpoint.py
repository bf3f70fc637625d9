"""The side of the GraphQL endpoint that its sockets and event streams see."""

from typing import Protocol

from starlette.requests import HTTPConnection

from schema.edge.http.connections import Connections, Viewer
from schema.edge.http.settings import HttpSettings
from schema.fast.pipeline import Schema

__all__ = ["Endpoint"]


class Endpoint(Protocol):
    """Where a socket or a stream was opened: it signs in, counts connections and has the schema."""

    settings: HttpSettings
    connections: Connections
    schema: Schema

    def is_stopping(self) -> bool:
        """Whether nothing new may begin."""
        ...

    def refused_sign_in(self, connection: HTTPConnection, /) -> None:
        """Called for each connection that came without a valid token."""
        ...

    async def identify(self, token: str) -> Viewer | None:
        """Whose token it is; a `RequestError` with `UNAVAILABLE` if that can't be found out now."""
        ...

    def make_context(self, viewer: Viewer, connection: HTTPConnection, token: str) -> object:
        """The context of one operation."""
        ...
