"""People and their tokens. A token is kept as its SHA-256 alone: it is 256 random bits, so a plain hash is enough."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from persistence.audit import ACCEPTED, Action, AuditLine, write_lines
from persistence.database import Connection, Database
from persistence.ids import new_id, user_id
from persistence.reads.rows import UserRow
from persistence.states import Role, UserKind

ADMIN_NAME: Final = "admin"


class NameTaken(Exception):
    """There is a user of this name already."""


def new_token() -> str:
    """A token of 256 random bits, with a prefix by which scanners for leaked secrets know it."""
    return f"lifeos_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> bytes:
    """A stored token, without the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def create_user(
    tx: Connection, *, name: str, roles: Sequence[Role], token: str, kind: UserKind = UserKind.PERSON
) -> UUID:
    """Store a user with a first token. Raises NameTaken."""
    user = new_id()
    try:
        await tx.execute(
            "INSERT INTO users (id, name, roles, kind) VALUES ($1, $2, $3, $4)", user, name, list(roles), kind
        )
    except asyncpg.UniqueViolationError as error:
        raise NameTaken(name) from error
    await tx.execute("INSERT INTO tokens (hash, user_id) VALUES ($1, $2)", token_hash(token), user)
    return user


async def user_named(database: Database, name: str) -> UUID | None:
    """The user of that name, or None."""
    return await database.fetchval("SELECT id FROM users WHERE name = $1", name)


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

    The row is found by the hash, which an attacker can't choose, so the time of the comparison reveals nothing.
    """
    row = await database.fetchrow(
        """WITH found AS (
            SELECT hash, user_id, last_used_at FROM tokens
            WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())),
        used AS (
            UPDATE tokens t SET last_used_at = clock_timestamp() FROM found f
            WHERE t.hash = f.hash
                AND (f.last_used_at IS NULL OR f.last_used_at < clock_timestamp() - interval '1 minute'))
        SELECT u.id, u.name, u.roles, u.kind FROM found f JOIN users u ON u.id = f.user_id""",
        token_hash(token),
    )
    return UserRow(*row) if row is not None else None


@dataclass(frozen=True, slots=True)
class KnownElsewhere:
    """A person as an issuer's token describes them, and when it was issued."""

    issuer: str
    subject: str
    name: str
    roles: frozenset[Role]
    issued_at: datetime


async def user_of_identity(database: Database, known: KnownElsewhere) -> UserRow | None:
    """The user of an issuer's token, created when first seen; None if the token is no longer valid.

    Their roles are those that the issuer said last: a token issued earlier adds none to them.
    """
    for _ in range(2):
        row = await database.fetchrow(
            """WITH used AS (
                UPDATE identities SET last_used_at = clock_timestamp()
                WHERE issuer = $1 AND subject = $2
                    AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute'))
            SELECT u.id, u.name, u.roles, u.kind, i.valid_from < $3, i.roles_at > $3
            FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2""",
            known.issuer,
            known.subject,
            known.issued_at,
        )
        if row is not None:
            id_, name, roles, kind, is_valid, is_older = row
            return (
                await _as_said(database, known, UserRow(id_, name, roles, kind), is_older=is_older)
                if is_valid
                else None
            )
        try:
            await database.transaction(lambda tx: _welcome(tx, known))
        except asyncpg.UniqueViolationError:
            # Somebody else welcomed them at this very moment.
            continue
    return None


async def _as_said(database: Database, known: KnownElsewhere, user: UserRow, *, is_older: bool) -> UserRow | None:
    said, kept = set(map(str, known.roles)), set(user.roles)
    if is_older:
        return user._replace(roles=sorted(said & kept)) if said & kept else None
    if said == kept:
        return user

    async def write(tx: Connection) -> None:
        await tx.execute("UPDATE users SET roles = $2 WHERE id = $1", user.id, sorted(said))
        await tx.execute(
            "UPDATE identities SET roles_at = $3 WHERE issuer = $1 AND subject = $2",
            known.issuer,
            known.subject,
            known.issued_at,
        )

    await database.transaction(write)
    return user._replace(roles=sorted(said))


async def _welcome(tx: Connection, known: KnownElsewhere) -> None:
    name = known.name
    while await tx.fetchval("SELECT EXISTS (SELECT FROM users WHERE name = $1)", name):
        name = f"{known.name} {secrets.token_hex(3)}"
    user = new_id()
    await tx.execute("INSERT INTO users (id, name, roles) VALUES ($1, $2, $3)", user, name, sorted(known.roles))
    await tx.execute(
        "INSERT INTO identities (issuer, subject, user_id, roles_at) VALUES ($1, $2, $3, $4)",
        known.issuer,
        known.subject,
        user,
        known.issued_at,
    )
    line = AuditLine(Action.CREATE_USER, ACCEPTED, user, name, user_id(user), f"vouched for by {known.issuer}"[:200])
    await write_lines(tx, [line])


async def revoke_tokens(tx: Connection, user: UUID) -> bool:
    """Revoke every token of a user, those of issuers so far included; False when there is no such user."""
    await tx.execute("UPDATE tokens SET revoked_at = clock_timestamp() WHERE user_id = $1 AND revoked_at IS NULL", user)
    await tx.execute("UPDATE identities SET valid_from = clock_timestamp() WHERE user_id = $1", user)
    return bool(await tx.fetchval("SELECT EXISTS (SELECT FROM users WHERE id = $1)", user))
