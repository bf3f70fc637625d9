"""The steps with references that outcomes are about to free: their arguments are resolved before that happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from persistence.database import Connection
from persistence.moves.inputs import Outcome
from persistence.moves.pieces import holds_as
from persistence.moves.table import PENDING, SUCCEEDED
from persistence.states import StepState


@dataclass(frozen=True, slots=True)
class FreedStep:
    """A step with references that the given outcomes free: `known` maps the keys that it needs to results (JSON text).

    `pending` maps positions among those it needs to keys: their results are in the outcomes at hand.
    """

    run: UUID
    position: int
    tool: str
    args: str
    gated: bool
    known: str
    pending: dict[int, str]


_FREED: Final = f"""
WITH done AS (
    -- An outcome that is given twice settles once.
    SELECT DISTINCT s.run_id, s.position, s.dependents
    FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::uuid[])
        AS o (run_id, position, attempt, leaves, owner)
    JOIN steps s ON {holds_as("o")}),
hit AS (SELECT run_id, d AS position, count(*)::int AS n FROM done, unnest(dependents) d GROUP BY 1, 2)
SELECT s.run_id, s.position, s.tool, s.args::text, s.gated, coalesce(k.known, '{{}}')::text AS known, k.places, k.keys
FROM hit h JOIN steps s ON s.run_id = h.run_id AND s.position = h.position,
    LATERAL (
        SELECT json_object_agg(n.key, n.result) FILTER (WHERE n.state = '{SUCCEEDED}') AS known,
            array_agg(n.position) FILTER (WHERE n.state <> '{SUCCEEDED}') AS places,
            array_agg(n.key) FILTER (WHERE n.state <> '{SUCCEEDED}') AS keys
        FROM steps n WHERE n.run_id = s.run_id AND n.position = ANY(s.needs)) k
WHERE s.state = '{PENDING}' AND s.dynamic AND s.remaining = h.n
"""


async def freed_references(tx: Connection, outcomes: Sequence[Outcome]) -> list[FreedStep]:
    """The steps with references that `advance` with these outcomes will unblock, and what they refer to.

    Reads under the runs' locks, so that `advance` in the same transaction finds the same ones.
    """
    good = [o for o in outcomes if o.enters == StepState.SUCCEEDED]
    rows = await tx.fetch(
        _FREED,
        [o.run for o in good],
        [o.position for o in good],
        [o.attempt for o in good],
        [o.leaves for o in good],
        [o.owner for o in good],
    )
    return [
        FreedStep(
            run=row["run_id"],
            position=row["position"],
            tool=row["tool"],
            args=row["args"],
            gated=row["gated"],
            known=row["known"],
            pending=dict(zip(row["places"] or (), row["keys"] or (), strict=True)),
        )
        for row in rows
    ]
