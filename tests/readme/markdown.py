"""The parts of a Markdown file that can be held against the program: fenced blocks and tables, by their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its words after the fence, its text, and where it begins."""

    words: tuple[str, ...]
    text: str
    line: int
    section: str

    @property
    def kind(self) -> str:
        """The first two words, a file's name left out: `sh`, `json answer`, `python file`."""
        return " ".join(self.words[:2]).split("=")[0]

    def __str__(self) -> str:
        return f"line {self.line}: ```{' '.join(self.words)}"


def blocks_of(text: str) -> Iterator[Block]:
    """Every fenced block, each under its nearest heading of level 2."""
    section, fence, inside = "", None, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if fence is not None:
            if line.rstrip() == "```":
                yield Block(tuple(fence[0].split()), "\n".join(inside) + "\n", fence[1], section)
                fence, inside = None, []
            else:
                inside.append(line)
        elif line.startswith("```"):
            fence = line[3:].strip(), number
        elif line.startswith("## "):
            section = line[3:].strip()
        else:
            # Anything else that Markdown shows as code, or could take for a fence, would escape the tests.
            assert "```" not in line, f"line {number}: a fence stands at the beginning of its line"
            assert not line.startswith("~~~"), f"line {number}: fences are made of ```"
    assert fence is None, f"line {fence and fence[1]}: this fence is never closed"


def table_after(text: str, heading: str) -> list[list[str]]:
    """The body rows of the first table below a heading of any level, backticks left out of the cells."""
    lines = iter(text.splitlines())
    assert any(re.fullmatch(rf"#+ {re.escape(heading)}", line) for line in lines), f"there is no heading {heading!r}"
    rows = list[list[str]]()
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")])
        elif rows or line.startswith("#"):
            break
    assert len(rows) > 2, f"there is no table below {heading!r}"
    return rows[2:]


def links_of(text: str) -> Iterator[str]:
    """Where links lead."""
    yield from re.findall(r"\]\(([^)\s]+)\)", text)
