"""SQL as text: states, rows and unions of SELECTs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from persistence.states import StepState

Row = dict[str, str]
"""Columns and the values that they get."""


def among(value: str, states: Iterable[StepState]) -> str:
    """Whether the value is one of these states."""
    wanted = set(states)
    names = [f"'{state}'" for state in StepState if state in wanted]
    return f"{value} = {names[0]}" if len(names) == 1 else f"{value} IN ({', '.join(names)})"


def assign(*rows: Row) -> str:
    """The SET list of an UPDATE."""
    return ",\n        ".join(f"{column} = {value}" for row in rows for column, value in row.items())


def insert(table: str, row: Row, source: str | None = None, *, alias: str = "") -> str:
    """An INSERT of a row for each row of the source, or of one row."""
    into = f"INSERT INTO {table}{alias and f' AS {alias}'} ({listed(row)})"
    values = listed(row.values())
    return f"{into}\n    " + (f"VALUES ({values})" if source is None else f"SELECT {values}\n    FROM {source}")


def listed(parts: Iterable[str]) -> str:
    """These, with commas between them, in lines that can be read."""
    lines = [""]
    for part in parts:
        line = f"{lines[-1]}, {part}" if lines[-1] else part
        if len(line) > _WIDTH and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = line
    return ",\n        ".join(lines)


_WIDTH: Final = 100


def union(*selects: str) -> str:
    """All rows of these SELECTs."""
    return "\n    UNION ALL\n    ".join(selects)


def literal(text: str) -> str:
    """The text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
