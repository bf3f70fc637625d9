"""Ids: UUIDs within, opaque strings that tell their type without."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import uuid_utils.compat as uuid_utils

RUN: Final = "run"
STEP: Final = "step"
APPROVAL: Final = "appr"
USER: Final = "user"

_PLAIN = re.compile(r"(run|appr|user)_([0-9a-f]{32})")
_STEP = re.compile(r"step_([0-9a-f]{32})_(0|[1-9][0-9]{0,8})")


def new_id() -> UUID:
    """A new UUIDv7: random, and newer ones sort later, which keeps the indexes' hot end in memory."""
    return uuid_utils.uuid7()


def run_id(run: UUID) -> str:
    """The run's id as the API shows it."""
    return f"run_{run.hex}"


def step_id(run: UUID, position: int) -> str:
    """The step's id as the API shows it: the run's, and its place in the plan."""
    return f"step_{run.hex}_{position}"


def approval_id(approval: UUID) -> str:
    """The approval's id as the API shows it."""
    return f"appr_{approval.hex}"


def user_id(user: UUID) -> str:
    """The user's id as the API shows it."""
    return f"user_{user.hex}"


def call_id(run: UUID, position: int, attempt: int) -> str:
    """The tool call's id as the API shows it."""
    return f"call_{run.hex}_{position}_{attempt}"


def execution_key(run: UUID, position: int) -> str:
    """The same for every attempt of one step, for ever: outside systems deduplicate by it."""
    return f"exec_{run.hex}_{position}"


def parse(public_id: str) -> tuple[str, UUID, int] | None:
    """Kind, UUID and place (0 but for steps) of an id as the API shows it; None for anything else."""
    if plain := _PLAIN.fullmatch(public_id):
        return plain[1], UUID(hex=plain[2]), 0
    if step := _STEP.fullmatch(public_id):
        return STEP, UUID(hex=step[1]), int(step[2])
    return None


def parse_as(kind: str, public_id: str) -> UUID | None:
    """The UUID of an id of that kind (not a step's); None for anything else."""
    found = parse(public_id)
    return found[1] if found is not None and found[0] == kind else None


def parse_step(public_id: str) -> tuple[UUID, int] | None:
    """Run and place of a step's id; None for anything else."""
    found = parse(public_id)
    return (found[1], found[2]) if found is not None and found[0] == STEP else None
