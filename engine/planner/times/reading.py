"""What the readers of time share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from engine.planner.numbers import follows
from engine.planner.times.atoms import Atom
from engine.planner.tokens import Token

Tokens = Sequence[Token]
Found = tuple[Atom, int]
"""What is said, and where it ends."""


def word_at(tokens: Tokens, at: int) -> str:
    """The word at a place, for comparing; nothing past the end."""
    return tokens[at].word if at < len(tokens) else ""


def skip(tokens: Tokens, at: int, *leads: str) -> int:
    """Past the first of these word groups that stands here; the same place if none does."""
    for lead in leads:
        words = _split(lead)
        if follows(tokens, at, words):
            return at + len(words)
    return at


@lru_cache(maxsize=1024)
def _split(lead: str) -> tuple[str, ...]:
    return tuple(lead.split())
