"""Where a command writes: colours and tables on a terminal, plain lines in a pipe."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from console.plain import one_line

Cell = str | Text


class Screen:
    """Standard output. Texts are never read as markup, and no line is cut or wrapped in a pipe."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        # Said outright: what rich would find out by itself also counts variables such as FORCE_COLOR, and
        # escape codes in a pipe would be wrong whatever they say.
        self.console = Console(
            force_terminal=self.is_terminal,
            color_system="auto" if self.is_terminal else None,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def line(self, text: Cell = "") -> None:
        """Write one paragraph, at once."""
        if self.is_terminal:
            self.console.print(text, soft_wrap=True)
        else:
            _write(str(text))  # rich would turn tabs into spaces

    def show(self, renderable: RenderableType) -> None:
        """Draw something rich; for terminals only."""
        self.console.print(renderable)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """A table with headings on a terminal; in a pipe a line for each row, its cells separated by tabs."""
        if self.is_terminal:
            self.show(table_of(columns, rows))
            return
        for row in rows:
            _write("\t".join(one_line(str(cell)).strip() for cell in row))

    def json(self, value: Any) -> None:
        """Write a value as indented JSON; all but ASCII is escaped, so that nothing in it can speak to a terminal."""
        _write(json.dumps(value, indent=2))

    def json_line(self, value: Any) -> None:
        """Write a value as JSON on one line of its own, at once."""
        _write(json.dumps(value, separators=(",", ":")))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table without a frame; the first column is never wrapped."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
