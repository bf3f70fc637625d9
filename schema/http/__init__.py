"""GraphQL at the edge: over HTTP, over `graphql-transport-ws` and as server-sent events."""

from schema.http.bodies import HttpError
from schema.http.connections import Connections, Viewer
from schema.http.draining import Drained
from schema.http.frames import FrameSocket
from schema.http.headers import Guarded
from schema.http.protocol import BoundedHttp
from schema.http.settings import HttpSettings
from schema.http.view import GraphQLView

__all__ = [
    "BoundedHttp",
    "Connections",
    "Drained",
    "FrameSocket",
    "GraphQLView",
    "Guarded",
    "HttpError",
    "HttpSettings",
    "Viewer",
]
