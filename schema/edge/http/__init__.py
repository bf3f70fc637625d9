"""GraphQL at the edge: over HTTP, over `graphql-transport-ws` and as server-sent events."""

from schema.edge.http.bodies import HttpError
from schema.edge.http.connections import Connections, Viewer
from schema.edge.http.draining import Drained
from schema.edge.http.frames import FrameSocket
from schema.edge.http.headers import Guarded
from schema.edge.http.protocol import BoundedHttp
from schema.edge.http.settings import HttpSettings
from schema.edge.http.view import GraphQLView

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
