"""Users and tokens, as an administrator manages them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.access import Viewer
from engine.audit import line_of
from engine.errors import Fault, Forbidden, InvalidInput, NotFound
from engine.values import text_fault
from persistence import users
from persistence.audit import Action, write_lines
from persistence.database import Connection, Database
from persistence.ids import user_id
from persistence.states import Role, UserKind

_LONGEST_NAME = 100


class People:
    """The administrator's verbs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, viewer: Viewer, *, name: str, roles: Sequence[Role], kind: UserKind = UserKind.PERSON
    ) -> tuple[UUID, str]:
        """A new user's id and token, which is shown this once."""
        _check_may_manage(viewer)
        faults: list[Fault] = []
        if not name.strip() or len(name) > _LONGEST_NAME or text_fault(name) or not name.isprintable():
            faults.append(Fault(("name",), f"a name has 1 to {_LONGEST_NAME} printable characters"))
        if not roles:
            faults.append(Fault(("roles",), "give at least one role"))
        if faults:
            raise InvalidInput(tuple(faults))
        token = users.new_token()

        async def write(tx: Connection) -> UUID:
            user = await users.create_user(
                tx, name=name.strip(), roles=list(dict.fromkeys(roles)), token=token, kind=kind
            )
            detail = ", ".join([*dict.fromkeys(roles), *([] if kind is UserKind.PERSON else [f"as {kind}"])])
            await write_lines(tx, [line_of(viewer, Action.CREATE_USER, user_id(user), detail=detail)])
            return user

        try:
            return await self._database.transaction(write), token
        except users.NameTaken as error:
            raise InvalidInput((Fault(("name",), f"there is a user {name.strip()!r} already"),)) from error

    async def named(self, viewer: Viewer, name: str) -> UUID:
        """The user of that name. Raises Forbidden before it says whether there is one, and NotFound."""
        if not viewer.is_admin:
            raise Forbidden("the role ADMIN")
        user = None if text_fault(name) else await users.user_named(self._database, name)
        if user is None:
            raise NotFound(("userId",))
        return user

    async def revoke(self, viewer: Viewer, user: UUID) -> None:
        """Revoke all tokens of a user."""
        _check_may_manage(viewer)

        async def write(tx: Connection) -> bool:
            is_known = await users.revoke_tokens(tx, user)
            if is_known:
                await write_lines(tx, [line_of(viewer, Action.REVOKE_TOKENS, user_id(user))])
            return is_known

        if not await self._database.transaction(write):
            raise NotFound(("userId",))


def _check_may_manage(viewer: Viewer) -> None:
    if not viewer.is_admin:
        raise Forbidden("the role ADMIN")
    if viewer.is_agent:
        raise Forbidden("a person or a service: an agent changes no users, whatever its roles")
