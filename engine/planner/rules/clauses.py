"""A sentence as clauses, each read by one phrase of one tool.

Sentence ends, “;”, “then” and a verb that some tool declares always begin a clause. A comma or an “and” may
stand inside one (“on Monday, Wednesday and Friday”): the longest run that a phrase reads without a word left
over is taken. What follows may leave its verb away (“schedule gym on Monday and yoga on Tuesday”).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from engine.phrases import Phrase, Refusal
from engine.planner.rules.doubts import misspelling
from engine.planner.rules.matching import matches
from engine.planner.rules.numbers import follows
from engine.planner.rules.outside import OutsideEffect, asked_change, asked_deed, begins_deed
from engine.planner.rules.reading import Match
from engine.planner.rules.slots import as_written
from engine.planner.rules.speech import Speech, past_opening
from engine.planner.rules.times import read_time
from engine.planner.rules.times.dates import read_year
from engine.planner.rules.tokens import Kind, Token, plain
from engine.planner.rules.words import (
    DETERMINERS,
    IMPERATIVES,
    LATER,
    NEGATIONS,
    POLITE,
    SENTENCE_ENDS,
    SILENT_MARKS,
    WEAK_MARKS,
    WEAK_WORDS,
)
from persistence.states import Risk

MOST_CLAUSES: Final = 40
MOST_FAULTS: Final = 20
_LONGEST_JOIN: Final = 12
MOST_EFFORT: Final = 700
"""Words that are read, in all attempts at a sentence together, before it is refused as too tangled."""
UNKNOWN: Final = "no tool can do this"
NEGATED: Final = "nothing is planned from what is not to be done"
UNCHANGED: Final = "I can't {}: only what is new can be asked for"


@dataclass(frozen=True, slots=True)
class Clause:
    """One request; one that `waits` comes after all that stands before its stage."""

    match: Match
    stage: int
    waits: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """Words that can't be planned, and why."""

    part: str
    reason: str
    is_outside: bool = False
    """Whether they ask for a deed outside, for which at most an entry can be made."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """What stands between two separators.

    A stage begins with a sentence or with “then”, which also makes it wait.
    """

    first: int
    end: int
    stage: int
    waits: bool


def clauses_of(tokens: Sequence[Token], speech: Speech, now: datetime) -> tuple[list[Clause], list[Fault]]:
    """The clauses in order, and the parts of the sentence that are none."""
    return _Splitting(tokens, speech, now).split()


@dataclass(slots=True)
class _Splitting:
    tokens: Sequence[Token]
    speech: Speech
    now: datetime
    clauses: list[Clause] = field(default_factory=list[Clause])
    faults: list[Fault] = field(default_factory=list[Fault])
    before: Match | None = None
    """The clause just before, whose verb the next one may leave away."""
    effort: int = 0
    unknown: _Segment | None = None
    """The unknown words just before."""

    def split(self) -> tuple[list[Clause], list[Fault]]:
        segments = [segment for segment in _segments(self.tokens) if not self._is_silent(segment)]
        at = 0
        while at < len(segments):
            if at and segments[at].stage != segments[at - 1].stage and not segments[at].waits:
                self.before = None
            if len(self.clauses) >= MOST_CLAUSES:
                self.faults.append(Fault(self._text(segments[at], segments[-1]), "too many requests at once"))
                break
            at = self._take(segments, at)
            if at < len(segments) and (len(self.faults) >= MOST_FAULTS or self.effort >= MOST_EFFORT):
                self.faults.append(
                    Fault(self._text(segments[at], segments[-1]), "too tangled; say it in simpler parts")
                )
                break
        return self.clauses, self.faults

    def _take(self, segments: Sequence[_Segment], at: int) -> int:
        """Read the clause that begins with this segment; where the next one begins."""
        attempts: list[tuple[int, tuple[Token, ...], Phrase | None]] = [(at, (), None)]
        if self._begins(segments[at]) is None and self.before is not None and self.before.head:
            attempts.append((at, self.before.head, self.before.phrase))
        if self._leads_in(segments, at):
            attempts.append((at + 1, (), None))
        for first, head, only in attempts:
            if found := self._longest(segments, at, first, head, only):
                return self._accept(found[0], segments[at], found[1])
        before, self.unknown = self.unknown, None
        self._refuse(segments[at], before)
        self.before = None
        return at + 1

    def _longest(
        self, segments: Sequence[_Segment], at: int, first: int, head: tuple[Token, ...], only: Phrase | None
    ) -> tuple[Match, int] | None:
        """The clause that begins here and goes on as long as it is whole, at least to the segment `first`."""
        found: tuple[Match, int] | None = None
        for joined in range(first + 1, self._reach(segments, first) + 1):
            match, may_go_on = self._best((*head, *self._words(segments[at], segments[joined - 1])), only=only)
            if match is not None:
                found = match, joined
            elif found is not None and not (may_go_on and self._is_year(segments, joined)):
                break
        return found

    def _is_year(self, segments: Sequence[_Segment], at: int) -> bool:
        """Whether a segment begins with a year, which belongs to the date before it."""
        return at < len(segments) and read_year(self.tokens, segments[at].first)[0] is not None

    def _reach(self, segments: Sequence[_Segment], at: int) -> int:
        """The first segment after this one that surely begins a clause of its own."""
        end = at + 1
        while end < len(segments) and end - at < _LONGEST_JOIN:
            segment = segments[end]
            if segment.stage != segments[at].stage or self._begins(segment):
                break
            end += 1
        return end

    def _begins(self, segment: _Segment) -> str | None:
        """By what the segment shows that it begins a request of its own."""
        words = self._words(segment, segment)
        if self.speech.begins_request(words):
            return "verb"
        rest = words[past_opening(words) :]
        if not rest or rest[0].kind is not Kind.WORD:
            return None
        if rest[0].word in IMPERATIVES or begins_deed(words):
            return "imperative"
        if len(rest) > 1 and rest[1].word in DETERMINERS and rest[0].word.isalpha():
            starts_time = matches_time(rest)
            return None if starts_time else "imperative"
        return None

    def _leads_in(self, segments: Sequence[_Segment], at: int) -> bool:
        """Whether the words before the comma belong to what follows: “This week, schedule gym 3x”."""
        if at + 1 >= len(segments) or self._begins(segments[at]):
            return False
        return segments[at + 1].stage == segments[at].stage and self._begins(segments[at + 1]) == "verb"

    def _words(self, first: _Segment, last: _Segment) -> tuple[Token, ...]:
        return tuple(self.tokens[first.first : last.end])

    def _text(self, first: _Segment, last: _Segment) -> str:
        return as_written(self._words(first, last))

    def _best(self, words: tuple[Token, ...], *, only: Phrase | None = None) -> tuple[Match | None, bool]:
        """The best reading, if it leaves no word over; without one, whether more words may help.

        They may where all is understood and refused: “on Sunday, December 5”, before “2027”.
        The one with the most fixed words counts: “plan groceries for my family tomorrow” is about groceries, though
        a calendar could have an entry of that name.
        """
        if self.effort >= MOST_EFFORT:
            return None, False
        readings = matches(words, self.speech, self.now, only=only)
        self.effort += len(words) if readings else 1
        found = [match for match in readings if match.head or not match.left]
        best = max(found, key=lambda match: (match.score[0], match.is_whole, match.score), default=None)
        if best is None or not best.is_whole:
            return None, best is not None and not best.left
        rivals = {match.tool.name: match.tool for match in found if match.is_whole and match.score == best.score}
        if len(rivals) > 1 and any(tool.risk >= Risk.L3 for tool in rivals.values()):
            return replace(best, refusal=Refusal(f"may mean any of {', '.join(sorted(rivals))}")), False
        return best, False

    def _accept(self, match: Match, segment: _Segment, joined: int) -> int:
        if match.refusal is not None:
            self.faults.append(Fault(match.refusal.part or match.facts.text, match.refusal.reason))
        else:
            self.clauses.append(Clause(match, segment.stage, segment.waits))
        self.before, self.unknown = match, None
        return joined

    def _refuse(self, segment: _Segment, unknown: _Segment | None) -> None:
        """Name what is at fault in a segment; `unknown` are the unknown words right before it."""
        words = self._words(segment, segment)
        text = as_written(words)
        if change := asked_change(words):
            self.faults.append(Fault(text, UNCHANGED.format(change)))
            return
        readings = matches(words, self.speech, self.now)
        if deed := self._deed_outside(words, readings):
            self._name(segment, unknown, OutsideEffect(deed))
            return
        if any(token.word in NEGATIONS and token.kind is Kind.WORD for token in words):
            left = self._left_of(readings) if self._begins(segment) == "verb" else ()
            self.faults += [Fault(part, NEGATED if _has_negation(part) else UNKNOWN) for part in left or (text,)]
            return
        if not readings:
            self._name(segment, unknown, Refusal(UNKNOWN))
            return
        best = min(readings, key=lambda match: (-match.score[0], _size(match), match.refusal is not None))
        if best.left:
            self.faults += [Fault(part, misspelling(part) or UNKNOWN) for part in best.left]
        elif best.refusal is not None:
            self.faults.append(Fault(best.refusal.part or text, best.refusal.reason))

    def _deed_outside(self, words: Sequence[Token], readings: Sequence[Match]) -> str | None:
        """The deed outside that the words ask for, unless a tool declares their verb."""
        if words[0].word in NEGATIONS or words[0].word == "do":
            return None
        asked = asked_deed(words)
        if asked is not None and asked[1] > self.speech.doing_end(words):
            return asked[0]
        return next((match.refusal.deed for match in readings if isinstance(match.refusal, OutsideEffect)), None)

    def _name(self, segment: _Segment, unknown: _Segment | None, why: Refusal) -> None:
        """Name the segment, together with the unknown one that it goes on from: “buy milk and eggs”."""
        text, reason, is_outside = self._text(segment, segment), why.reason, isinstance(why, OutsideEffect)
        if unknown is not None and unknown.stage == segment.stage and not self._begins(segment):
            between = as_written(self.tokens[unknown.end - 1 : segment.first + 1])
            before, after = self.tokens[unknown.end - 1].text, self.tokens[segment.first].text
            joint = between[len(before) : len(between) - len(after)]
            before_it = self.faults.pop()
            text, reason, is_outside = f"{before_it.part}{joint}{text}", before_it.reason, before_it.is_outside
        self.faults.append(Fault(text, reason, is_outside))
        self.unknown = segment

    def _left_of(self, readings: Sequence[Match]) -> tuple[str, ...]:
        return min((match.left for match in readings), key=lambda left: sum(map(len, left)), default=())

    def _is_silent(self, segment: _Segment) -> bool:
        words = self._words(segment, segment)
        at = past_opening(words)
        return at == len(words) or (at == 0 and tuple(token.word for token in words) in POLITE)


def _has_negation(part: str) -> bool:
    return any(plain(word) in NEGATIONS for word in part.split())


def _size(match: Match) -> int:
    return sum(map(len, match.left))


def matches_time(words: Sequence[Token]) -> bool:
    """Whether the words begin with a time: “Monday the 7th” is no request to “Monday” something."""
    return read_time(words, 0) is not None


def _segments(tokens: Sequence[Token]) -> Iterator[_Segment]:
    first, stage, waits = 0, 0, False
    at = 0
    while at < len(tokens):
        token = tokens[at]
        later = _later_end(tokens, at)
        is_end = token.kind is Kind.MARK and token.word in SENTENCE_ENDS
        is_weak = token.kind is not Kind.QUOTED and (
            token.word in WEAK_WORDS or (token.kind is Kind.MARK and token.word in WEAK_MARKS | SILENT_MARKS)
        )
        if not (later or is_end or is_weak):
            at += 1
            continue
        if at > first:
            yield _Segment(first, at, stage, waits)
        if is_end or later:
            stage, waits = stage + 1, later is not None
        at = first = later or at + 1
    if first < len(tokens):
        yield _Segment(first, len(tokens), stage, waits)


def _later_end(tokens: Sequence[Token], at: int) -> int | None:
    for words in LATER:
        if follows(tokens, at, words):
            return at + len(words)
    return None
