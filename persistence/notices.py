"""What a person should know of steps that succeeded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from persistence.database import Connection
from persistence.transitions.advance import Outcome

_KEEP: Final = "INSERT INTO notices (run_id, position, texts) VALUES ($1, $2, $3)"


async def keep_notices(tx: Connection, outcomes: Iterable[Outcome]) -> None:
    """Keep the notices of these outcomes, which the transaction has just accepted; most have none."""
    rows = [(each.run, each.position, list(each.notices)) for each in outcomes if each.notices]
    if rows:
        await tx.executemany(_KEEP, rows)
