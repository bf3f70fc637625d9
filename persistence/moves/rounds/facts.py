"""What the engine looks at between two rounds: freed steps with the results that they refer to, and ended children."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from persistence.database import Connection
from persistence.moves.record import total
from persistence.moves.rounds.turn import StepPlace
from persistence.states import RunState, StepState


class RunFacts(NamedTuple):
    """A locked elaborate run: its state, when it was stored, and how many steps it has, children included."""

    id: UUID
    state: RunState
    created_at: datetime
    submitted_by: UUID
    steps: int
    shares: bool
    """Whether a list of it bounds how many of its children run at once."""
    answers: bool


_RUNS: Final = f"""
SELECT r.id, r.state, r.created_at, r.submitted_by, {total(tuple(StepState), "r.")} AS steps,
    EXISTS (SELECT FROM step_directives d WHERE d.run_id = r.id AND d.max_parallel IS NOT NULL) AS shares,
    EXISTS (SELECT FROM run_answers a WHERE a.run_id = r.id) AS answers
FROM runs r WHERE r.id = ANY($1::uuid[]) AND r.elaborate ORDER BY r.id
"""


async def elaborate_runs(tx: Connection, runs: Iterable[UUID]) -> dict[UUID, RunFacts]:
    """Those of these locked runs that are elaborate."""
    rows = await tx.fetch(_RUNS, list(set(runs)))
    return {row["id"]: RunFacts(row[0], RunState(row[1]), *row[2:]) for row in rows}


class FreedStep(NamedTuple):
    """A PENDING step that waits for nothing any more, with what its plan says of it.

    JSON is text. `known` maps the keys that it needs to their results; those without one are left out.
    """

    run: UUID
    position: int
    key: str
    name: str
    tool: str
    risk: int
    gated: bool
    gate_reason: str | None
    idempotent: bool
    dynamic: bool
    args: str
    depends_on: list[int]
    max_attempts: int | None
    timeout_seconds: float
    condition: str | None
    for_each: str | None
    for_each_most: int | None
    tolerates: bool
    delay_seconds: float | None
    not_before: datetime | None
    known: str


_FREED: Final = """
SELECT s.run_id, s.position, s.key, s.name, s.tool, s.risk, s.gated, s.gate_reason, s.idempotent, s.dynamic,
    s.args::text, s.depends_on, s.max_attempts, s.timeout_seconds,
    d.condition, d.for_each, d.for_each_most, coalesce(d.tolerates, false), d.delay_seconds, d.not_before,
    coalesce(k.known, '{}')::text
FROM unnest($1::uuid[], $2::int[]) AS g (run_id, position)
JOIN steps s ON s.run_id = g.run_id AND s.position = g.position
LEFT JOIN step_directives d ON d.run_id = s.run_id AND d.position = s.position,
    LATERAL (
        SELECT json_object_agg(n.key, n.result) AS known
        FROM steps n WHERE n.run_id = s.run_id AND n.position = ANY(s.needs) AND n.state = 'SUCCEEDED') k
WHERE s.state = 'PENDING' AND s.remaining = 0
ORDER BY s.run_id, s.position
"""


async def freed_steps(tx: Connection, places: Sequence[StepPlace]) -> list[FreedStep]:
    """These steps, in the order of their runs and positions."""
    rows = await tx.fetch(_FREED, [run for run, _ in places], [position for _, position in places])
    return [FreedStep._make(row) for row in rows]


async def waiting_for_nothing(tx: Connection, runs: Iterable[UUID]) -> list[StepPlace]:
    """The steps of runs that were just stored that wait for no other."""
    rows = await tx.fetch(
        """SELECT run_id, position FROM steps
        WHERE run_id = ANY($1::uuid[]) AND state = 'PENDING' AND remaining = 0 ORDER BY 1, 2""",
        list(runs),
    )
    return [(run, position) for run, position in rows]


class EndedChild(NamedTuple):
    """A child that has ended, and its place in the list; `result` is JSON text."""

    place: int
    state: StepState
    result: str | None
    skip_reason: str | None
    error_code: str | None
    error_message: str | None


class ClosedParent(NamedTuple):
    """A RUNNING parent whose children have all ended. `items` is its list's JSON text."""

    run: UUID
    position: int
    items: str
    tolerates: bool
    children: list[EndedChild]


_PARENTS: Final = """
SELECT d.run_id, d.position, d.items::text, d.tolerates
FROM unnest($1::uuid[], $2::int[]) AS g (run_id, position)
JOIN step_directives d ON d.run_id = g.run_id AND d.position = g.position
ORDER BY 1, 2
"""

_CHILDREN: Final = """
SELECT s.run_id, s.parent, s.index, s.state, s.result::text, s.skip_reason, s.error_code, s.error_message
FROM unnest($1::uuid[], $2::int[]) AS g (run_id, position)
JOIN steps s ON s.run_id = g.run_id AND s.parent = g.position
ORDER BY 1, 2, 3
"""


async def closed_parents(tx: Connection, places: Sequence[StepPlace]) -> list[ClosedParent]:
    """These parents, with their children in the list's order."""
    given = [run for run, _ in places], [position for _, position in places]
    children: defaultdict[StepPlace, list[EndedChild]] = defaultdict(list)
    for run, parent, index, state, *rest in await tx.fetch(_CHILDREN, *given):
        children[run, parent].append(EndedChild(index, StepState(state), *rest))
    return [ClosedParent._make((*row, children[row[0], row[1]])) for row in await tx.fetch(_PARENTS, *given)]


class Answering(NamedTuple):
    """What an ended run answers: JSON text with references, and the results by key that there are."""

    run: UUID
    planned: str
    known: str
    created_at: datetime


_ANSWERS: Final = """
SELECT a.run_id, a.planned::text, coalesce(k.known, '{}')::text, r.created_at
FROM run_answers a JOIN runs r ON r.id = a.run_id,
    LATERAL (
        SELECT json_object_agg(n.key, n.result) AS known
        FROM steps n WHERE n.run_id = a.run_id AND n.position = ANY(a.needs) AND n.state = 'SUCCEEDED') k
WHERE a.run_id = ANY($1::uuid[]) AND r.state IN ('COMPLETED', 'FAILED')
"""


async def answers_of(tx: Connection, runs: Iterable[UUID]) -> list[Answering]:
    """The answers to be resolved of those of these runs that have ended by themselves."""
    return [Answering(*row) for row in await tx.fetch(_ANSWERS, list(runs))]


class Answer(NamedTuple):
    """What a run has answered (JSON text), or why it could not."""

    run: UUID
    answer: str | None = None
    error_code: str | None = None
    error_message: str | None = None


async def keep_answers(tx: Connection, answers: Sequence[Answer]) -> None:
    """Keep these answers, in the transaction that ends their runs; an empty one takes the last one's place."""
    await tx.execute(
        """UPDATE run_answers a SET answer = g.answer::json, error_code = g.code, error_message = g.message
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS g (run_id, answer, code, message)
        WHERE a.run_id = g.run_id""",
        [each.run for each in answers],
        [each.answer for each in answers],
        [each.error_code for each in answers],
        [each.error_message for each in answers],
    )
