"""One clause against one wording or template: what it says, and which of its words nobody understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from engine.phrases import (
    Choice,
    Count,
    Facts,
    Phrase,
    Quantity,
    Refusal,
    Span,
    SpeakableTool,
    Subject,
    Template,
    When,
    Wording,
)
from engine.planner.occasions import occasions, period
from engine.planner.slots import SEPARATORS, as_written, begins_slot, match_words, read_slot, split_words
from engine.planner.templates import match_template
from engine.planner.tokens import Kind, Token
from engine.planner.words import FILLERS, JOINS, OPENINGS, POLITE, RELATIONS

Tokens = Sequence[Token]
MOST_TOKENS: Final = 120
"""A clause of more words is not looked at: nobody says that many, and quoted text is one."""


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


@dataclass(frozen=True, slots=True)
class Speech:
    """The phrases of all tools, and what makes looking through them quick."""

    entries: tuple[tuple[SpeakableTool, Phrase], ...]
    verbs: Mapping[str, tuple[tuple[str, ...], ...]]

    @classmethod
    def of(cls, tools: Iterable[SpeakableTool]) -> Speech:
        """All that the tools declare, in their order."""
        entries: list[tuple[SpeakableTool, Phrase]] = []
        verbs: dict[str, list[tuple[str, ...]]] = {}
        for tool in tools:
            for said in tool.phrases:
                phrase = Phrase.parse(said) if isinstance(said, str) else said
                entries.append((tool, phrase))
                for verb in _verbs_of(phrase):
                    verbs.setdefault(verb[0], []).append(verb)
        return cls(tuple(entries), {first: tuple(all_of) for first, all_of in verbs.items()})

    def begins_request(self, tokens: Tokens) -> bool:
        """Whether the tokens begin with a verb that some tool declares."""
        at = past_opening(tokens)
        if at >= len(tokens):
            return False
        return any(match_words(tokens, at, verb) is not None for verb in self.verbs.get(tokens[at].word, ()))


def _verbs_of(phrase: Phrase) -> Iterable[tuple[str, ...]]:
    if isinstance(phrase, Wording):
        return [split_words(verb) for verb in phrase.verbs]
    if isinstance(phrase, Template):
        return {(parts[0],) for parts in phrase.variants if isinstance(parts[0], str)}
    return ()


def past_opening(tokens: Tokens) -> int:
    """Where the clause really begins, after “please”, “I want to” and the like."""
    at = 0
    while at < len(tokens):
        end = _phrase_end(OPENINGS, tokens, at)
        if end is None and (tokens[at].word in FILLERS or tokens[at].word in SEPARATORS):
            end = at + 1
        if end is None:
            break
        at = end
    return at


def _phrase_end(phrases: Sequence[tuple[str, ...]], tokens: Tokens, at: int) -> int | None:
    for words in phrases:
        if tokens[at].word == words[0] and all(
            at + offset < len(tokens) and tokens[at + offset].word == word for offset, word in enumerate(words)
        ):
            return at + len(words)
    return None


def matches(tokens: Tokens, speech: Speech, now: datetime, *, only: Phrase | None = None) -> list[Match]:
    """Every reading of the clause that has at least a phrase's verb (or its noun, where that is enough)."""
    if not tokens or len(tokens) > MOST_TOKENS:
        return []
    words = {token.word for token in tokens}
    found: list[Match] = []
    for tool, phrase in speech.entries:
        if only is not None and phrase is not only:
            continue
        if isinstance(phrase, Wording):
            if _may_fit(phrase, words) and (match := _Reading(tokens, phrase, now).match(tool)):
                found.append(match)
        elif isinstance(phrase, Template):
            reading = match_template(phrase, tool, tokens, past_opening(tokens), now)
            if reading:
                facts, literals, refusal = reading
                score = (literals, 0, literals - len(tokens))
                found.append(Match(tool, phrase, facts, (), refusal=refusal, score=score))
    return found


