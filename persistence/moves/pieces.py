"""The parts of SQL that moves share, each written once: the statements and the database's functions are made of them.

A piece takes the names that its values have where it is put. Three shapes come back: a condition or value, the columns
of a row with their values (`Row`, for `assign` and `insert`), and the SELECT of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from persistence.moves.events import Rank, event, event_select, metadata, words
from persistence.moves.sql import Row, among, insert
from persistence.moves.table import (
    AGAIN,
    ASKED,
    IN_DOUBT_REASON,
    READY,
    RUNNING,
    START,
    SUCCEED,
    UNBLOCKED,
    Move,
)
from persistence.states import ApprovalKind, StepState, ToolCallStatus

When = Callable[..., str]
"""The condition for a step to enter one of these states."""


# Time, locks and leases

CLOCK: Final = "clock AS MATERIALIZED (SELECT clock_timestamp() AS at)"
"""The time of a move; taken under the run's lock."""


def free(runs: str) -> str:
    """The lock of a statement that is a transaction by itself: those of the runs that no other transaction holds."""
    return f"""free AS MATERIALIZED (
    -- Locked without waiting. A move that committed since this statement's snapshot has changed last_seq, and
    -- then what the statement reads of the run would be stale: such a run counts as busy too.
    SELECT l.id
    FROM (
        SELECT id, last_seq FROM runs WHERE id = ANY({runs}) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS l
    JOIN runs r ON r.id = l.id AND r.last_seq = l.last_seq),
"""


def alive(worker: str) -> str:
    """A process whose lease is over takes nothing more: its claims would be rescued from it at once."""
    return f"""EXISTS (SELECT FROM workers w
        WHERE w.id = {worker} AND w.ended_at IS NULL AND w.lease_until > clock_timestamp())"""


# Conditions and rows


def entering(value: str) -> When:
    """The condition as one on a column that is null for a step that enters no state."""

    def when(*states: StepState) -> str:
        return f"{value} IS NOT DISTINCT FROM '{states[0]}'" if len(states) == 1 else among(value, states)

    return when


def holds(*, run: str, position: str, attempt: str, owner: str, state: str) -> str:
    """That step `s` is still as an outcome's author left it: an older attempt, or another owner, moves nothing."""
    return f"""s.run_id = {run} AND s.position = {position} AND s.state = {state} AND s.attempt = {attempt}
        AND s.owner IS NOT DISTINCT FROM {owner}"""


def holds_as(outcome: str) -> str:
    """The same of rows that have columns for all of these."""
    return holds(
        run=f"{outcome}.run_id",
        position=f"{outcome}.position",
        attempt=f"{outcome}.attempt",
        owner=f"{outcome}.owner",
        state=f"{outcome}.leaves",
    )


def moved(move: Move, source: str) -> str:
    """That each step of the source has made this move, which leaves one state only: for the run's counters."""
    (leaves,) = move.leaves
    return f"SELECT run_id, '{leaves}', '{move.enters}' FROM {source}"


# Starting a step


def starting(*, at: str, worker: str, when: str | None = None, step: str | None = "s.") -> Row:
    """The columns of a step whose next attempt begins, `when` that is so; of a new row if it is no `step` yet."""

    def only(value: str, otherwise: str = "") -> str:
        return value if when is None else f"CASE WHEN {when} THEN {value}{otherwise} END"

    one_more = "1" if when is None else f"({when})::int"
    return {
        "owner": only(worker),
        "started_at": only(f"coalesce({step}started_at, {at})", f" ELSE {step}started_at") if step else only(at),
        **{column: f"{step}{column} + {one_more}" if step else one_more for column in START.adds},
    }


def unblocking(when: When, *, at: str, worker: str, due: str | None = None, step: str | None = "s.") -> Row:
    """The columns of a step that waits for no other any more: it is blocked, ready, or starts."""
    return {
        "resolved_at": f"CASE WHEN {when(*UNBLOCKED)} THEN {at} END",
        "ready_at": f"CASE WHEN {when(READY, RUNNING)} THEN {at} END",
        "due_at": f"CASE WHEN {when(READY)} THEN {due or at} END",
        **starting(at=at, worker=worker, when=when(RUNNING), step=step),
    }


def calling(at: str, **instead: str) -> Row:
    """The tool call of a step that starts."""
    own = {name: name for name in ("run_id", "position", "attempt", "tool", "args", "digest")}
    return {**own, **instead, "started_at": at}


def started(source: str, *, approval: str = "null::uuid", again: str = "") -> str:
    """The events of the steps that start."""
    return event(START.event, Rank.RUNNING, source, major="position", approval=approval, again=again)


def again(attempt: str) -> str:
    """The words that a step which starts once more has beside its name."""
    return f"CASE WHEN {attempt} > 1 THEN {words(AGAIN, attempt=attempt)} ELSE '' END"


# Settling a step


def succeeding(*, result: str, at: str) -> Row:
    """The columns of a step that has succeeded."""
    return {
        "state": f"'{SUCCEED.enters}'",
        "result": f"{result}::json",
        "owner": "null",
        "error_code": "null",
        "error_message": "null",
        "finished_at": at,
    }


def closing(*, result: str, at: str, status: str | None = None, **errors: str) -> Row:
    """The columns of the tool call `c` whose end is known; what is known already stays. Succeeded, if nothing else."""
    succeeded = f"CASE c.status WHEN '{ToolCallStatus.STARTED}' THEN '{ToolCallStatus.SUCCEEDED}' ELSE c.status END"
    return {
        "status": status or succeeded,
        "result": f"coalesce(c.result, {result}::json)",
        **errors,
        "finished_at": f"coalesce(c.finished_at, {at})",
    }


# Asking a person


def asking(*, at: str, expires: str, **instead: str) -> Row:
    """The approval that a gated step waits for, which expires in so many seconds."""
    same = {name: name for name in ("run_id", "position", "execution", "attempt")}
    row = {
        "id": "gen_random_uuid()",
        **same,
        "kind": f"'{ApprovalKind.EXECUTE}'",
        "risk": "risk",
        "reason": "gate_reason",
        "proposed_args": "args",
        "digest": "digest",
        "created_at": at,
        "expires_at": f"{at} + {expires} * interval '1 second'",
    }
    return row | instead


def doubting(*, at: str) -> Row:
    """The approval in which a person says whether a call happened: it never expires."""
    return asking(
        at=at,
        expires="",
        kind=f"'{ApprovalKind.IN_DOUBT}'",
        reason=f"left({words(IN_DOUBT_REASON)}, 8000)",
        proposed_args="coalesce(resolved_args, args)",
        expires_at="null",
    )


def opened(asks: str, expires: str, *, at: str, also: str = "") -> str:
    """The CTE that asks a person about each step of a source, and whatever SELECT stands in `also`."""
    return f"""opened AS (
    {insert("approvals", asking(at=at, expires=f"{expires}::float8"), asks)}{also}
    RETURNING id, run_id, position, kind, risk, digest, expires_at)"""


def asked(kinds: Sequence[ApprovalKind] = (ApprovalKind.EXECUTE,)) -> str:
    """The events of the approvals that were `opened`."""
    first, *others = (ASKED[kind] for kind in kinds)
    message = words(first.message)
    if others:
        message = f"CASE kind WHEN '{kinds[0]}' THEN {message} ELSE {words(others[0].message)} END"
    return event_select(
        first.type, message, metadata(first, level=LEVEL), Rank.APPROVAL, "opened", major="position", approval="id"
    )


LEVEL: Final = "'L' || risk"
"""A risk as the outside reads it."""
