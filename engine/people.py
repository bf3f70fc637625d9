"""Users and tokens, as an administrator manages them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.access import Viewer
from engine.errors import Fault, Forbidden, InvalidInput, NotFound
from engine.values import text_fault
from persistence import users
from persistence.database import Connection, Database
from persistence.states import Role

_LONGEST_NAME = 100


class People:
    """The administrator's verbs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, viewer: Viewer, *, name: str, roles: Sequence[Role]) -> tuple[UUID, str]:
        """A new user's id and token, which is shown this once."""
        if not viewer.is_admin:
            raise Forbidden("the role ADMIN")
        faults: list[Fault] = []
        if not name.strip() or len(name) > _LONGEST_NAME or text_fault(name) or not name.isprintable():
            faults.append(Fault(("name",), f"a name has 1 to {_LONGEST_NAME} printable characters"))
        if not roles:
            faults.append(Fault(("roles",), "give at least one role"))
        if faults:
            raise InvalidInput(tuple(faults))
        token = users.new_token()

        async def write(tx: Connection) -> UUID:
            return await users.create_user(tx, name=name.strip(), roles=list(dict.fromkeys(roles)), token=token)

        try:
            return await self._database.transaction(write), token
        except users.NameTaken as error:
            raise InvalidInput((Fault(("name",), f"there is a user {name.strip()!r} already"),)) from error

    async def revoke(self, viewer: Viewer, user: UUID) -> None:
        """Revoke all tokens of a user."""
        if not viewer.is_admin:
            raise Forbidden("the role ADMIN")

        async def write(tx: Connection) -> bool:
            return await users.revoke_tokens(tx, user)

        if not await self._database.transaction(write):
            raise NotFound(("userId",))
