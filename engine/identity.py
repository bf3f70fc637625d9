"""Whose token is it: answered for every request, so asked of the database only now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from engine.access import Viewer
from engine.gather import Gather
from engine.oidc import Issuer, is_jwt
from persistence.database import Database
from persistence.reads.rows import UserRow
from persistence.states import Role, UserKind
from persistence.users import KnownElsewhere, token_hash, user_of_identity, user_of_token

_FRESH_SECONDS: Final = 1.0
"""How long an answer is believed: so long may a revoked token still be good elsewhere."""

_MOST_KNOWN: Final = 10_000
_MOST_AT_ONCE: Final = 256


FINGERPRINT: Final = 16
"""How many hexadecimal digits of a token's hash stand for it in the audit log."""


def _viewer(user: UserRow) -> Viewer:
    return Viewer(user.id, user.name, frozenset(map(Role, user.roles)), UserKind(user.kind))


class Identity:
    """Knows the people behind tokens; only hashes are kept in memory too."""

    def __init__(self, database: Database, issuer: Issuer | None = None) -> None:
        self._database = database
        self._issuer = issuer
        self._known: dict[bytes, tuple[float, Viewer | None]] = {}
        self._latest: dict[str, Viewer | None] = {}
        self._asking = Gather(self._users_of, at_most=_MOST_AT_ONCE, writers=2, name="sign-ins")

    async def viewer_of(self, token: str) -> Viewer | None:
        """The person whose valid token it is, or None. Raises Unavailable."""
        key = token_hash(token)
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < _FRESH_SECONDS:
            return known[1]
        user = await self._user_of(token)
        viewer = None if user is None else _viewer(user)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
            self._latest.clear()
        self._known[key] = (now, viewer)
        self._latest[key.hex()[:FINGERPRINT]] = viewer
        return viewer

    async def _user_of(self, token: str) -> UserRow | None:
        if self._issuer is None or not is_jwt(token):
            found = await self._asking.add(token)
            if isinstance(found, BaseException):
                raise found
            return found
        claims = await self._issuer.claims_of(token)
        if claims is None:
            return None
        known = KnownElsewhere(claims.issuer, claims.subject, claims.name, claims.roles, claims.issued_at)
        return await user_of_identity(self._database, known)

    async def _users_of(self, tokens: Sequence[str]) -> Sequence[UserRow | BaseException | None]:
        """The owners of these tokens, each looked up once: when an answer expires, many requests come at once."""
        different = dict.fromkeys(tokens)
        looked_up = (user_of_token(self._database, token) for token in different)
        users = await asyncio.gather(*looked_up, return_exceptions=True)
        found = dict(zip(different, users, strict=True))
        return [found[token] for token in tokens]

    def holds(self, viewer: Viewer) -> bool:
        """Whether the token that this person came with still lets them do the same, as far as is known here.

        It asks nobody, and so may be asked before each event; what was found out last about a token in use is seconds
        old.
        """
        token = viewer.origin.token
        if token is None:
            return True
        known = self._latest.get(token, viewer)
        return known is viewer or known == viewer

    def revoked(self, user: UUID) -> None:
        """Believe this user's tokens no more: they were just revoked."""
        for key, (_, viewer) in tuple(self._known.items()):
            if viewer is not None and viewer.id == user:
                del self._known[key]
                self._latest[key.hex()[:FINGERPRINT]] = None
