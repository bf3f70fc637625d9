"""What resolvers know of the operation that they answer."""

import strawberry

from schema.api.context import Context
from schema.api.loaders import Loaders

__all__ = ["Info", "load"]

Info = strawberry.Info[Context, None]


def load(info: Info) -> Loaders:
    """The loaders of this operation."""
    return info.context.loaders
