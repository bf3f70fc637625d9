"""The one lock order: runs by id, and then whatever belongs to them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from persistence.database import Connection


async def lock_runs(tx: Connection, runs: Iterable[UUID]) -> set[UUID]:
    """Wait for the rows of these runs, in the order of their ids, and hold them until the transaction ends.

    Gives back those that are elaborate, which no run becomes after it was stored.
    """
    rows = await tx.fetch(
        "SELECT id, elaborate FROM runs WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", list(set(runs))
    )
    return {row["id"] for row in rows if row["elaborate"]}


async def lock_free_runs(tx: Connection, runs: Iterable[UUID]) -> list[UUID]:
    """Of these runs the ones that nobody holds, locked; the rest are somebody's work at this moment."""
    rows = await tx.fetch(
        "SELECT id FROM runs WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED", list(set(runs))
    )
    return [row["id"] for row in rows]
