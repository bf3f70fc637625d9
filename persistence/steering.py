"""What a person's verbs need to know of a run and its steps: to send steps back, and to say why a move did nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from persistence.database import Connection
from persistence.moves.redrive import is_dead_letter
from persistence.states import RunState, StepState


@dataclass(frozen=True, slots=True)
class LinkedStep:
    """One step of a run, with the positions of the steps before and after it."""

    key: str
    state: StepState
    skip_reason: str | None
    depends_on: tuple[int, ...]
    dependents: tuple[int, ...]


async def linked_steps(tx: Connection, run: UUID) -> dict[int, LinkedStep]:
    """The steps of a run by position."""
    rows = await tx.fetch(
        "SELECT position, key, state, skip_reason, depends_on, dependents FROM steps WHERE run_id = $1", run
    )
    return {
        row["position"]: LinkedStep(
            row["key"],
            StepState(row["state"]),
            row["skip_reason"],
            tuple(row["depends_on"]),
            tuple(row["dependents"]),
        )
        for row in rows
    }


async def has_step(tx: Connection, run: UUID, position: int) -> bool:
    """Whether the run has a step at this position."""
    return await tx.fetchval("SELECT EXISTS (SELECT FROM steps WHERE run_id = $1 AND position = $2)", run, position)


async def state_of(tx: Connection, run: UUID) -> RunState:
    """The state of a run: why a move of it did nothing. The caller holds its lock."""
    return RunState(await tx.fetchval("SELECT state FROM runs WHERE id = $1", run))


class Unresolved(NamedTuple):
    """A step with references that stand for nothing yet: its arguments, and the results by key, as JSON texts."""

    tool: str
    args: str
    results: Mapping[str, str]


async def unresolved(tx: Connection, run: UUID, position: int) -> Unresolved | None:
    """A dead letter's arguments as they were planned; None when they hold no reference, or are resolved already."""
    row = await tx.fetchrow(
        "SELECT s.tool, s.args::text, s.needs FROM steps s"
        f" WHERE s.run_id = $1 AND s.position = $2 AND s.dynamic AND s.resolved_args IS NULL AND {is_dead_letter('s')}",
        run,
        position,
    )
    if row is None:
        return None
    results = await tx.fetch(
        "SELECT key, result::text FROM steps WHERE run_id = $1 AND position = ANY($2::int[]) AND state = 'SUCCEEDED'",
        run,
        row["needs"],
    )
    return Unresolved(row["tool"], row["args"], {each["key"]: each["result"] for each in results})


class Asked(NamedTuple):
    """The tool and the arguments (JSON text) that a person was asked about."""

    tool: str
    args: str


async def asked_about(tx: Connection, run: UUID, positions: Sequence[int]) -> dict[int, Asked]:
    """The subjects of these steps' approvals, by position: of those that need one, once their arguments are known."""
    rows = await tx.fetch(
        "SELECT position, tool, coalesce(resolved_args, args)::text AS args FROM steps"
        " WHERE run_id = $1 AND position = ANY($2::int[]) AND gated AND (resolved_args IS NOT NULL OR NOT dynamic)",
        run,
        positions,
    )
    return {row["position"]: Asked(row["tool"], row["args"]) for row in rows}


async def result_of(tx: Connection, run: UUID, position: int) -> str | None:
    """A step's result as JSON text; None for a step that has not succeeded."""
    return await tx.fetchval("SELECT result::text FROM steps WHERE run_id = $1 AND position = $2", run, position)
