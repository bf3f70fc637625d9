"""The parts of a Markdown page that can be compared with the program: fenced blocks, tables, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = "README.md"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / README, ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))
}
"""The text of each page that readers of the product are sent to, by its path."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its words after the fence, its text, and where it begins."""

    words: tuple[str, ...]
    text: str
    line: int
    section: str
    page: str

    @property
    def kind(self) -> str:
        """The first two words, a file's name left out: `sh`, `json answer`, `python file`."""
        return " ".join(self.words[:2]).split("=")[0]

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}: ```{' '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the nearest heading above it, the cells of its head, and those of each row, as they are written."""

    section: str
    head: list[str]
    rows: list[list[str]]


def blocks_of(text: str, page: str = "") -> Iterator[Block]:
    """Every fenced block, each under its nearest heading of level 1 or 2."""
    section, fence, inside = "", None, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if fence is not None:
            if line.rstrip() == "```":
                yield Block(tuple(fence[0].split()), "\n".join(inside) + "\n", fence[1], section, page)
                fence, inside = None, []
            else:
                inside.append(line)
        elif line.startswith("```"):
            fence = line[3:].strip(), number
        elif found := re.match(r"##? (.+)", line):
            section = found[1].strip()
        else:
            # Anything else that Markdown shows as code, or could take for a fence, would escape the tests.
            assert "```" not in line, f"{page}, line {number}: a fence stands at the beginning of its line"
            assert not line.startswith("~~~"), f"{page}, line {number}: fences are made of ```"
    assert fence is None, f"{page}, line {fence and fence[1]}: this fence is never closed"


def tables_of(text: str) -> Iterator[Table]:
    """Every table of a page."""
    section = ""
    for is_table, group in groupby(_outside_of_fences(text), key=lambda line: line.startswith("|")):
        lines = list(group)
        if is_table:
            head, _, *rows = map(_cells, lines)
            yield Table(section, head, rows)
        else:
            headings = [line.lstrip("#").strip() for line in lines if line.startswith("#")]
            section = headings[-1] if headings else section


def table_after(text: str, heading: str) -> list[list[str]]:
    """The body rows of the first table below a heading of any level, backticks left out of the cells."""
    tables = [table for table in tables_of(text) if table.section == heading]
    assert tables, f"there is no table below {heading!r}"
    return [[cell.replace("`", "") for cell in row] for row in tables[0].rows]


def code_in(cell: str) -> str:
    """The text of a cell that is one piece of code: `x`, or `` x `` around backticks of its own."""
    found = re.fullmatch(r"`` (.+) ``|`([^`]+)`", cell)
    assert found, f"this is not one piece of code: {cell}"
    return found[1] or found[2]


def links_of(text: str) -> Iterator[str]:
    """Where links lead, those in code left out."""
    for line in _outside_of_fences(text):
        yield from re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line))


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, made by the rule of Git hosts."""
    headings = (line.lstrip("#").strip() for line in _outside_of_fences(text) if re.match(r"#+ ", line))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _outside_of_fences(text: str) -> Iterator[str]:
    is_inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            is_inside = not is_inside
        elif not is_inside:
            yield line


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
