"""Reading one slot at one place of a clause."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from engine.phrases import Choice, Count, Said, Selection, Slot, Span, When, Which
from engine.planner.rules.numbers import NUMBER_WORDS, ORDINALS, follows, money, quantity, whole
from engine.planner.rules.times import (
    TIME_NAMES,
    TIME_WORDS,
    Clock,
    ClockRange,
    Every,
    Lasting,
    Part,
    PartOf,
    Soon,
    Times,
)
from engine.planner.rules.times.reading import Found
from engine.planner.rules.tokens import Kind, Token, plain
from engine.planner.rules.words import FILLERS, IMPERATIVES, JOINS, RELATIONS, SILENT_MARKS, WEAK_MARKS, WEAK_WORDS

Tokens = Sequence[Token]
Ends = Callable[[int], bool]
"""Whether something else begins at a place, so that a free text ends before it."""

TimeAt = Callable[[int], Found | None]
"""What is said of time at a place: read once, however many wordings ask."""

_MOST_WORDS: Final = 8
_MOST_WORDS_OF_ITEM: Final = 3
_MOST_ITEMS: Final = 30
_NUMBER: Final = re.compile(r"[0-9]+(?:[:.][0-9]+)?")
_PAY: Final = re.compile(r"[$€£][0-9].*|[0-9][0-9,.]*k\+?|[0-9][0-9,.]*\+")
_NOT_OF_SPANS: Final = (Clock, ClockRange, Every, Lasting, Part, PartOf, Soon, Times)
_BEST: Final = frozenset({"best", "top", "first", "strongest", "best-matching", "closest"})
_ONES: Final = frozenset({"one", "match", "fit", "result", "hit", "option"})
_MANY: Final = frozenset({"ones", "matches", "fits", "results", "hits", "options"})
_ALL: Final = (
    "all of them", "all of these", "all of those", "each of them", "each of these", "each of those", "each one",
    "every one", "each", "them all", "them", "these", "those",
)  # fmt: skip
"""All that was offered, however many."""
_WHICH_WORDS: Final = frozenset(
    {
        *(words.split()[0] for words in _ALL),
        *_BEST,
        *ORDINALS,
        *NUMBER_WORDS,
        "both",
        "it",
        "that",
        "this",
        "all",
        "the",
    }
)
_NUMERIC: Final = frozenset("0123456789$€£")


def read_slot(slot: Slot, tokens: Tokens, at: int, ends: Ends, time_at: TimeAt) -> tuple[Any, int] | None:
    """What the slot says at a place, and where that ends."""
    match slot:
        case Choice():
            return _choice(slot.words, tokens, at)
        case Said():
            return _said(slot, tokens, at, ends)
        case Count():
            return quantity(tokens, at, articles=slot.articles)
        case When():
            return time_at(at)
        case Span():
            return _span(time_at(at))
        case Which():
            return _which(slot.nouns, tokens, at)
        case _:
            raise TypeError(f"no reader for the slot {slot!r}")


@dataclass(frozen=True, slots=True)
class FirstWords:
    """The words that a slot can begin with; `numeric` also words with a number in front."""

    words: frozenset[str]
    numeric: bool = False

    def may_be(self, word: str) -> bool:
        """Whether the slot could begin with the word."""
        if word in self.words or (self.numeric and word[:1] in _NUMERIC):
            return True
        head, hyphen, _ = word.partition("-")
        return bool(hyphen) and head in self.words


def first_words(slot: Slot) -> FirstWords:
    """What to look for before reading a slot at a place."""
    match slot:
        case Choice():
            return FirstWords(frozenset(split_words(text)[0] for text in slot.words))
        case Said():
            leads = {split_words(pattern)[0] for pattern in slot.patterns}
            if any(lead.startswith("{") for lead in leads):
                return FirstWords(frozenset(leads) | NUMBER_WORDS, numeric=True)
            return FirstWords(frozenset(leads))
        case Count():
            return FirstWords(NUMBER_WORDS, numeric=True)
        case When() | Span():
            return FirstWords(TIME_WORDS | NUMBER_WORDS, numeric=True)
        case Which():
            return FirstWords(_WHICH_WORDS, numeric=True)
        case _:
            raise TypeError(f"no reader for the slot {slot!r}")


def begins_slot(slot: Slot, tokens: Tokens, at: int, time_at: TimeAt) -> bool:
    """Whether the slot could begin here; of free texts, only the words before them are looked at."""
    if isinstance(slot, Count):
        return False
    if isinstance(slot, Said):
        return any(_lead_fits(pattern, tokens, at) for pattern in slot.patterns)
    return read_slot(slot, tokens, at, lambda _: False, time_at) is not None


def match_words(tokens: Tokens, at: int, words: Sequence[str]) -> int | None:
    """Where the words end that stand here, with small words like articles between them; None if they don't."""
    for number, word in enumerate(words):
        while number and at < len(tokens) and tokens[at].word in FILLERS and tokens[at].word != word:
            at += 1
        if at >= len(tokens) or tokens[at].word != word:
            return None
        at += 1
    return at


