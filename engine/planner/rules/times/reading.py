"""What the readers of time share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from engine.planner.rules.numbers import follows
from engine.planner.rules.times.atoms import Atom
from engine.planner.rules.tokens import Kind, Token

Tokens = Sequence[Token]
Found = tuple[Atom, int]
"""What is said, and where it ends."""
_NO_NOUNS: Final = frozenset(
    {
        "at", "on", "in", "for", "from", "to", "until", "till", "through", "by", "with", "and", "or", "every", "each",
        "daily", "weekly", "monthly", "this", "next", "starting", "beginning", "ending", "lasting", "the", "a", "an",
        "my", "today", "tomorrow", "tonight", "please", "thanks", "then", "also", "about", "of", "between", "before",
        "after", "during", "once", "twice", "noon", "midnight", "monday", "tuesday", "wednesday", "thursday", "friday",
        "saturday", "sunday", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "sharp", "is", "so", "as", "called",
        "coming", "via", "per", "except",
    }
)  # fmt: skip


def word_at(tokens: Tokens, at: int) -> str:
    """The word at a place, for comparing; nothing past the end."""
    return tokens[at].word if at < len(tokens) else ""


def stands_alone(tokens: Tokens, end: int) -> bool:
    """Whether what ends here has no noun behind it that it may belong to: “at 3 15”, not “at 3 15 people”."""
    return end >= len(tokens) or tokens[end].kind is Kind.MARK or tokens[end].word in _NO_NOUNS


def touches(tokens: Tokens, at: int) -> bool:
    """Whether the token follows the one before it without a blank."""
    return 0 < at < len(tokens) and tokens[at - 1].end == tokens[at].start


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
