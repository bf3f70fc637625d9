"""An elaborate run begins: its steps, and what its plan says of them, are stored; the rounds do the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import orjson

from persistence.database import Connection
from persistence.moves.begin import STEP_FIELDS, STEP_ROW, NewStep, as_json, planned
from persistence.moves.directives import Directive, PlannedAnswer
from persistence.moves.events import EVENT
from persistence.moves.pieces import CLOCK
from persistence.moves.record import record_quietly
from persistence.moves.sql import insert
from persistence.moves.table import PENDING

_ROW: Final = {
    **STEP_ROW,
    "remaining": "cardinality(depends_on) + coalesce(cardinality(after), 0)",
    "state": f"'{PENDING}'",
    "created_at": "at",
}

_STORE: Final = f"""
WITH {CLOCK},
directive AS MATERIALIZED (
    SELECT * FROM json_to_recordset($2::json) AS d (run_id uuid, position int, condition text, for_each text,
        for_each_most int, tolerates bool, max_parallel int, delay_seconds float8, not_before timestamptz,
        after int[], followers int[])),
given AS (
    SELECT s.run AS run_id, s.*, d.after
    FROM json_to_recordset($1::json) AS s ({STEP_FIELDS})
    LEFT JOIN directive d ON d.run_id = s.run AND d.position = s.position),
directed AS (
    INSERT INTO step_directives (run_id, position, condition, for_each, for_each_most, tolerates, max_parallel,
        delay_seconds, not_before, after, followers)
    SELECT * FROM directive),
answering AS (
    INSERT INTO run_answers (run_id, planned, needs, trust)
    SELECT run_id, planned::json, needs, trust
    FROM json_to_recordset($3::json) AS a (run_id uuid, planned text, needs int[], trust smallint)),
stored AS (
    {insert("steps", _ROW, "given, clock")}
    RETURNING run_id),
moved (run_id, leaves, enters) AS (SELECT run_id, null, '{PENDING}' FROM stored),
{EVENT} AS (
    {planned("(SELECT run_id, count(*) AS steps FROM given GROUP BY run_id) AS each")}),{
    record_quietly(also="elaborate = true")
}
SELECT count(*) FROM recorded
"""


async def store_elaborate(
    tx: Connection,
    run: UUID,
    steps: Sequence[NewStep],
    directives: Sequence[Directive],
    answer: PlannedAnswer | None,
) -> None:
    """Give a run its steps, all PENDING, and make it elaborate. The caller holds its lock, and goes on with rounds."""
    await tx.execute(
        _STORE,
        as_json(steps),
        orjson.dumps([_directive_row(run, each) for each in directives], default=str).decode(),
        orjson.dumps([] if answer is None else [_answer_row(run, answer)], default=str).decode(),
    )


def _directive_row(run: UUID, directive: Directive) -> dict[str, object]:
    return {
        "run_id": run,
        "position": directive.position,
        "condition": directive.condition,
        "for_each": directive.for_each,
        "for_each_most": directive.for_each_most,
        "tolerates": directive.tolerates,
        "max_parallel": directive.max_parallel,
        "delay_seconds": directive.delay_seconds,
        "not_before": directive.not_before,
        "after": directive.after,
        "followers": directive.followers,
    }


def _answer_row(run: UUID, answer: PlannedAnswer) -> dict[str, object]:
    return {"run_id": run, "planned": answer.planned, "needs": answer.needs, "trust": answer.trust}
