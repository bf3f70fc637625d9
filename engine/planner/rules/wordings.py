"""One clause as a wording reads it: what it says, and which of its words found no place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from engine.phrases import Choice, Count, Facts, Quantity, Refusal, Said, Span, SpeakableTool, Subject, When
from engine.planner.rules.doubts import doubt
from engine.planner.rules.occasions import occasions, period
from engine.planner.rules.outside import OutsideEffect, deed_of_entry, wish_of_entry
from engine.planner.rules.reading import Match
from engine.planner.rules.slots import SEPARATORS, as_written, begins_slot, read_slot
from engine.planner.rules.speech import IndexedWording, Tokens, opening_end, polite_end
from engine.planner.rules.times import (
    DayRange,
    Days,
    Every,
    Moment,
    PartOf,
    Soon,
    Starting,
    Stretch,
    Times,
    Until,
    Window,
    read_time,
)
from engine.planner.rules.times.names import WEEKDAY
from engine.planner.rules.times.reading import Found
from engine.planner.rules.tokens import Kind, Token, plain
from engine.planner.rules.words import FILLERS, JOINS, RELATIONS, takes_whole_days, usual_time

_NUMERIC: Final = re.compile(r"[0-9][0-9.,:x-]*")
"""A number that was read as none is no topic of a search."""
_VAGUE: Final = re.compile(r"[0-9]+-[0-9]+x?|[0-9]+x")
"""Nor is a count that is not clear a part of any title."""
_VERB: Final = "verb"
_NOUN: Final = "noun"
_SILENT: Final = "silent"
_SEPARATOR: Final = "separator"
_LOOSE: Final = "loose"
_SLOT: Final = "slot"


@dataclass(slots=True)
class WordingReading:
    """A walk over the clause that gives each of its words a place, or leaves it over."""

    tokens: Tokens
    indexed: IndexedWording
    now: datetime
    times: dict[int, Found | None]
    """What was read of time so far, by place; shared by all readings of a clause."""
    marks: list[str] = field(default_factory=list[str])
    values: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    said: dict[str, list[Token]] = field(default_factory=dict[str, list[Token]])
    head: tuple[Token, ...] = ()
    noun_at: int | None = None
    atoms: list[tuple[int, Any]] = field(default_factory=list[tuple[int, Any]])
    """What was said of time, with its place."""
    adjectives: dict[int, str] = field(default_factory=dict[int, str])
    """The places of weekdays that may belong to the noun behind them, with their slots."""
    is_loose: bool = False
    """Whether some word had no place so far."""

    def match(self, tool: SpeakableTool) -> Match | None:
        """The reading; None when the clause does not have the wording's verb, nor what stands for it."""
        self._scan()
        if not self.head and not (self.indexed.wording.bare and self.noun_at is not None):
            return None
        self._settle_nouns()
        topic, left = self._subject()
        subject = self._text(topic)
        values: dict[str, Any] = {}
        refusal: Refusal | None = None
        try:
            values = self._values([plain(word) for word in (subject or "").split()])
        except Refusal as why:
            refusal = why
        text = as_written(self.tokens)
        facts = Facts(text, subject, values, {name: as_written(said) for name, said in self.said.items()})
        refusal = self._outside(facts) or self._doubt(topic) or refusal or self._missing(facts)
        return Match(tool, self.indexed.wording, facts, self.head, left, refusal, self._score(subject))

    def _score(self, subject: str | None) -> tuple[int, int, int]:
        literal = self.marks.count(_VERB) + 2 * self.marks.count(_NOUN)
        return literal, self.marks.count(_SLOT), -len(subject.split()) if subject else 0

    def _outside(self, facts: Facts) -> Refusal | None:
        """A refusal of what has its effect outside, where the tool would only write it down."""
        slots = self.indexed.wording.writes_down
        if not slots:
            return None
        if wish := wish_of_entry(self.tokens):
            return wish
        if any(name in self.values for name in slots):
            return None
        deed = deed_of_entry(self.head, self.tokens, facts.subject)
        return OutsideEffect(deed) if deed else None

    def _missing(self, facts: Facts) -> Refusal | None:
        if self.indexed.wording.nouns and self.noun_at is None:
            return Refusal(f"says nothing of {' or '.join(self.indexed.wording.nouns[:2])}")
        for name, reason in self.indexed.wording.needs.items():
            if facts.subject is None if name == "subject" else name not in facts.values:
                return Refusal(reason)
        return None

    # scanning

    def _scan(self) -> None:
        at = 0
        while at < len(self.tokens) and not self._is_hopeless():
            at = self._step(at)

    def _is_hopeless(self) -> bool:
        """Whether the clause begins with words that no verb can follow."""
        return self.is_loose and not self.head and not self.indexed.wording.bare

    def _step(self, at: int) -> int:
        if not self.head and not self.is_loose and (end := self._opening(at)):
            return end
        noun_end = self.indexed.noun_end(self.tokens, at) if self.noun_at is None else None
        name, value, slot_end = self._slot(at)
        if noun_end and noun_end >= slot_end:
            self.noun_at = at
            return self._mark(_NOUN, noun_end)
        if slot_end > at:
            self._note_time(name, value, at, slot_end)
            self.values.setdefault(name, []).append(value)
            self.said.setdefault(name, []).extend(self.tokens[at:slot_end])
            return self._mark(_SLOT, slot_end)
        return self._other(at)

    def _note_time(self, name: str, value: Any, at: int, end: int) -> None:
        """Remember what was said of time, and whether it may belong to a noun: “a monday meeting”."""
        if not isinstance(self.indexed.wording.slots[name], When):
            return
        self.atoms.append((at, value))
        is_first = _LOOSE not in self.marks and (not at or self.marks[at - 1] in {_VERB, _SILENT})
        if is_first and end == at + 1 and self.tokens[at].word in WEEKDAY and self._is_noun(end):
            self.adjectives[at] = name

    def _is_noun(self, at: int) -> bool:
        return at < len(self.tokens) and self.tokens[at].kind is Kind.WORD and not self._something_begins(at)

    def _other(self, at: int) -> int:
        """Past a word that is neither verb nor noun nor slot."""
        word = self.tokens[at].word
        if end := polite_end(self.tokens, at):
            return self._mark(_SILENT, end)
        if word in SEPARATORS:
            return self._mark(_SEPARATOR, at + 1)
        if word in FILLERS:
            return self._mark(_SILENT, at + 1)
        self.is_loose = True
        return self._mark(_LOOSE, at + 1)

    def _opening(self, at: int) -> int | None:
        """Past the verb, or a courtesy before it."""
        if end := self.indexed.verb_end(self.tokens, at):
            self.head = tuple(self.tokens[at:end])
            subject = self.indexed.wording.subject
            is_topic = subject is not None and end > at + 1 and self.tokens[end - 1].word in subject.of_verb
            return self._mark(_VERB, end - 1 if is_topic else end)
        end = opening_end(self.tokens, at)
        return self._mark(_SILENT, end) if end else None

    def _mark(self, mark: str, end: int) -> int:
        self.marks += [mark] * (end - len(self.marks))
        return end

    def _slot(self, at: int) -> tuple[str, Any, int]:
        best: tuple[str, Any, int] = ("", None, at)
        for name, slot, firsts in self.indexed.slots:
            if not firsts.may_be(self.tokens[at].word):
                continue
            if isinstance(slot, Count) and (self.is_loose or name in self.values):
                continue
            reading = read_slot(slot, self.tokens, at, self._something_begins, self._time_at)
            if reading and reading[1] > best[2] and self._is_new(name, reading[0]):
                best = (name, reading[0], reading[1])
        return best

    def _time_at(self, at: int) -> Found | None:
        if at not in self.times:
            self.times[at] = read_time(self.tokens, at)
        return self.times[at]

    def _is_new(self, name: str, value: Any) -> bool:
        """A slot says one thing, unless it is a list or of time; what contradicts it is left over."""
        slot, before = self.indexed.wording.slots[name], self.values.get(name)
        return not before or isinstance(slot, When | Span) or isinstance(value, tuple) or before == [value]

    def _something_begins(self, at: int) -> bool:
        if self.indexed.noun_end(self.tokens, at) or polite_end(self.tokens, at):
            return True
        word = self.tokens[at].word
        return any(
            firsts.may_be(word) and begins_slot(slot, self.tokens, at, self._time_at)
            for _, slot, firsts in self.indexed.slots
        )

    # what came of it

    def _values(self, title: Sequence[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, found in self.values.items():
            slot = self.indexed.wording.slots[name]
            if isinstance(slot, Count) and self._has_when:
                continue
            if isinstance(slot, When):
                whole_days = takes_whole_days(title, has_span=_says_a_span(found))
                usual = usual_time(title)
                number = self._number()
                values[name] = occasions(found, self.now, number=number, usual=usual, whole_days=whole_days)
            elif isinstance(slot, Span):
                values[name] = period(found, self.now)
            elif isinstance(found[0], tuple) and not isinstance(slot, Choice):
                values[name] = tuple(dict.fromkeys(item for items in found for item in items))
            else:
                values[name] = found[0]
        return values

    @property
    def _has_when(self) -> bool:
        return any(isinstance(slot, When) for _, slot, _ in self.indexed.slots)

    def _number(self) -> int | None:
        for name, slot in self.indexed.wording.slots.items():
            if isinstance(slot, Count) and name in self.values:
                quantity: Quantity = self.values[name][0]
                if quantity.number is None:
                    raise Refusal("says no number", part=quantity.text)
                return quantity.number
        return None

    def _settle_nouns(self) -> None:
        """Give “monday” in “a monday meeting on Tuesday” to the noun: another day was said."""
        if len(self.adjectives) != 1 or not any(
            _says_a_day(atom) for place, atom in self.atoms if place not in self.adjectives
        ):
            return
        (at,) = self.adjectives
        name, atom = self.adjectives[at], dict(self.atoms)[at]
        self.values[name] = [value for value in self.values[name] if value is not atom]
        self.marks[at] = _LOOSE

    def _doubt(self, topic: Sequence[Sequence[int]]) -> Refusal | None:
        """What speaks of time in the title or in a place, and was not read as such."""
        titles = [[self.tokens[place] for place in run] for run in topic] if self._has_when else []
        places: list[list[Token]] = []
        for name, slot, _ in self.indexed.slots:
            if isinstance(slot, Said) and any("{text}" in pattern for pattern in slot.patterns):
                places.append(self.said.get(name, [])[1:])
        for tokens in (*titles, *places):
            behind = next((token for token in self.tokens if tokens and token.start >= tokens[-1].end), None)
            if tokens and (found := doubt(tokens, behind, is_place=tokens in places)):
                return Refusal(found[1], part=found[0])
        return None

    def _text(self, topic: Sequence[Sequence[int]]) -> str | None:
        return " ".join(as_written([self.tokens[place] for place in run]) for run in topic) or None

    def _subject(self) -> tuple[list[Sequence[int]], tuple[str, ...]]:
        """The topic's runs of words, and the runs that belong nowhere."""
        topic: list[Sequence[int]] = []
        left: list[Sequence[int]] = []
        for run in self._loose_runs():
            kept = self._topic_of(run, is_first=not topic)
            if kept:
                topic.append(kept)
            rest = [place for place in run if not kept or place > kept[-1]]
            if rest:
                left.append(rest)
        words = tuple(as_written(self.tokens[run[0] : self._with_object(run[-1] + 1)]) for run in left)
        return topic, words

    def _with_object(self, end: int) -> int:
        """Past the slot that a left-over preposition stands before: “by Friday”, not “by”."""
        if self.tokens[end - 1].word in RELATIONS | JOINS:
            while end < len(self.tokens) and self.marks[end] == _SLOT:
                end += 1
        return end

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
        subject = self.indexed.wording.subject
        if subject is None:
            return ()
        led = self._lead(subject.leads, run) if is_first else 0
        kept = list(takewhile(lambda place: self._may_be_topic(subject, place), run[led:]))
        is_cut = led + len(kept) < len(run)
        while kept and (self.marks[kept[-1]] != _LOOSE or self.tokens[kept[-1]].word in JOINS):
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
        if (_NUMERIC if subject.heads else _VAGUE).fullmatch(token.word):
            return False
        return token.word not in RELATIONS and (token.word not in JOINS or token.word in subject.joins)

    def _stands_before(self, heads: Sequence[str], at: int) -> bool:
        """Whether one of the words comes next, with nothing but slots in between."""
        while at < len(self.tokens) and self.tokens[at].word not in heads:
            if self.marks[at] not in {_SLOT, _SILENT, _LOOSE}:
                return False
            at += 1
        return at < len(self.tokens)


def _says_a_day(atom: Any) -> bool:
    return isinstance(atom, Days | DayRange | Every | Starting | Window | Moment | PartOf | Soon)


def _says_a_span(atoms: Sequence[Any]) -> bool:
    """Whether it is said from which day to which, and not how often it comes again."""
    comes_again = any(isinstance(atom, Every | Times) for atom in atoms)
    return not comes_again and any(isinstance(atom, DayRange | Stretch | Until) for atom in atoms)
