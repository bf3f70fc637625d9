"""A planner's input besides the sentence, and its refusal of a sentence that it can't plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

_LONGEST_PART: Final = 120


@dataclass(frozen=True, slots=True)
class PlanningContext:
    """`now` is aware: its time zone is the one that days and times are meant in."""

    now: datetime
    max_steps: int = 2000

    def __post_init__(self) -> None:
        if self.now.utcoffset() is None:
            raise ValueError("PlanningContext.now needs a time zone")


class Unplannable(Exception):
    """The sentence has parts that no tool can do; nothing of it is planned.

    `parts` are the sentence's own words, in order; `str()` names each with its reason, and what can be done.
    """

    def __init__(self, faults: tuple[tuple[str, str], ...], *, suggestions: tuple[str, ...] = ()) -> None:
        named = [(shown(part), reason) for part, reason in faults]
        self.parts = tuple(part for part, _ in named if part)
        self.reasons = tuple(reason for _, reason in named)
        listed = "; ".join(f"“{part}”: {reason}" if part else reason for part, reason in named)
        can = f" Try for example: {'; '.join(suggestions)}." if suggestions else ""
        super().__init__(f"Nothing was planned. {listed}.{can}")


def shown(part: str) -> str:
    """The words as they can be stored and shown: one line, not endless, no control characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in part)
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST_PART else f"{line[: _LONGEST_PART - 1]}…"
