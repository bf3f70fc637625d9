"""A function of the database as data, and the lines that its like have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from persistence.moves.events import EVENT_VALUE, event_rows
from persistence.moves.pieces import alive
from persistence.moves.record import counter
from persistence.moves.row import COLUMNS
from persistence.moves.sql import listed
from persistence.states import StepState


@dataclass(frozen=True, slots=True)
class Type:
    """A row type: its name, and its columns with their types."""

    name: str
    columns: Mapping[str, str]

    @property
    def create(self) -> str:
        """The statement that creates it."""
        return f"CREATE TYPE {self.name} AS ({listed(f'{name} {type_}' for name, type_ in self.columns.items())})"


ROW_TYPE: Final = Type("move_row", {"kind": "int", **{each.name: each.type for each in COLUMNS}})
"""A row of a move's answer."""

EVENT_TYPE: Final = Type(
    EVENT_VALUE,
    {"type": "text", "position": "int", "approval_id": "uuid", "message": "text", "metadata": "json"},
)
"""An event before it has its number."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function in PL/pgSQL that gives back rows of a move's answer: its parameters and variables with their types."""

    name: str
    parameters: Mapping[str, str]
    variables: Mapping[str, str]
    body: str

    @property
    def create(self) -> str:
        """The statement that creates it."""
        parameters = listed(f"{name} {type_}" for name, type_ in self.parameters.items())
        variables = "\n".join(f"    {name} {type_};" for name, type_ in self.variables.items())
        return f"""CREATE FUNCTION {self.name}({parameters})
RETURNS SETOF {ROW_TYPE.name} LANGUAGE plpgsql AS $$
DECLARE
{variables}
BEGIN
{self.body}
END $$"""

    def call(self) -> str:
        """The statement that calls it, with its parameters in their order."""
        return f"SELECT * FROM {self.name}({', '.join(f'${n}' for n in range(1, len(self.parameters) + 1))})"


def give(values: str) -> str:
    """Give back a row of these values."""
    return f"RETURN NEXT ({values})::{ROW_TYPE.name};"


def count(state: StepState, by: int) -> str:
    """So many more steps of `run` are in this state."""
    return f"run.{counter(state)} := run.{counter(state)} {'+' if by > 0 else '-'} {abs(by)};"


def no_slots_for_the_dead(also: str = "") -> str:
    """A process whose lease is over starts nothing."""
    return f"""IF slots > 0{also} AND NOT {alive("worker")} THEN
        slots := 0;
    END IF;"""


def write_events() -> str:
    """Write the `events` of `run` with all that belongs to them, under the numbers that follow its last one."""
    source = "unnest(events) WITH ORDINALITY AS e (type, position, approval_id, message, metadata, nth)"
    own = {name: f"e.{name}" for name in EVENT_TYPE.columns}
    rows = event_rows(source, **own, run_id="its_run", seq="run.last_seq + e.nth", created_at="at")
    return "".join(f"{text};\n    " for text in rows.values()) + "run.last_seq := run.last_seq + cardinality(events);"


def keep(*columns: str) -> str:
    """The SET list that writes these columns of `run` back."""
    return listed(f"{column} = run.{column}" for column in columns)
