"""Parts of the day: “in the evening”, “this morning”, “tonight”, “early in the morning”."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.planner.rules.times.atoms import Part, PartName, PartOf
from engine.planner.rules.times.reading import Found, Tokens, skip, word_at

PARTS: Final[dict[str, PartName]] = {"morning": "morning", "afternoon": "afternoon", "evening": "evening"}
MERIDIEM_PARTS: Final[Mapping[str, int]] = {"morning": 0, "am": 0, "afternoon": 12, "evening": 12, "pm": 12}
"""What “in the …” after an hour tells of the half of the day: hours from noon."""
_EDGES: Final[Mapping[tuple[str, str], int]] = {
    ("early", "morning"): 7 * 60, ("late", "morning"): 11 * 60, ("early", "afternoon"): 13 * 60,
    ("late", "afternoon"): 17 * 60, ("early", "evening"): 18 * 60, ("late", "evening"): 21 * 60,
}  # fmt: skip
PART_WORDS: Final = frozenset({*PARTS, "tonight", "tonite", "at", "in", "this", "early", "late"})


def read_part(tokens: Tokens, at: int) -> Found | None:
    """A part of the day: “in the evening”, “this morning”, “at night”, “tonight”."""
    if word_at(tokens, at) in {"tonight", "tonite"} or word_at(tokens, skip(tokens, at, "for")) == "tonight":
        return PartOf("evening"), skip(tokens, at, "for") + 1
    place = skip(tokens, at, "this")
    if place > at and word_at(tokens, place) in PARTS:
        return PartOf(PARTS[word_at(tokens, place)]), place + 1
    return _part(tokens, at)


def read_part_after(tokens: Tokens, at: int) -> tuple[Part, int] | None:
    """The part of the day that stands right behind a day: “tomorrow night”, “Monday early in the morning”."""
    if word_at(tokens, at) == "night":
        return Part("night"), at + 1
    return _part(tokens, at)


def _part(tokens: Tokens, at: int) -> tuple[Part, int] | None:
    if (night := skip(tokens, at, "at night")) > at:
        return Part("night"), night
    edge = word_at(tokens, at) if word_at(tokens, at) in {"early", "late"} else ""
    place = skip(tokens, at + 1 if edge else at, "in the")
    if place > at and not edge:
        edge = word_at(tokens, place) if word_at(tokens, place) in {"early", "late"} else ""
        place += bool(edge)
    word = word_at(tokens, place)
    if word not in PARTS:
        return None
    return Part(PARTS[word], _EDGES.get((edge, word))), place + 1