def _may_fit(wording: Wording, words: set[str]) -> bool:
    if any(split_words(verb)[0] in words for verb in wording.verbs):
        return True
    return wording.bare and any(split_words(noun)[0] in words for noun in wording.nouns)


# ── one wording ────────────────────────────────────────────────────────────────────────────────────

_VERB: Final = "verb"
_NOUN: Final = "noun"
_SILENT: Final = "silent"
_SEPARATOR: Final = "separator"
_LOOSE: Final = "loose"
_SLOT: Final = "slot"


@dataclass(slots=True)
class _Reading:
    tokens: Tokens
    wording: Wording
    now: datetime
    marks: list[str] = field(default_factory=list[str])
    values: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    said: dict[str, list[Token]] = field(default_factory=dict[str, list[Token]])
    head: tuple[Token, ...] = ()
    noun_at: int | None = None

    def match(self, tool: SpeakableTool) -> Match | None:
        self._scan()
        if not self.head and not (self.wording.bare and self.noun_at is not None):
            return None
        subject, left = self._subject()
        values: dict[str, Any] = {}
        refusal: Refusal | None = None
        try:
            values = self._values()
        except Refusal as why:
            refusal = why
        text = as_written(self.tokens)
        facts = Facts(text, subject, values, {name: as_written(said) for name, said in self.said.items()})
        refusal = refusal or self._missing(facts)
        return Match(tool, self.wording, facts, self.head, left, refusal, self._score(subject))

    def _score(self, subject: str | None) -> tuple[int, int, int]:
        literal = self.marks.count(_VERB) + 2 * self.marks.count(_NOUN)
        return literal, self.marks.count(_SLOT), -len(subject.split()) if subject else 0

    def _missing(self, facts: Facts) -> Refusal | None:
        if self.wording.nouns and self.noun_at is None:
            return Refusal(f"says nothing of {' or '.join(self.wording.nouns[:2])}")
        for name, reason in self.wording.needs.items():
            if facts.subject is None if name == "subject" else name not in facts.values:
                return Refusal(reason)
        return None

    # scanning

    def _scan(self) -> None:
        at = 0
        while at < len(self.tokens):
            end = self._step(at)
            assert end == len(self.marks) > at
            at = end

    def _step(self, at: int) -> int:
        token = self.tokens[at]
        if not self.head and _LOOSE not in self.marks:
            if end := self._verb_end(at):
                self.head = tuple(self.tokens[at:end])
                return self._mark(_VERB, end)
            if end := _phrase_end(OPENINGS, self.tokens, at):
                return self._mark(_SILENT, end)
        noun_end = self._noun_end(at) if self.noun_at is None else None
        name, value, slot_end = self._slot(at)
        if noun_end and noun_end >= slot_end:
            self.noun_at = at
            return self._mark(_NOUN, noun_end)
        if slot_end > at:
            self.values.setdefault(name, []).append(value)
            self.said.setdefault(name, []).extend(self.tokens[at:slot_end])
            return self._mark(_SLOT, slot_end)
        if end := _phrase_end(POLITE, self.tokens, at):
            return self._mark(_SILENT, end)
        if token.word in SEPARATORS:
            return self._mark(_SEPARATOR, at + 1)
        return self._mark(_SILENT if token.word in FILLERS else _LOOSE, at + 1)

    def _mark(self, mark: str, end: int) -> int:
        self.marks += [mark] * (end - len(self.marks))
        return end

    def _verb_end(self, at: int) -> int:
        ends = (match_words(self.tokens, at, split_words(verb)) for verb in self.wording.verbs)
        return max((end for end in ends if end), default=0)

    def _noun_end(self, at: int) -> int:
        ends = (match_words(self.tokens, at, split_words(noun)) for noun in self.wording.nouns)
        return max((end for end in ends if end), default=0)

    def _slot(self, at: int) -> tuple[str, Any, int]:
        best: tuple[str, Any, int] = ("", None, at)
        for name, slot in self.wording.slots.items():
            if isinstance(slot, Count) and (_LOOSE in self.marks or name in self.values):
                continue
            reading = read_slot(slot, self.tokens, at, self._something_begins)
            if reading and reading[1] > best[2] and self._is_new(name, reading[0]):
                best = (name, reading[0], reading[1])
        return best

    def _is_new(self, name: str, value: Any) -> bool:
        """A slot says one thing, unless it is a list or of time; what contradicts it is left over."""
        slot, before = self.wording.slots[name], self.values.get(name)
        return not before or isinstance(slot, When | Span) or isinstance(value, tuple) or before == [value]

    def _something_begins(self, at: int) -> bool:
        if self._noun_end(at):
            return True
        return any(begins_slot(slot, self.tokens, at) for slot in self.wording.slots.values())

    # what came of it

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, found in self.values.items():
            slot = self.wording.slots[name]
            if isinstance(slot, When):
                values[name] = occasions(found, self.now, number=self._number())
            elif isinstance(slot, Span):
                values[name] = period(found, self.now)
            elif isinstance(found[0], tuple) and not isinstance(slot, Choice):
                values[name] = tuple(dict.fromkeys(item for items in found for item in items))
            else:
                values[name] = found[0]
        return values

    def _number(self) -> int | None:
        for name, slot in self.wording.slots.items():
            if isinstance(slot, Count) and name in self.values:
                quantity: Quantity = self.values[name][0]
                if quantity.number is None:
                    raise Refusal("says no number", part=quantity.text)
                return quantity.number
        return None

    def _subject(self) -> tuple[str | None, tuple[str, ...]]:
        """The topic, and the runs of words that belong nowhere."""
        topic: list[Sequence[int]] = []
        left: list[Sequence[int]] = []
        for run in self._loose_runs():
            kept = self._topic_of(run, is_first=not topic)
            if kept:
                topic.append(kept)
            rest = [place for place in run if not kept or place > kept[-1]]
            if rest:
                left.append(rest)
        said = [as_written([self.tokens[place] for place in run]) for run in topic]
        words = tuple(as_written([self.tokens[place] for place in run]) for run in left)
        return (" ".join(said) or None), words

    def _loose_runs(self) -> Iterable[Sequence[int]]:
        """The runs of loose words, each with the small words and marks inside it."""
        run: list[int] = []
        for place, mark in enumerate(self.marks):
            if mark == _LOOSE:
                run = [*range(run[0], place), place] if run else [place]
            elif run and mark not in {_SILENT, _SEPARATOR}:
                yield run
                run = []
        if run:
            yield run

    def _topic_of(self, run: Sequence[int], *, is_first: bool) -> Sequence[int]:
        """The part of a run that can belong to the topic; empty when none does."""
        subject = self.wording.subject
        if subject is None:
            return ()
        led = self._lead(subject.leads, run) if is_first else 0
        kept = list(takewhile(lambda place: self._may_be_topic(subject, place), run[led:]))
        is_cut = led + len(kept) < len(run)
        while kept and self.marks[kept[-1]] != _LOOSE:
            kept.pop()
        if not kept:
            return ()
        if subject.heads:
            return kept if led or (not is_cut and self._stands_before(subject.heads, kept[-1] + 1)) else ()
        return kept if is_first or self.tokens[run[0]].word in subject.joins else ()

    def _lead(self, leads: Sequence[str], run: Sequence[int]) -> int:
        words = [self.tokens[place].word for place in run]
        fitting = (lead.split() for lead in leads)
        return max((len(lead) for lead in fitting if words[: len(lead)] == lead), default=0)

    def _may_be_topic(self, subject: Subject, place: int) -> bool:
        token = self.tokens[place]
        if token.kind is Kind.QUOTED:
            return True
        return token.word not in RELATIONS and (token.word not in JOINS or token.word in subject.joins)

    def _stands_before(self, heads: Sequence[str], at: int) -> bool:
        """Whether one of the words comes next, with nothing but slots in between."""
        while at < len(self.tokens) and self.tokens[at].word not in heads:
            if self.marks[at] not in {_SLOT, _SILENT, _LOOSE}:
                return False
            at += 1
        return at < len(self.tokens)
