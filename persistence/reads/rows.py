"""The results of the reads: one value for each row, as the database gave it.

States, kinds and reasons are the words of `persistence.states`, as text. JSON is JSON text, so that nobody pays for
parsing what is not looked at, and null where the reader did not ask for it (`columns.TEXTS`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID


class UserRow(NamedTuple):
    """A user; `roles` are words of `Role`, `kind` one of `UserKind`."""

    id: UUID
    name: str
    roles: list[str]
    kind: str


class RunRow(NamedTuple):
    """One run, with its submitter and the number of its steps in each state.

    Only an `elaborate` one has directives of its steps, children of them, or an answer.
    """

    id: UUID
    submitted_by: UUID
    submitter_name: str
    submitter_roles: list[str]
    submitter_kind: str
    intent: str | None
    state: str
    outcome: str | None
    risk: int
    error_code: str | None
    error_message: str | None
    last_seq: int
    pending: int
    ready: int
    running: int
    blocked: int
    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    elaborate: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StepRow(NamedTuple):
    """One step of a run; `depends_on`, `dependents` and `parent` are positions in the same run.

    A child has its parent and its `child_index` in the list, from zero; a step that `expands` has had children made.
    `is_held` says that a READY one waits for others of its parent's to end; it has no `due_at` then. `elaborate` is
    its run's.
    """

    run_id: UUID
    position: int
    key: str
    name: str
    tool: str
    risk: int
    state: str
    skip_reason: str | None
    args: str | None
    resolved_args: str | None
    result: str | None
    error_code: str | None
    error_message: str | None
    depends_on: list[int]
    dependents: list[int]
    attempt: int
    max_attempts: int | None
    due_at: datetime | None
    is_due: bool
    is_held: bool
    is_in_doubt: bool
    dead_lettered: bool
    parent: int | None
    child_index: int | None
    expands: bool
    elaborate: bool
    created_at: datetime
    ready_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class DirectiveRow(NamedTuple):
    """What a plan says of one step: JMESPath expressions, and the positions of those that must have ended."""

    run_id: UUID
    position: int
    condition: str | None
    for_each: str | None
    after: list[int]


class ParallelRow(NamedTuple):
    """How many children of a step run, and how many may at once; None for any number."""

    run_id: UUID
    position: int
    running: int
    most: int | None


class AnswerRow(NamedTuple):
    """What a run answers, or why it has no answer; neither before it has ended."""

    run_id: UUID
    answer: str | None
    error_code: str | None
    error_message: str | None


class ApprovalRow(NamedTuple):
    """One approval with its decider; `submitted_by` is the submitter of its run."""

    id: UUID
    run_id: UUID
    position: int
    submitted_by: UUID
    kind: str
    status: str
    risk: int
    reason: str
    proposed_args: str | None
    digest: str
    edited_args: str | None
    created_at: datetime
    expires_at: datetime | None
    decided_by: UUID | None
    decider_name: str | None
    decider_roles: list[str] | None
    decider_kind: str | None
    decided_at: datetime | None
    decision_reason: str | None


class ToolCallRow(NamedTuple):
    """One call of a step's tool."""

    run_id: UUID
    position: int
    attempt: int
    tool: str
    status: str
    args: str | None
    result: str | None
    error_code: str | None
    error_message: str | None
    started_at: datetime
    finished_at: datetime | None


class OriginsRow(NamedTuple):
    """Where a step's arguments come from: `origins` as they are stored, else null, and `args` as they were planned.

    A child's are its parent's.
    """

    run_id: UUID
    position: int
    tool: str
    depends_on: list[int]
    trust: int
    origins: str | None
    args: str | None


@dataclass(slots=True, eq=False)
class EventRow:
    """One event of a run's timeline, shared by all of its followers.

    `memo` is where answers that were worked out for one reader are kept for the next; it dies with the event.
    """

    run_id: UUID
    seq: int
    type: str
    position: int | None
    approval_id: UUID | None
    message: str
    metadata: str
    created_at: datetime
    memo: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any], repr=False)
