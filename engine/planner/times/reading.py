"""What the readers of time share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    if at >= len(tokens):
        return at
    for words in _by_first(leads).get(tokens[at].word, ()):
        if follows(tokens, at, words):
            return at + len(words)
    return at


@lru_cache(maxsize=256)
def _by_first(leads: tuple[str, ...]) -> Mapping[str, tuple[tuple[str, ...], ...]]:
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for lead in leads:
        words = tuple(lead.split())
        found[words[0]] = (*found.get(words[0], ()), words)
    return found
