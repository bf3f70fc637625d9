"""Notices: remarks for people about steps that succeeded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import orjson

from persistence.database import Connection
from persistence.moves.inputs import Outcome

_KEEP: Final = """
INSERT INTO notices (run_id, position, texts)
SELECT run, position, texts FROM json_to_recordset($1::json) AS n (run uuid, position int, texts text[])"""


async def keep_notices(tx: Connection, outcomes: Iterable[Outcome]) -> None:
    """Keep the notices of these outcomes, which the transaction has just accepted; most have none."""
    rows = [{"run": each.run, "position": each.position, "texts": each.notices} for each in outcomes if each.notices]
    if rows:
        await tx.execute(_KEEP, orjson.dumps(rows, default=str).decode())  # the driver has UUIDs of its own class


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
