"""Ranks postings for a query: BM25 with a weight for each field (BM25F), and it says why.

Robertson, Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond (2009).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from engine.tools.builtin.postings import Posting
from engine.tools.builtin.words import words_of

WEIGHTS: Final[Mapping[str, float]] = {
    "title": 5.0,
    "skills": 3.0,
    "seniority": 2.0,
    "category": 1.5,
    "company": 2.0,
    "location": 1.5,
    "description": 1.0,
}
"""How much more a word counts in one field than in another."""

_SATURATION: Final = 1.2
_LENGTH: Final = 0.5
_ENOUGH: Final = 0.5
"""The part of the query's weight that a posting has to have; a place alone counts half."""

_SAY_NOTHING: Final = frozenset(
    words_of(
        "a an and any around as at based by find for from get give good have i in into is it job looking me my near "
        "of offer on open opening or please position role search some that the there to vacancy want with work"
    )
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A posting with its place's reasons."""

    posting: Posting
    score: float
    why: str


@dataclass(frozen=True, slots=True)
class _Indexed:
    posting: Posting
    fields: Mapping[str, Counter[str]]
    length: float


def rank(postings: Sequence[Posting], query: str) -> tuple[list[Ranked], list[str]]:
    """The postings that fit, best first, and the query's words that no posting has.

    Equal scores: the newer first, then by id. A query of which no word is known finds nothing; one that says
    nothing ("any job") finds everything.
    """
    terms = list(dict.fromkeys(word for word in words_of(query) if word not in _SAY_NOTHING))
    index = [_indexed(posting) for posting in postings]
    weights = {term: _rarity(term, index) for term in terms}
    known = {term: weight for term, weight in weights.items() if weight > 0}
    unknown = [term for term in terms if term not in known]
    if terms and not known:
        return [], unknown
    average = sum(each.length for each in index) / len(index) if index else 1.0
    found = [ranked for each in index if (ranked := _ranked(each, known, average)) is not None]
    found.sort(key=lambda ranked: ranked.posting.id)
    found.sort(key=lambda ranked: ranked.posting.posted_at or "", reverse=True)
    found.sort(key=lambda ranked: ranked.score, reverse=True)
    return found, unknown


def _ranked(each: _Indexed, weights: Mapping[str, float], average: float) -> Ranked | None:
    score = 0.0
    has = 0.0
    reasons: dict[str, list[str]] = {}
    for term, weight in weights.items():
        places = [name for name, words in each.fields.items() if term in words]
        if not places:
            continue
        has += weight / 2 if places == ["location"] else weight
        for name in places:
            reasons.setdefault(name, []).append(term)
        frequency = sum(WEIGHTS[name] * each.fields[name][term] for name in places)
        norm = _SATURATION * (1 - _LENGTH + _LENGTH * each.length / average)
        score += weight * frequency * (_SATURATION + 1) / (frequency + norm)
    if has < _ENOUGH * sum(weights.values()):
        return None
    why = "; ".join(f"{name}: {', '.join(terms)}" for name, terms in reasons.items())
    return Ranked(each.posting, round(score, 3), why or "every posting fits this query; the newest come first")


def _rarity(term: str, index: Sequence[_Indexed]) -> float:
    """The rarer a word among the postings, the more it says; 0 for one that none has."""
    having = sum(any(term in words for words in each.fields.values()) for each in index)
    return log(1 + (len(index) - having + 0.5) / (having + 0.5)) if having else 0.0


def _indexed(posting: Posting) -> _Indexed:
    texts: dict[str, Iterable[str | None]] = {
        "title": [posting.title],
        "skills": posting.skills,
        "seniority": [posting.seniority],
        "category": [posting.category],
        "company": [posting.company],
        "location": [posting.location, "remote" if posting.remote else None],
        "description": [posting.description],
    }
    fields = {
        name: Counter(word for text in several if text for word in words_of(text)) for name, several in texts.items()
    }
    return _Indexed(posting, fields, float(sum(words.total() for words in fields.values())))
