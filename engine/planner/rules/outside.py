"""Requests for what happens outside, where nothing here reaches: by their verb, or by the thing that they ask for.

A tool that only writes down (`Wording.writes_down`) must not take them for its own: an entry “hotel in Tampa” is no
booked hotel. They are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.phrases import Refusal
from engine.planner.rules.deeds import (
    BARE_THINGS,
    BOOK_NAMES,
    CHANGES,
    EVENTS,
    GET_VERBS,
    MORE_TITLE_VERBS,
    NOUN_LIKE,
    OWN,
    OWN_TIME,
    SAY_ENTRY,
    TELL_NOTHING,
    THINGS,
    TITLE_CHANGES,
    VERBS,
    WISHES,
    Words,
)
from engine.planner.rules.forms import gerunds, nouns, participles
from engine.planner.rules.numbers import whole
from engine.planner.rules.slots import as_written, match_words
from engine.planner.rules.speech import Tokens, past_opening
from engine.planner.rules.times import Lasting, read_time
from engine.planner.rules.tokens import Kind, plain
from engine.planner.rules.words import DETERMINERS, FILLERS, JOINS, RELATIONS

_ByFirst = Mapping[str, list[tuple[Words, str]]]


def _by_first(table: Mapping[Words, str]) -> _ByFirst:
    found: dict[str, list[tuple[Words, str]]] = {}
    for words, deed in table.items():
        found.setdefault(words[0], []).append((words, deed))
    return found


_VERBS: Final = _by_first(VERBS)
_CHANGES: Final = _by_first(CHANGES)
_OF_TITLES: Final[Mapping[Words, str]] = {
    **{words: deed for words, deed in VERBS.items() if deed not in OWN_TIME and words[0] != "put"},
    **{words: deed for words, deed in CHANGES.items() if words[0] in TITLE_CHANGES and len(words) == 1},
}
"""The verbs that a title may begin with."""
_GERUNDS: Final[Mapping[Words, str]] = {
    (form, *words[1:]): deed for words, deed in _OF_TITLES.items() for form in gerunds(words[0])
}
_NOUNS: Final = {form: deed for words, deed in _OF_TITLES.items() if len(words) == 1 for form in nouns(words[0])}
_PARTICIPLES: Final = {
    form: deed for words, deed in _OF_TITLES.items() if len(words) == 1 for form in participles(words[0])
}
_JOINT: Final = re.compile(r"\s+(?:and|plus|&)\s+|,\s+")
_OBJECTS: Final = DETERMINERS | {"someone", "somebody", "people", "mom", "mum", "dad"}
_LONGEST_WISH: Final = 5
_LONGEST_NAME: Final = 8
_LONGEST_THING: Final = 3


class OutsideEffect(Refusal):
    """What is asked for happens outside, and nothing here does it; `deed` names it."""

    def __init__(self, deed: str) -> None:
        super().__init__(f"I can't {deed}")
        self.deed = deed


def asked_deed(tokens: Tokens) -> tuple[str, int] | None:
    """The deed outside that a clause asks for, and where the words end that say so."""
    at = past_opening(tokens)
    return _longest(_VERBS, tokens, at) or _asked_thing(tokens, at)


def asked_change(tokens: Tokens) -> str | None:
    """The change of what is there already that a clause asks for: “cancel gym”, “take gym off my calendar”."""
    at = past_opening(tokens)
    if found := _longest(_CHANGES, tokens, at):
        return found[0]
    is_taken_off = at < len(tokens) and tokens[at].word == "take" and "off" in {token.word for token in tokens[at:]}
    return "remove anything" if is_taken_off else None


def begins_deed(tokens: Tokens) -> bool:
    """Whether words after an “and” ask for a deed of their own: “order pizza” does, “call with Ann” does not."""
    found = asked_deed(tokens)
    if found is None or found[1] >= len(tokens):
        return False
    after = tokens[found[1]]
    is_name = after.word in RELATIONS | JOINS | EVENTS or read_time(tokens, found[1]) is not None
    return not is_name and (after.word in DETERMINERS or tokens[found[1] - 1].word not in {"call", "phone"})


def deed_of_entry(verb: Tokens, tokens: Tokens, title: str | None) -> str | None:
    """The deed outside that a clause asks for although it reads as an entry: by its verb, or by its title.

    `tokens` are the whole clause with its verb.
    """
    words = tuple(word for text in (title or "").split() if (word := plain(text).strip(",")))
    if any(token.word in SAY_ENTRY for token in verb):
        return None
    if verb and verb[0].word in {"book", "reserve"} and not _is_own(words, tokens, verb):
        return f"{verb[0].word} anything"
    if any(token.kind is Kind.QUOTED for token in tokens):
        return None  # a name, whatever it says
    parts = _JOINT.split(title or "")
    return _deed_of_title(words, is_named=_is_named(parts[0])) or next(
        (deed for part in parts if len(parts) > 1 and (deed := _deed_of_part(part))), None
    )


def _deed_of_part(part: str) -> str | None:
    """The deed that one of the things in a title asks for by its verb: “texting Bob” in “gym and texting Bob”."""
    words = tuple(plain(text) for text in part.split())
    return _verb_of_title(words, _head(words), is_named=_is_named(part)) if len(words) > 1 else None


def _is_named(title: str) -> bool:
    """Whether the second word is written as a name: “call Bob”, or an infinitive makes the first a verb."""
    words = title.split()
    return len(words) > 1 and (words[1][:1].isupper() or words[0] == "to")


def wish_of_entry(tokens: Tokens) -> Refusal | None:
    """A refusal of what an entry is wished “with”: “a meeting with a reminder”, “lunch with snacks ordered”."""
    for at, token in enumerate(tokens):
        if token.word not in {"with", "including", "plus"} or token.kind is not Kind.WORD:
            continue
        for place in range(at + 1, min(at + 1 + _LONGEST_WISH, len(tokens))):
            said = tokens[place]
            if said.kind is not Kind.WORD or said.word in RELATIONS | JOINS:
                break
            behind = tokens[place + 1] if place + 1 < len(tokens) else None
            is_last = (
                behind is None
                or behind.kind is not Kind.WORD
                or behind.word in RELATIONS | JOINS | {"and", "please"}
                or read_time(tokens, place + 1) is not None
            )
            if is_last and (deed := WISHES.get((said.word,)) or (place > at + 1 and _PARTICIPLES.get(said.word))):
                return Refusal(f"I can't {deed}; say it without that", part=as_written(tokens[at : place + 1]))
    return None


def _is_own(title: Words, tokens: Tokens, verb: Tokens) -> bool:
    """Whether only one's own time is taken: “book a meeting with Ann”, “reserve 2 hours for writing”."""
    if not title or (verb[0].word == "book" and title[0] in BOOK_NAMES) or _deed_of_title(title):
        return False
    head = _head(title)
    if head and head[-1] in OWN:
        return True
    at = next((place + 1 for place, token in enumerate(tokens) if token is verb[-1]), 0)
    while at < len(tokens) and tokens[at].word in FILLERS - {"a", "an"}:
        at += 1
    found = read_time(tokens, at) if at < len(tokens) else None
    if found is None or isinstance(found[0], Lasting):
        return found is not None
    while at < len(tokens) and (found := read_time(tokens, at)):
        at = found[1]
    return at + 1 < len(tokens) and tokens[at].word == "for" and whole(tokens, at + 1) is None


