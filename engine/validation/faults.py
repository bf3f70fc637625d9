"""Collects what is wrong with a plan, each fault at its path."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from engine.errors import InvalidPlan, Path, PlanFault
from engine.nearest import Hints
from engine.tools import Fault

STEPS: Final[Path] = ("plan", "steps")
ANSWER: Final[Path] = ("plan", "answer")


class Faults:
    """The faults of one plan, and how many more words are looked up for them."""

    def __init__(self) -> None:
        self.hints = Hints()
        self.found: list[PlanFault] = []

    def add(self, path: Path, message: str, *, unknown_tool: bool = False) -> None:
        """One more."""
        self.found.append(PlanFault(message, path, unknown_tool))

    def of_step(self, place: int, *path: str | int, message: str, unknown_tool: bool = False) -> None:
        """One more, of a step."""
        self.add((*STEPS, place, *path), message, unknown_tool=unknown_tool)

    def all_below(self, path: Path, faults: Iterable[Fault]) -> None:
        """More of them, whose paths begin at this one."""
        for fault in faults:
            self.add((*path, *fault.path), fault.message)

    def near(self, word: object, known: Collection[str]) -> str:
        """What a message about an unknown word ends with."""
        return self.hints.near(word, known)

    def refuse(self) -> None:
        """Raise InvalidPlan if there are any: in the order of the plan, those of the whole plan last."""
        if self.found:
            raise InvalidPlan(tuple(sorted(self.found, key=_order)))


def _order(fault: PlanFault) -> tuple[Any, ...]:
    path = fault.path
    return len(path) < 3, path[:2] != STEPS, tuple((isinstance(part, str), part) for part in path)
