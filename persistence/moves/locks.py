"""The one lock order: runs by id, and then whatever belongs to them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from persistence.database import Connection


async def lock_runs(tx: Connection, runs: Iterable[UUID]) -> None:
    """Wait for the rows of these runs, in the order of their ids, and hold them until the transaction ends."""
    await tx.execute("SELECT FROM runs WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", list(set(runs)))


async def lock_free_runs(tx: Connection, runs: Iterable[UUID]) -> list[UUID]:
    """Of these runs the ones that nobody holds, locked; the rest are somebody's work at this moment."""
    rows = await tx.fetch(
        "SELECT id FROM runs WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED", list(set(runs))
    )
    return [row["id"] for row in rows]