def _asked_thing(tokens: Tokens, at: int) -> tuple[str, int] | None:
    """The deed that is asked for by a thing which is to be made or got: “get me a cheap flight”."""
    if at >= len(tokens) or tokens[at].word not in GET_VERBS:
        return None
    end = at + 1
    while end < len(tokens) and end - at < _LONGEST_NAME and tokens[end].kind is Kind.WORD:
        if tokens[end].word in RELATIONS | JOINS or read_time(tokens, end):
            break
        end += 1
    deed = _deed_of_title(tuple(token.word for token in tokens[at + 1 : end]))
    return (deed, end) if deed else None


def _deed_of_title(words: Words, *, is_named: bool = False) -> str | None:
    """The deed that a title asks for; `is_named` where its second word is written as a name."""
    head = _head(words)
    if len(head) > 1 and head[-1] == "off":
        head = head[:-1]
    if head in BARE_THINGS:
        return BARE_THINGS[head]
    for length in range(_LONGEST_THING, 0, -1):
        if deed := THINGS.get(head[-length:]):
            return deed
    if not head or len(words) == 1:
        return _NOUNS.get(head[-1]) if head else None
    return _verb_of_title(words, head, is_named=is_named) or _NOUNS.get(head[-1])


def _verb_of_title(words: Words, head: Words, *, is_named: bool) -> str | None:
    has_object = words[1] in _OBJECTS
    if not has_object and head[-1] in EVENTS - {"report"}:
        return None
    said = tuple(word for word in words if word not in FILLERS)
    said = said[1:] if said[:1] == ("to",) else said
    if deed := next((_GERUNDS[word,] for word in head[:1] if (word,) in _GERUNDS), None):
        return deed
    for length in range(min(_LONGEST_THING, len(said)), 0, -1):
        start = said[:length]
        if deed := _GERUNDS.get(start) or MORE_TITLE_VERBS.get(start):
            return deed
        deed = _OF_TITLES.get(start)
        is_verb = length > 1 or start[0] not in NOUN_LIKE or has_object or is_named or words[1] == "of"
        if deed and is_verb and (has_object or head[-1] not in EVENTS):
            return deed
    return None


def _head(words: Words) -> Words:
    """The words before the first preposition, without small ones: “wire transfer” of “a wire transfer to Bob”."""
    end = next((place for place, word in enumerate(words) if place and word in JOINS | RELATIONS), len(words))
    return tuple(word for word in words[:end] if word not in FILLERS | TELL_NOTHING)


def _longest(by_first: _ByFirst, tokens: Tokens, at: int) -> tuple[str, int] | None:
    if at >= len(tokens):
        return None
    ends = ((match_words(tokens, at, words), deed) for words, deed in by_first.get(tokens[at].word, ()))
    end, deed = max(((end, deed) for end, deed in ends if end), default=(0, ""))
    return (deed, end) if end else None
