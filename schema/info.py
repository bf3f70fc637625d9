"""What resolvers are told about the operation that they answer."""

from typing import TYPE_CHECKING

import strawberry

if TYPE_CHECKING:
    from schema.context import Context
    from schema.loaders import Loaders

    Info = strawberry.Info[Context, None]
else:
    # The context makes the loaders, which make the types, which name this: at run time it is not looked at.
    Info = strawberry.Info

__all__ = ["Info", "load"]


def load(info: Info) -> "Loaders":
    """The loaders of this operation."""
    return info.context.loaders
