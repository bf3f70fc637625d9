"""What one phrase makes of one clause."""

from __future__ import annotations

from dataclasses import dataclass

from engine.phrases import Facts, Phrase, Refusal, SpeakableTool
from engine.planner.rules.tokens import Token


@dataclass(frozen=True, slots=True)
class Match:
    """A clause as one phrase reads it.

    `left` are the runs of words that found no place, `refusal` is why it can't be planned although all did;
    with neither, the match is whole. `head` is the verb's tokens.
    """

    tool: SpeakableTool
    phrase: Phrase
    facts: Facts
    head: tuple[Token, ...]
    left: tuple[str, ...] = ()
    refusal: Refusal | None = None
    score: tuple[int, int, int] = (0, 0, 0)

    @property
    def is_whole(self) -> bool:
        """Whether every word found its place."""
        return not self.left and self.refusal is None
