"""The rows that a move gives back: the claimed steps, the runs that moved, the outcomes that counted, the busy runs.

The columns of a claimed step stand here once, at the fields of `ClaimedStep`; each statement's SELECT list, the type
that the database's functions return and the reading of the rows follow from them. All rows of an answer have these
columns, after one that says of which kind the row is; where another kind has less to say, the rest is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple, get_type_hints
from uuid import UUID

import asyncpg

from persistence.moves.sql import listed
from persistence.states import FINISHED_RUN_STATES, RUN_STATES, RunState


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a claimed step's row: its name, its type, and what it is in `steps` if that is no column there.

    `{}` in `source` is the alias of `steps`, with its dot. `cast`: stored under another type than it is read as.
    """

    name: str
    type: str
    source: str = ""
    cast: bool = False


class ClaimedStep(NamedTuple):
    """A step that the caller now owns, its tool call recorded: all that the call needs. `args` is JSON text."""

    run: Annotated[UUID, Column("run_id", "uuid")]
    position: Annotated[int, Column("position", "int")]
    attempt: Annotated[int, Column("attempt", "int")]
    tool: Annotated[str, Column("tool", "text")]
    calls: Annotated[int, Column("calls", "int")]
    max_attempts: Annotated[int | None, Column("max_attempts", "int")]
    losses: Annotated[int, Column("losses", "int")]
    args: Annotated[str, Column("args", "text", source="coalesce({0}resolved_args, {0}args)", cast=True)]
    digest: Annotated[str | None, Column("digest", "text")]
    gated: Annotated[bool, Column("gated", "bool")]
    idempotent: Annotated[bool, Column("idempotent", "bool")]
    feeds: Annotated[bool, Column("feeds", "bool")]
    timeout_seconds: Annotated[float, Column("timeout_seconds", "float8")]
    user: Annotated[UUID, Column("submitted_by", "uuid")]


def columns_of(row: type) -> tuple[Column, ...]:
    """The columns that a row's fields are annotated with, in their order."""
    hints = get_type_hints(row, include_extras=True)
    return tuple(part for hint in hints.values() for part in hint.__metadata__ if isinstance(part, Column))


COLUMNS: Final = columns_of(ClaimedStep)
_NAMES: Final = [each.name for each in COLUMNS]

_MARK, _ACCEPTED, _CLAIMED, _BUSY = range(4)
"""The kinds of rows, as the first column tells them apart."""


class RunMark(NamedTuple):
    """How far a run's timeline reaches after a move, and whether it left steps that anybody may claim.

    `judged`: an approval was asked for, or decided.
    """

    run: UUID
    seq: int
    state: RunState
    ready: int
    judged: bool

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.state in FINISHED_RUN_STATES


@dataclass(slots=True)
class Advance:
    """What a move did: `accepted` are the indexes of the outcomes that counted, `busy` the runs that it left out."""

    claimed: list[ClaimedStep] = field(default_factory=list[ClaimedStep])
    marks: list[RunMark] = field(default_factory=list[RunMark])
    accepted: set[int] = field(default_factory=set[int])
    busy: set[UUID] = field(default_factory=set[UUID])


def read_rows(rows: Iterable[asyncpg.Record]) -> Advance:
    """Sort the rows of an answer into what they are."""
    done = Advance()
    for row in rows:
        kind = row[0]
        if kind == _CLAIMED:
            done.claimed.append(ClaimedStep._make(row[1:]))
        elif kind == _MARK:
            done.marks.append(RunMark(row[1], row[2], RUN_STATES[row[4]], row[3], bool(row[5])))
        elif kind == _ACCEPTED:
            # Many of them as a text, one as a number, and none as neither.
            numbers = row[_NUMBERS].split(",") if row[_NUMBERS] is not None else [row[2]] if row[2] is not None else ()
            done.accepted.update([int(each) - 1 for each in numbers])
        else:
            done.busy.add(row[1])
    return done


_NUMBERS = 1 + _NAMES.index("args")
"""Where an answer's row has the numbers of the outcomes that counted: in the column of a claimed step's `args`."""


# The same in SQL: the SELECTs that make the rows, and their type.


def _row(kind: int, known: dict[str, str]) -> str:
    return listed([str(kind), *(known.get(column.name, "null") for column in COLUMNS)])


def mark(*, run: str, seq: str, ready: str, state: str, judged: str) -> str:
    """A run's mark as a list of values."""
    return _row(_MARK, {"run_id": run, "position": seq, "attempt": ready, "tool": state, "calls": judged})


def accepted_one(run: str) -> str:
    """That the one outcome that was given counted, as a list of values."""
    return _row(_ACCEPTED, {"run_id": run, "position": "1"})


def busy_run(run: str) -> str:
    """That a run was left out, as a list of values."""
    return _row(_BUSY, {"run_id": run})


def _marks() -> str:
    known = {"run_id": "id", "position": "last_seq", "attempt": "ready", "tool": "state", "calls": "judged::int"}
    values = listed(f"{known.get(each.name, f'null::{each.type}')} AS {each.name}" for each in COLUMNS)
    return f"SELECT {_MARK} AS kind, {values}\nFROM recorded"


MARKS: Final = _marks()
"""The final SELECT of every move begins with how far each run has come."""

_ALL_NUMBERS: Final = {"args": "string_agg(nth::text, ',')"}
ACCEPTED: Final = f"SELECT {_row(_ACCEPTED, _ALL_NUMBERS)}\nFROM settled"
"""Then, where outcomes were given, which of them counted: their numbers in one row, for there may be hundreds."""


def claimed_values(step: str = "", **instead: str) -> str:
    """A claimed step as a list of values: of a row of `steps` with this alias (and its dot), or of `returned` columns.

    `instead` are values for columns that are not its own.
    """
    return f"{_CLAIMED}, {step_values(step, **instead)}"


def step_values(step: str = "", **instead: str) -> str:
    """The same without the column that says so."""
    values = {each.name: (step and each.source.format(step)) or f"{step}{each.name}" for each in COLUMNS} | instead
    return listed(f"{values[each.name]}::{each.type}" if each.cast else values[each.name] for each in COLUMNS)


def claimed_from(source: str) -> str:
    """Then the steps that the caller owns from now on, out of rows with the `returned` columns."""
    return f"SELECT {claimed_values()}\nFROM {source}"


def busy_from(runs: str) -> str:
    """At last the runs, out of this array, that another transaction holds."""
    return f"""UNION ALL
SELECT {busy_run("b.id")}
FROM unnest({runs}) AS b (id) WHERE NOT EXISTS (SELECT FROM free WHERE free.id = b.id)
"""


def returned(step: str = "s.", *, beside: Sequence[str] = (), **instead: str) -> str:
    """The RETURNING list of a statement that claims: a claimed step's columns, and others of the step `beside`."""
    made = {each.name: each.source.format(step) for each in COLUMNS if each.source} | instead
    own = [f"{made[each.name]} AS {each.name}" if each.name in made else f"{step}{each.name}" for each in COLUMNS]
    return listed([*own, *(f"{step}{name}" for name in beside if name not in _NAMES)])
