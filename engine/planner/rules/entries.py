"""What to say instead of asking for a deed outside, for those who only want to see it in their calendar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.planner.rules.deeds import BOOK_NAMES
from engine.planner.rules.slots import as_written, split_words
from engine.planner.rules.speech import Tokens, past_opening
from engine.planner.rules.times import TIME_NAMES, read_time
from engine.planner.rules.tokens import Kind, Token
from engine.planner.rules.words import FILLERS, JOINS, RELATIONS

_EXAMPLE_TIME: Final = "on Friday at 7pm"
_ENTERING: Final = tuple(
    split_words(text)
    for text in (
        "book me", "book us", "book", "reserve", "schedule", "plan", "arrange", "organize", "organise", "put", "add",
        "set up", "pencil in", "block out", "block off", "block",
    )
)  # fmt: skip
"""Verbs that only say to enter something: they are no part of its title."""
_LEFT_OF_TIMES: Final = TIME_NAMES | {"night", "nights", "noon", "midnight"}
"""What was said of time and not read as one: no title either."""


def entries_for(tokens: Tokens) -> list[tuple[str, str]]:
    """Sentences that may enter what the clause says, best first, each with the words that lead to it.

    Whether a sentence can be planned is for the caller to see.
    """
    at, end = past_opening(tokens), len(tokens)
    while end > at and tokens[end - 1].kind is Kind.MARK:
        end -= 1
    when, rest = _when_and_rest(tokens[at:end])
    title = _title(rest)
    if not title or any(quote in title for quote in '“”"') or any(token.word in _LEFT_OF_TIMES for token in rest):
        return []
    entry = f"add “{title}” to my calendar"
    at_its_time = [("if you say", f"{entry} {when}")] if when else []
    return [*at_its_time, ("if you say when, for example", f"{entry} {_EXAMPLE_TIME}")]


def _when_and_rest(tokens: Tokens) -> tuple[str, list[Token]]:
    times: list[str] = []
    rest: list[Token] = []
    at = 0
    while at < len(tokens):
        found = read_time(tokens, at) if at else None
        if found:
            times.append(as_written(tokens[at : found[1]]))
            at = found[1]
        else:
            rest.append(tokens[at])
            at += 1
    return " ".join(times), rest


def _title(rest: Sequence[Token]) -> str:
    """The words without a verb that only says to enter them, and without small words at the ends."""
    words = list(rest)
    if not (len(words) > 1 and words[0].word == "book" and words[1].word in BOOK_NAMES):
        said = tuple(token.word for token in words)
        entering = next((verb for verb in _ENTERING if said[: len(verb)] == verb), ())
        words = words[len(entering) :]
    while words and words[0].word in FILLERS | JOINS:
        words = words[1:]
    while words and (words[-1].word in FILLERS | JOINS | RELATIONS or words[-1].kind is Kind.MARK):
        words = words[:-1]
    return as_written(words)
