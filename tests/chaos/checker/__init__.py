"""Holds a whole history against the invariants; each violation names its run, its event and the lines that show it."""

from __future__ import annotations

# Importing them registers their checks.
from tests.chaos.checker import decisions, durability, effects, hygiene, states, timelines
from tests.chaos.checker.seen import CHECKS, Seen, Violation
from tests.chaos.history import History

__all__ = ["CHECKS", "Violation", "check", "decisions", "durability", "effects", "hygiene", "states", "timelines"]


def check(history: History) -> list[Violation]:
    """Everything that does not hold."""
    seen = Seen(history)
    return [violation for each in CHECKS.values() for violation in each(seen)]
