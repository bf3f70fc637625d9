"""Events in SQL: their messages and metadata out of the table, and the rows that are written for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from string import Formatter
from typing import Final

from persistence.moves.sql import among, insert, literal, union
from persistence.moves.table import SKIPPED_BECAUSE, Event, Move


class Rank(IntEnum):
    """The order of events within one transaction."""

    SUBMISSION = 0
    DECISION = 1
    STEP = 2
    APPROVAL = 3
    RUN = 4
    RUNNING = 5


def words(message: str, /, **values: str) -> str:
    """A message of the table as a value; `values` stand in the place of the columns that it names."""
    parts: list[str] = []
    for text, name, _, _ in Formatter().parse(message):
        if text:
            parts.append(literal(text))
        if name:
            column, *forms = name.split("|")
            value = values.get(column, column)
            if forms:
                value = f"CASE {value} WHEN 1 THEN {literal(forms[0])} ELSE {literal(forms[1])} END"
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
    follows_if: str = "",
) -> str:
    """The SELECT of the event for each step of the source, which has made one of these moves; and what follows it.

    What follows stands only where the condition `follows_if` holds, if there is one.
    """
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
        event(
            then,
            Rank.STEP,
            f"{source} {conjunction} {enters} = '{state}'{follows_if and f' AND {follows_if}'}",
            major=major,
            minor="1",
            **given,
        )
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
    branches = " ".join(f"WHEN '{each}' THEN {literal(text)}" for each, text in SKIPPED_BECAUSE.items())
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