@lru_cache(maxsize=4096)
def split_words(text: str) -> tuple[str, ...]:
    """The words of a declared text, for comparing."""
    return tuple(plain(word) for word in text.split())


def _choice(words: Mapping[str, Any], tokens: Tokens, at: int) -> tuple[Any, int] | None:
    found: tuple[Any, int] | None = None
    for text, value in words.items():
        end = match_words(tokens, at, split_words(text))
        if end is not None and (found is None or end > found[1]):
            found = value, end
    return found


def _span(found: Found | None) -> Found | None:
    return None if found is None or isinstance(found[0], _NOT_OF_SPANS) else found


# ── patterns ───────────────────────────────────────────────────────────────────────────────────────


def _lead_fits(pattern: str, tokens: Tokens, at: int) -> bool:
    lead: list[str] = []
    for word in split_words(pattern):
        if word.startswith("{"):
            break
        lead.append(word)
    if not lead:
        return word_is_pay(tokens, at) if "{pay}" in pattern else False
    return match_words(tokens, at, lead) is not None


def _said(slot: Said, tokens: Tokens, at: int, ends: Ends) -> tuple[Any, int] | None:
    found: tuple[Any, int] | None = None
    for pattern in slot.patterns:
        reading = _pattern(pattern, slot.never, tokens, at, ends)
        if reading and (found is None or reading[1] > found[1]):
            found = reading
    return found


def _pattern(pattern: str, never: frozenset[str], tokens: Tokens, at: int, ends: Ends) -> tuple[Any, int] | None:
    value: Any = None
    for number, word in enumerate(split_words(pattern)):
        if number and not word.startswith("{"):
            at = _past_fillers(tokens, at, word)
        if not word.startswith("{"):
            end = match_words(tokens, at, (word,))
        elif reading := _placeholder(word, never, tokens, at, ends):
            value, end = reading
        else:
            return None
        if end is None:
            return None
        at = end
    return value, at


def _past_fillers(tokens: Tokens, at: int, word: str) -> int:
    while at < len(tokens) and tokens[at].word in FILLERS and tokens[at].word != word:
        at += 1
    return at


def _placeholder(kind: str, never: frozenset[str], tokens: Tokens, at: int, ends: Ends) -> tuple[Any, int] | None:
    match kind:
        case "{number}":
            return whole(tokens, at)
        case "{money}":
            return money(tokens, at)
        case "{pay}":
            return money(tokens, at) if word_is_pay(tokens, at) else None
        case "{text}":
            end = _text_end(tokens, at, ends, never, _MOST_WORDS)
            return (as_written(tokens[at:end]), end) if end > at and not _NUMBER.fullmatch(tokens[at].word) else None
        case "{list}":
            return _list(tokens, at, ends, never)
        case _:
            raise TypeError(f"no reader for the placeholder {kind}")


def word_is_pay(tokens: Tokens, at: int) -> bool:
    """Whether the word here shows by itself that it is an amount of money."""
    return at < len(tokens) and _PAY.fullmatch(tokens[at].word) is not None


def _text_end(tokens: Tokens, at: int, ends: Ends, never: frozenset[str], most: int) -> int:
    end = at
    if at < len(tokens) and tokens[at].kind is Kind.QUOTED:
        return at + 1
    while end < len(tokens) and end - at < most:
        token = tokens[end]
        if token.kind is not Kind.WORD or token.word in RELATIONS or ends(end):
            break
        if token.word in WEAK_WORDS or (token.word in JOINS and token.word != "of"):
            break
        if token.word in TIME_NAMES:
            return at
        if token.word in never and all(before.word in FILLERS for before in tokens[at:end]):
            return at
        end += 1
    return at if all(token.word in FILLERS for token in tokens[at:end]) else end


def _list(tokens: Tokens, at: int, ends: Ends, never: frozenset[str]) -> tuple[tuple[str, ...], int] | None:
    items: list[str] = []
    end = at
    while len(items) < _MOST_ITEMS:
        item_end = _text_end(tokens, at, ends, never, _MOST_WORDS_OF_ITEM)
        if item_end == at or (items and tokens[at].word in IMPERATIVES):
            break
        items.append(as_written(tokens[at:item_end]))
        at = end = item_end
        while at < len(tokens) and tokens[at].word in {",", "and", "or", "nor", "&"}:
            at += 1
        if at == end:
            break
    return (tuple(items), end) if items else None


