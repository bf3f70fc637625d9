"""People and their tokens. A token is kept as its SHA-256 alone: it is 256 random bits, so a plain hash is enough."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from persistence.database import Connection, Database
from persistence.ids import new_id
from persistence.reads.rows import UserRow
from persistence.states import Role

ADMIN_NAME: Final = "admin"


class NameTaken(Exception):
    """There is a user of this name already."""


def new_token() -> str:
    """A token of 256 random bits, with a prefix by which scanners for leaked secrets know it."""
    return f"lifeos_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def create_user(tx: Connection, *, name: str, roles: Sequence[Role], token: str) -> UUID:
    """Store a user with a first token. Raises NameTaken."""
    user = new_id()
    try:
        await tx.execute("INSERT INTO users (id, name, roles) VALUES ($1, $2, $3)", user, name, list(roles))
    except asyncpg.UniqueViolationError as error:
        raise NameTaken(name) from error
    await tx.execute("INSERT INTO tokens (hash, user_id) VALUES ($1, $2)", token_hash(token), user)
    return user


async def ensure_admin(tx: Connection, token: str) -> bool:
    """Make sure that this token is the first administrator's; False when it was revoked.

    Several processes may do this at once.
    """
    await tx.execute(
        "INSERT INTO users (id, name, roles) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        new_id(),
        ADMIN_NAME,
        [Role.ADMIN],
    )
    await tx.execute(
        """INSERT INTO tokens (hash, user_id) SELECT $1, id FROM users WHERE name = $2
        ON CONFLICT (hash) DO NOTHING""",
        token_hash(token),
        ADMIN_NAME,
    )
    return bool(await tx.fetchval("SELECT revoked_at IS NULL FROM tokens WHERE hash = $1", token_hash(token)))


async def user_of_token(database: Database, token: str) -> UserRow | None:
    """The person whose valid token this is; its use is noted, once a minute at most.

    The row is found by the hash, which an attacker can't choose, so comparing takes no time that tells anything.
    """
    row = await database.fetchrow(
        """WITH found AS (
            SELECT hash, user_id, last_used_at FROM tokens
            WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())),
        used AS (
            UPDATE tokens t SET last_used_at = clock_timestamp() FROM found f
            WHERE t.hash = f.hash
                AND (f.last_used_at IS NULL OR f.last_used_at < clock_timestamp() - interval '1 minute'))
        SELECT u.id, u.name, u.roles FROM found f JOIN users u ON u.id = f.user_id""",
        token_hash(token),
    )
    return UserRow(*row) if row is not None else None


async def revoke_tokens(tx: Connection, user: UUID) -> bool:
    """Revoke every token of a user; False when there is no such user."""
    await tx.execute("UPDATE tokens SET revoked_at = clock_timestamp() WHERE user_id = $1 AND revoked_at IS NULL", user)
    return bool(await tx.fetchval("SELECT EXISTS (SELECT FROM users WHERE id = $1)", user))
