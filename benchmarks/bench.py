"""The tools of every row: the database server, the amount of work, and the progress report."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks.cluster import Cluster
from benchmarks.figures import Row

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmarks."""

    cluster: Cluster
    place: Path | None
    repeats: int
    quick: bool = False
    slow: bool = False
    peers: bool = False
    wanted: frozenset[int] = frozenset()
    chatty: bool = field(default=True)

    @property
    def folder(self) -> Path:
        """Where our processes keep their files."""
        return self.cluster.folder

    def of(self, full: T, quick: T) -> T:
        """How much of something to do."""
        return quick if self.quick else full

    def say(self, text: str) -> None:
        """Report the progress."""
        if self.chatty:
            print(text, file=sys.stderr, flush=True)


Measure = Callable[[Bench], Awaitable[list[Row]]]
