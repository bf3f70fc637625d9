"""The parts of SQL that moves share, each written once: the statements and the database's functions are made of them.

A piece takes the names that its values have where it is put. Three shapes come back: a condition or value, the columns
of a row with their values (`Row`, for `assign` and `insert`), and the SELECT of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from string import Formatter
from typing import Final

from persistence.moves.table import (
    ASKED,
    IN_DOUBT_REASON,
    READY,
    RUNNING,
    SKIPPED_BECAUSE,
    START,
    SUCCEED,
    UNBLOCKED,
    Event,
    Move,
)
from persistence.states import ApprovalKind, StepState, ToolCallStatus

Row = dict[str, str]
"""Columns and the values that they get."""

When = Callable[..., str]
"""The condition for a step to enter one of these states."""


class Rank(IntEnum):
    """The order of events within one transaction."""

    SUBMISSION = 0
    DECISION = 1
    STEP = 2
    APPROVAL = 3
    RUN = 4
    RUNNING = 5


# Time, locks and leases

CLOCK: Final = "clock AS MATERIALIZED (SELECT clock_timestamp() AS at)"
"""The time of a move; taken under the run's lock."""


def free(runs: str) -> str:
    """The lock of a statement that is a transaction by itself: those of the runs that nobody else holds."""
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


def among(value: str, states: Sequence[StepState] | frozenset[StepState]) -> str:
    """Whether the value is one of these states."""
    names = [f"'{state}'" for state in StepState if state in states]
    return f"{value} = {names[0]}" if len(names) == 1 else f"{value} IN ({', '.join(names)})"


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


def assign(*rows: Row) -> str:
    """The SET list of an UPDATE."""
    return ",\n        ".join(f"{column} = {value}" for row in rows for column, value in row.items())


