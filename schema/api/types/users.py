"""People."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Iterable
from typing import cast
from uuid import UUID

import strawberry

from persistence import ids
from persistence.reads import UserRow
from persistence.states import Role, UserKind
from schema.api.types.base import Node, described
from schema.shared.visible import visible

__all__ = ["User"]

_ORDER = {str(role): role for role in Role}
_KINDS = {str(kind): kind for kind in UserKind}


@strawberry.type(description="A person with a token, or a program.")
class User(Node):
    name: str = described("What they are called.")
    roles: list[Role] = described("What they may do.")
    kind: UserKind = described("Who is behind the token.")

    def __init__(self, user: UUID, name: str, roles: Iterable[str], kind: str) -> None:
        self.id = cast("strawberry.ID", ids.user_id(user))
        self.name = visible(name)
        self.kind = _KINDS[kind]
        given = set(roles)
        self.roles = [role for word, role in _ORDER.items() if word in given]

    @staticmethod
    def of(row: UserRow | None) -> "User | None":
        """The person of this row, if there is one."""
        return None if row is None else User(row.id, row.name, row.roles, row.kind)
