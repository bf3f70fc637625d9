"""One clause against all phrases."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from engine.phrases import Phrase, Template
from engine.planner.rules.reading import Match
from engine.planner.rules.speech import Speech, Tokens, past_opening
from engine.planner.rules.templates import match_template
from engine.planner.rules.times.reading import Found
from engine.planner.rules.wordings import WordingReading

MOST_TOKENS: Final = 120
"""A clause of more words is not looked at: nobody says that many, and quoted text is one."""


def matches(tokens: Tokens, speech: Speech, now: datetime, *, only: Phrase | None = None) -> list[Match]:
    """Every reading of the clause that has at least a phrase's verb (or its noun, where that is enough)."""
    if not tokens or len(tokens) > MOST_TOKENS:
        return []
    words = {token.word for token in tokens}
    times: dict[int, Found | None] = {}
    found: list[Match] = []
    for tool, entry in speech.entries:
        match: Match | None = None
        if isinstance(entry, Template):
            if only is None:
                match = match_template(entry, tool, tokens, past_opening(tokens), now)
        elif (only is None or only is entry.wording) and entry.may_fit(words):
            match = WordingReading(tokens, entry, now, times).match(tool)
        if match is not None:
            found.append(match)
    return found
