"""The origins of steps are stored with the steps, in their transaction, and never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.directives import StepOrigins

_STORE: Final = """
INSERT INTO step_origins (run_id, position, trust, origins)
SELECT $1, position, trust, origins::json
FROM unnest($2::int[], $3::smallint[], $4::text[]) AS o (position, trust, origins)"""


async def store_origins(tx: Connection, run: UUID, origins: Sequence[StepOrigins]) -> None:
    """Keep the origins of a run's steps; the caller's transaction stores the steps."""
    if not origins:
        return
    rows = list(origins)
    await tx.execute(
        _STORE,
        run,
        [each.position for each in rows],
        [each.trust for each in rows],
        [each.origins for each in rows],
    )


_OF_STEP: Final = """
SELECT o.origins::text FROM steps s
JOIN step_origins o ON o.run_id = s.run_id AND o.position = coalesce(s.parent, s.position)
WHERE s.run_id = $1 AND s.position = $2"""


async def origins_of(tx: Connection, run: UUID, position: int) -> str | None:
    """The origins of one step as they are stored, as JSON text; None where nothing but its plan and tool have a say."""
    return await tx.fetchval(_OF_STEP, run, position)
