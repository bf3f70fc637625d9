"""The phrases of all tools, indexed by the words that they can begin with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.phrases import Phrase, Slot, SpeakableTool, Template, Wording
from engine.planner.rules.slots import SEPARATORS, FirstWords, first_words, match_words, split_words
from engine.planner.rules.tokens import Token
from engine.planner.rules.words import FILLERS, OPENINGS, POLITE

Tokens = Sequence[Token]
Words = tuple[str, ...]
_ByFirst = Mapping[str, tuple[Words, ...]]


@dataclass(frozen=True, slots=True)
class IndexedWording:
    """A wording with its verbs, nouns and slots by their first words."""

    wording: Wording
    verbs: _ByFirst
    nouns: _ByFirst
    slots: tuple[tuple[str, Slot, FirstWords], ...]

    @classmethod
    def of(cls, wording: Wording) -> IndexedWording:
        """The wording, indexed."""
        slots = tuple((name, slot, first_words(slot)) for name, slot in wording.slots.items())
        return cls(wording, _by_first(wording.verbs), _by_first(wording.nouns), slots)

    def may_fit(self, words: set[str]) -> bool:
        """Whether a clause of these words can have the wording's verb, or its noun where that is enough."""
        return not words.isdisjoint(self.verbs) or (self.wording.bare and not words.isdisjoint(self.nouns))

    def verb_end(self, tokens: Tokens, at: int) -> int:
        """Where the longest verb ends that stands here; 0 if none does."""
        return _longest(self.verbs, tokens, at)

    def noun_end(self, tokens: Tokens, at: int) -> int:
        """Where the longest noun ends that stands here; 0 if none does."""
        return _longest(self.nouns, tokens, at)


@dataclass(frozen=True, slots=True)
class Speech:
    """All that the tools declare, in their order."""

    entries: tuple[tuple[SpeakableTool, IndexedWording | Template], ...]
    verbs: _ByFirst
    doing: _ByFirst
    """The verbs of tools that do more than write down."""

    @classmethod
    def of(cls, tools: Iterable[SpeakableTool]) -> Speech:
        """The tools' phrases; strings are read as templates."""
        entries: list[tuple[SpeakableTool, IndexedWording | Template]] = []
        verbs: list[str] = []
        doing: list[str] = []
        for tool in tools:
            for said in tool.phrases:
                phrase = Phrase.parse(said) if isinstance(said, str) else said
                if isinstance(phrase, Wording):
                    entries.append((tool, IndexedWording.of(phrase)))
                    verbs += phrase.verbs
                    doing += () if phrase.writes_down else phrase.verbs
                elif isinstance(phrase, Template):
                    entries.append((tool, phrase))
                    first = [parts[0] for parts in phrase.variants if isinstance(parts[0], str)]
                    verbs += first
                    doing += first
        return cls(tuple(entries), _by_first(dict.fromkeys(verbs)), _by_first(dict.fromkeys(doing)))

    def begins_request(self, tokens: Tokens) -> bool:
        """Whether the tokens begin with a verb that some tool declares."""
        at = past_opening(tokens)
        return at < len(tokens) and _longest(self.verbs, tokens, at) > 0

    def doing_end(self, tokens: Tokens) -> int:
        """Where the verb ends that the tokens begin with, if a tool that does something declares it; 0 if none does."""
        at = past_opening(tokens)
        return _longest(self.doing, tokens, at) if at < len(tokens) else 0


def past_opening(tokens: Tokens) -> int:
    """Where the clause really begins, after “please”, “I want to” and the like."""
    at = 0
    while at < len(tokens):
        end = opening_end(tokens, at)
        if end is None and (tokens[at].word in FILLERS or tokens[at].word in SEPARATORS):
            end = at + 1
        if end is None:
            break
        at = end
    return at


def opening_end(tokens: Tokens, at: int) -> int | None:
    """Where the courtesy ends that stands here and may stand before a verb; None if none does."""
    return _longest(_OPENINGS, tokens, at) or None


def polite_end(tokens: Tokens, at: int) -> int | None:
    """Where the courtesy ends that stands here and may stand anywhere; None if none does."""
    return _longest(_POLITE, tokens, at) or None


def _by_first(texts: Iterable[str]) -> _ByFirst:
    found: dict[str, list[Words]] = {}
    for text in texts:
        words = split_words(text)
        found.setdefault(words[0], []).append(words)
    return {first: tuple(sorted(groups, key=len, reverse=True)) for first, groups in found.items()}


def _longest(by_first: _ByFirst, tokens: Tokens, at: int) -> int:
    ends = (match_words(tokens, at, words) for words in by_first.get(tokens[at].word, ()))
    return max((end for end in ends if end), default=0)


_OPENINGS: Final = _by_first(" ".join(words) for words in OPENINGS)
_POLITE: Final = _by_first(" ".join(words) for words in POLITE)
