"""What a person should know of steps that succeeded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.inputs import Outcome

_KEEP: Final = "INSERT INTO notices (run_id, position, texts) VALUES ($1, $2, $3)"


async def keep_notices(tx: Connection, outcomes: Iterable[Outcome]) -> None:
    """Keep the notices of these outcomes, which the transaction has just accepted; most have none."""
    rows = [(each.run, each.position, list(each.notices)) for each in outcomes if each.notices]
    if rows:
        await tx.executemany(_KEEP, rows)


_OF_STEP: Final = """
SELECT s.position, n.texts FROM steps s LEFT JOIN notices n ON n.run_id = s.run_id AND n.position = s.position
WHERE s.run_id = $1 AND s.key = $2"""


async def notices_of(tx: Connection, run: UUID, key: str, *, about: Iterable[Outcome] = ()) -> Sequence[str]:
    """The notices of the run's step with this key; of the outcomes that are about to be accepted, theirs."""
    row = await tx.fetchrow(_OF_STEP, run, key)
    if row is None:
        return ()
    at_hand = (each.notices for each in about if (each.run, each.position) == (run, row["position"]))
    return next(at_hand, row["texts"] or ())