def insert(table: str, row: Row, source: str | None = None, *, alias: str = "") -> str:
    """An INSERT of a row for each row of the source, or of one row."""
    values = ", ".join(row.values())
    return f"INSERT INTO {table}{alias and f' AS {alias}'} ({', '.join(row)})\n    " + (
        f"VALUES ({values})" if source is None else f"SELECT {values} FROM {source}"
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
    """How a step that starts once more is told from one that starts."""
    return f"CASE WHEN {attempt} > 1 THEN ' (attempt ' || {attempt} || ')' ELSE '' END"


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


# Events


def words(message: str, /, **values: str) -> str:
    """A message of the table as a value; `values` stand in the place of the columns that it names."""
    parts: list[str] = []
    for text, name, _, _ in Formatter().parse(message):
        if text:
            parts.append(_literal(text))
        if name:
            column, *forms = name.split("|")
            value = values.get(column, column)
            if forms:
                value = f"CASE {value} WHEN 1 THEN {_literal(forms[0])} ELSE {_literal(forms[1])} END"
            if value:
                parts.append(value)
    return " || ".join(parts)


def metadata(of: Event, /, **values: str) -> str:
    """An event's metadata as a value."""
    if not of.metadata:
        return "'{}'::json"
    pairs = ", ".join(f"'{key}', {values.get(value, value)}" for key, value in of.metadata.items())
    return f"json_build_object({pairs})"


def event(
    of: Event,
    rank: Rank,
    source: str,
    *,
    major: str = "0",
    minor: str = "0",
    run: str = "run_id",
    position: str = "position",
    approval: str = "null::uuid",
    **values: str,
) -> str:
    """The SELECT of an event for each row of the source, before it has its number."""
    text, facts = words(of.message, **values), metadata(of, **values)
    return event_select(
        of.type, text, facts, rank, source, major=major, minor=minor, run=run, position=position, approval=approval
    )


def event_of_move(
    moves: Sequence[Move],
    source: str,
    *,
    major: str,
    enters: str = "enters",
    values: Mapping[str, str] | None = None,
) -> str:
    """The SELECT of the event for each step of the source, which has made one of these moves; and what follows it."""
    given = values or {}
    first = event_select(
        by_move(moves, enters, lambda move: f"'{move.event.type}'"),
        by_move(moves, enters, lambda move: words(move.event.message, **given)),
        by_move(moves, enters, lambda move: metadata(move.event, **given)),
        Rank.STEP,
        source,
        major=major,
    )
    follows = {move.enters: move.then for move in moves if move.then is not None}
    conjunction = "AND" if " WHERE " in source else "WHERE"
    then = [
        event(then, Rank.STEP, f"{source} {conjunction} {enters} = '{state}'", major=major, minor="1", **given)
        for state, then in follows.items()
    ]
    return union(first, *then)


def event_select(
    type_: str,
    message: str,
    facts: str,
    rank: Rank,
    source: str,
    *,
    major: str = "0",
    minor: str = "0",
    run: str = "run_id",
    position: str = "position",
    approval: str = "null::uuid",
) -> str:
    """The same out of values that are made already; `type_` is a type, or a CASE that yields one."""
    kind = type_ if type_.startswith(("CASE", "'")) else f"'{type_}'"
    return f"""SELECT {run}, {rank}, {major}, {minor}, {kind}, {position}, {approval}, {message},
        {facts}
    FROM {source}"""


EVENT: Final = "event (run_id, rank, major, minor, type, position, approval_id, message, metadata)"
"""The CTE that every move ends in: its events, to be numbered by rank, major and minor."""


def union(*selects: str) -> str:
    """All rows of these SELECTs."""
    return "\n    UNION ALL\n    ".join(selects)


def by_move(moves: Sequence[Move], enters: str, part: Callable[[Move], str]) -> str:
    """The part that belongs to the move that a row with `leaves`, `enters` and `reason` has made; the last's, else."""
    if len({part(move) for move in moves}) == 1:
        return part(moves[0])
    *states, last = dict.fromkeys(move.enters for move in moves)
    parts = {each: _by_reason([move for move in moves if move.enters == each], part) for each in (*states, last)}
    if not states:
        return parts[last]
    branches = " ".join(f"WHEN '{state}' THEN {parts[state]}" for state in states)
    return f"CASE {enters} {branches} ELSE {parts[last]} END"


def _by_reason(moves: Sequence[Move], part: Callable[[Move], str]) -> str:
    """The part of one of several moves that enter the same state."""
    ranked = sorted(
        moves, key=lambda move: (move.reason is None and not _is_alone(move, moves), move.reason is not None)
    )
    *others, last = ranked
    told_apart = [move for move in others if part(move) != part(last)]
    if not told_apart:
        return part(last)
    return f"CASE {' '.join(f'WHEN {_is(move, moves)} THEN {part(move)}' for move in told_apart)} ELSE {part(last)} END"


def _is(move: Move, moves: Sequence[Move]) -> str:
    return among("leaves", move.leaves) if _is_alone(move, moves) else f"reason = '{move.reason}'"


def _is_alone(move: Move, moves: Sequence[Move]) -> bool:
    """Whether none of the others leaves the same states."""
    return sum(other.leaves == move.leaves for other in moves) == 1


def skipped_because(reason: str) -> str:
    """Why a step was skipped, in words."""
    branches = " ".join(f"WHEN '{each}' THEN {_literal(text)}" for each, text in SKIPPED_BECAUSE.items())
    return f"CASE {reason} {branches} ELSE {reason} END"


_EVENT_ROW: Final = {
    name: name for name in ("run_id", "seq", "type", "position", "approval_id", "message", "metadata", "created_at")
}


def event_rows(source: str, **instead: str) -> dict[str, str]:
    """The rows that are written for each numbered event of the source: the name of each INSERT, and the INSERT.

    What has to be written with every event, in every transaction that records one, is one more of these.
    """
    return {"written": insert("timeline_events", _EVENT_ROW | instead, source)}


def written(source: str, **instead: str) -> str:
    """The CTEs that write them."""
    return ",\n".join(f"{name} AS (\n    {text})" for name, text in event_rows(source, **instead).items())


def event_value(of: Event, *, position: str = "null", approval: str = "null", **values: str) -> str:
    """An event as a value of the functions' type of events."""
    text, facts = words(of.message, **values), metadata(of, **values)
    return f"('{of.type}', {position}, {approval}, {text}, {facts})::{EVENT_VALUE}"


EVENT_VALUE: Final = "event_row"
"""The name of that type."""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