def as_written(tokens: Tokens) -> str:
    """The tokens as they were written, white space as one blank; quotes fall away."""
    text = ""
    last: Token | None = None
    for token in tokens:
        if last is not None and token.start > last.end:
            text += " "
        text += token.text
        last = token
    return text


# ── what was offered before ────────────────────────────────────────────────────────────────────────


def _which(nouns: tuple[str, ...], tokens: Tokens, at: int) -> tuple[Selection, int] | None:
    word = tokens[at].word
    if word in {"these", "those"} and (counted := _counted(nouns, tokens, at + 1)):
        return counted
    for words in _ALL:
        if follows(tokens, at, split_words(words)):
            return Selection(), at + len(split_words(words))
    if word == "it":
        return Selection(exactly=1), at + 1
    return _several(nouns, tokens, at) or _ranked(nouns, tokens, at + 1 if word == "the" else at, at)


def _several(nouns: tuple[str, ...], tokens: Tokens, at: int) -> tuple[Selection, int] | None:
    match tokens[at].word:
        case "both":
            end = at + 3 if follows(tokens, at + 1, ("of", "them")) else at + 1
            return Selection(exactly=2), _noun_end(nouns, tokens, end, plural=True) or end
        case "that" | "this":
            end = _noun_end(nouns, tokens, at + 1, plural=False)
            return (Selection(exactly=1), end) if end else None
        case "all":
            return _all_of(nouns, tokens, at + 1)
        case _:
            return None


def _counted(nouns: tuple[str, ...], tokens: Tokens, at: int) -> tuple[Selection, int] | None:
    """“all three of them”, “these 2 jobs”, “those jobs”."""
    number = whole(tokens, at)
    end = number[1] if number else at
    exactly = number[0] if number else None
    if number and follows(tokens, end, ("of", "them")):
        return Selection(exactly=exactly), end + 2
    noun = _noun_end(nouns, tokens, end, plural=True)
    if noun is None and number is None:
        return None
    return Selection(exactly=exactly), noun or end


def _all_of(nouns: tuple[str, ...], tokens: Tokens, at: int) -> tuple[Selection, int] | None:
    """“all the jobs”, “all of these jobs”, “all 3 jobs”; “all jobs” says nothing of what came before."""
    pointing = at
    while pointing < len(tokens) and tokens[pointing].word in {"of", "the", "these", "those"}:
        pointing += 1
    found = _counted(nouns, tokens, pointing)
    return found if found and (pointing > at or found[0].exactly is not None) else None


def _ranked(nouns: tuple[str, ...], tokens: Tokens, at: int, start: int) -> tuple[Selection, int] | None:
    """“the best one”, “the top 2 jobs”, “the 3 best”, “the second one”; “the results”, “the 2 jobs”."""
    word = tokens[at].word if at < len(tokens) else ""
    number, end = whole(tokens, at) or (None, at)
    if word in _BEST:
        return _best(nouns, tokens, at + 1)
    if number is not None and end < len(tokens) and tokens[end].word in _BEST:
        return Selection(number=number), _noun_end(nouns, tokens, end + 1, plural=True) or end + 1
    if word in ORDINALS:
        noun = _noun_end(nouns, tokens, at + 1, plural=False)
        return (Selection(first=ORDINALS[word] - 1, number=1), noun) if noun else None
    noun = _noun_end(nouns, tokens, end, plural=True) if at > start else None
    return (Selection(exactly=number), noun) if noun else None


def _best(nouns: tuple[str, ...], tokens: Tokens, at: int) -> tuple[Selection, int] | None:
    number = whole(tokens, at) if not follows(tokens, at, ("one",)) else None
    count, end = number or (1, at)
    if number is None and follows(tokens, end, ("matching",)):
        end += 1
    plural = number is not None and count != 1
    noun = _noun_end(nouns, tokens, end, plural=plural)
    if noun is None and not plural and _noun_end(nouns, tokens, end, plural=True):
        return None  # "the best jobs" says no number
    return Selection(number=count), noun or end


def _noun_end(nouns: tuple[str, ...], tokens: Tokens, at: int, *, plural: bool) -> int | None:
    if at >= len(tokens):
        return None
    word = tokens[at].word
    if word in (_MANY if plural else _ONES):
        return at + 1
    return at + 1 if word in nouns and word.endswith("s") == plural else None


SEPARATORS: Final = WEAK_MARKS | WEAK_WORDS | SILENT_MARKS
