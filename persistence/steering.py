"""The facts of a run and its steps that a person's acts need: cancelling, sending back, resolving a doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from persistence.database import Connection
from persistence.states import RunState, StepState


class HeldRun(NamedTuple):
    """A run as it is under its lock."""

    state: RunState
    submitted_by: UUID


async def held_run(tx: Connection, run: UUID) -> HeldRun:
    """The run, which the caller has locked: a state that was read before the lock may have changed."""
    row = await tx.fetchrow("SELECT state, submitted_by FROM runs WHERE id = $1", run)
    assert row is not None
    return HeldRun(RunState(row["state"]), row["submitted_by"])


@dataclass(frozen=True, slots=True)
class Place:
    """One step of a run as a redrive looks at it."""

    key: str
    state: StepState
    skip_reason: str | None
    depends_on: tuple[int, ...]
    dependents: tuple[int, ...]


async def places(tx: Connection, run: UUID) -> dict[int, Place]:
    """The run's steps by position."""
    rows = await tx.fetch(
        "SELECT position, key, state, skip_reason, depends_on, dependents FROM steps WHERE run_id = $1", run
    )
    return {
        row["position"]: Place(
            row["key"],
            StepState(row["state"]),
            row["skip_reason"],
            tuple(row["depends_on"]),
            tuple(row["dependents"]),
        )
        for row in rows
    }


class Unresolved(NamedTuple):
    """A step with references that stand for nothing yet: its arguments, and the results by key, as JSON texts."""

    tool: str
    args: str
    results: Mapping[str, str]


async def unresolved(tx: Connection, run: UUID, position: int) -> Unresolved | None:
    """The step's arguments as they were planned; None when they hold no reference, or are resolved already."""
    row = await tx.fetchrow(
        "SELECT tool, args::text, needs FROM steps"
        " WHERE run_id = $1 AND position = $2 AND dynamic AND resolved_args IS NULL",
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


async def asked_about(tx: Connection, run: UUID, position: int) -> Asked | None:
    """The subject of a step's approval, once its arguments are known; None if it needs no approval."""
    row = await tx.fetchrow(
        "SELECT tool, coalesce(resolved_args, args)::text AS args FROM steps"
        " WHERE run_id = $1 AND position = $2 AND gated AND (resolved_args IS NOT NULL OR NOT dynamic)",
        run,
        position,
    )
    return None if row is None else Asked(row["tool"], row["args"])


async def result_of(tx: Connection, run: UUID, position: int) -> str | None:
    """A step's result as JSON text; None for a step that has not succeeded."""
    return await tx.fetchval("SELECT result::text FROM steps WHERE run_id = $1 AND position = $2", run, position)
