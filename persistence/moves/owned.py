"""The steps that a worker owns according to the database, for the worker to compare with its own list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.database import Database
from persistence.moves.row import ClaimedStep, step_values

_OWNED: Final = f"""
SELECT {step_values("s.")}, c.entered_at IS NOT NULL
FROM steps s
LEFT JOIN tool_calls c ON c.run_id = s.run_id AND c.position = s.position AND c.attempt = s.attempt
WHERE s.owner = $1
"""


@dataclass(frozen=True, slots=True)
class OwnedStep:
    """A step that a worker owns, as it would have claimed it; `entered`: its call was noted as about to be made."""

    step: ClaimedStep
    entered: bool


async def owned_steps(database: Database, worker: UUID) -> list[OwnedStep]:
    """The steps that the worker owns."""
    return [OwnedStep(ClaimedStep(*row[:-1]), row[-1]) for row in await database.fetch(_OWNED, worker)]


async def cancelled_runs(database: Database, runs: Sequence[UUID]) -> set[UUID]:
    """Which of these runs are cancelled."""
    rows = await database.fetch("SELECT id FROM runs WHERE id = ANY($1::uuid[]) AND state = 'CANCELLED'", list(runs))
    return {row["id"] for row in rows}
