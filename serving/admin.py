"""The administrator's token."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from persistence import users
from persistence.database import Database
from serving.errors import StartError
from serving.settings import Settings


async def admin_token_of(settings: Settings, database: Database) -> str:
    """The administrator's token: the one that is set, or one of our own, kept in the data folder."""
    if settings.admin_token is not None:
        token = settings.admin_token.get_secret_value()
        if not await database.transaction(lambda tx: users.ensure_admin(tx, token)):
            raise StartError("LIFEOS_ADMIN_TOKEN was revoked: set another one")
        return token
    path = settings.data_dir.expanduser() / "admin-token"
    try:
        return await _own_token(path, database)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "what it holds is no token"
        raise StartError(f"LIFEOS_DATA_DIR can't be used: {path}: {reason}") from error


async def _own_token(path: Path, database: Database) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        kept = path.read_text(encoding="ascii").strip()  # noqa: ASYNC240 - a line, at the start
        if kept and await database.transaction(lambda tx: users.ensure_admin(tx, kept)):
            return kept
    token = users.new_token()
    await database.transaction(lambda tx: users.ensure_admin(tx, token))
    draft = path.with_name(f".admin-token.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    draft.replace(path)
    return token
