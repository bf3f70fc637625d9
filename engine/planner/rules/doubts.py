"""Words of time in what would be a title or a place: they were meant to say when, so they are named, not kept.

A date, a time, a count or a length that no reader took, misspelt too, is never a part of a title or a place.
What belongs to a noun is one: “monday meeting”, “happy hour”, “sprint 12 planning”. So is what stands in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from engine.planner.rules.numbers import NUMBER_WORDS, ordinal, whole
from engine.planner.rules.slots import as_written
from engine.planner.rules.times.names import MONTH, NEAR_DAYS, WEEKDAY, WEEKDAYS_PLURAL
from engine.planner.rules.tokens import Kind, Token, plain
from engine.planner.rules.words import FILLERS, JOINS, RELATIONS

Doubt = tuple[str, str]
"""The words in doubt, and why they are."""

_SHORTEST_MISSPELT: Final = 6
_UNITS: Final = frozenset(
    {
        "minute", "minutes", "min", "mins", "hour", "hours", "hr", "hrs", "day", "days", "week", "weeks", "weekend",
        "weekends", "weekday", "weekdays", "fortnight", "month", "months", "year", "years", "quarter", "occurrences",
        "occurrence", "times", "nights",
    }
)  # fmt: skip
_PARTS: Final = frozenset(
    {"morning", "mornings", "afternoon", "afternoons", "evening", "evenings", "night", "summer", "winter", "spring",
     "autumn", "fall"}
)  # fmt: skip
_MOMENTS: Final = frozenset(
    {
        *NEAR_DAYS, *(name for name in (*WEEKDAY, *MONTH) if name not in {"sun", "sat", "may", "march", "mar", "wed"}),
        *WEEKDAYS_PLURAL, "tonight", "yesterday", "noon", "midnight", "midday", "dawn",
        "dusk", "sunset", "sunrise", "bedtime",
    }
)  # fmt: skip
_ALWAYS: Final = frozenset(
    {"teatime", "daybreak", "nightfall", "sundown", "sunup", "elevenses", "noontime", "noontide", "midmorning",
     "mid-morning", "midafternoon", "mid-afternoon", "mid-week", "midweek",
     "occasionally", "mostly", "usually", "regularly", "normally", "typically", "generally", "frequently", "often",
     "rarely", "seldom", "periodically", "repeatedly", "always", "constantly", "indefinitely", "forever", "awhile",
     "recurring", "recurrent", "recurringly", "repeating", "repeated", "semiweekly", "semi-weekly",
     "hurs", "hous", "horus", "huor", "huors", "hrus", "hourse", "dyas", "wk", "wks", "weks", "mnts", "yr", "yrs",
     "eod", "eow", "eom", "eoy", "noonish", "noon-ish",
     "tonite", "biweekly", "fortnightly", "hourly", "occurrences", "o'clock",
     "oclock", "am", "pm", "a.m", "p.m", "a.m.", "p.m.", "gmt", "utc", "cet", "cest", "est", "edt", "pst", "pdt", "bst"}
)  # fmt: skip
"""They speak of time wherever they stand."""
_EDGES: Final = frozenset({"end", "beginning", "start", "middle", "rest", "half", "remainder", "close"})
_POINTING: Final = frozenset(
    {"this", "next", "last", "current", "coming", "following", "previous", "same", "whole", "entire", "upcoming",
     "up", "more", "other", "early", "late", "first", "second", "mid"}
)  # fmt: skip
_CLOCK: Final = re.compile(
    r"[0-9]+-(?:minute|hour|day|night|week|month|year)s?"
    rf"|(?:{'|'.join(sorted(NUMBER_WORDS))}|half|full|all|whole|multi|several|few)"
    r"(?:-[a-z]+)?-(?:minute|hour|day|night|week|month|year)s?(?:-long)?"
    r"|(?:hour|day|night|week|weekend|month|year)s?-?long|hour-and-[a-z-]+|[0-9]{1,2}(?:[:.h][0-5][0-9])?u(?:hr)?"
    r"|[0-9]{1,2}(?:[:.h][0-5][0-9])?(?:ish|am|pm|a|p)|[0-9]{1,2}[:h][0-5][0-9]|[0-9]+ish"
)
_NUMBER: Final = re.compile(r"[0-9]+(?:[.,:/-][0-9]+)*(?:x|h|hrs?|mins?|m)?")
_ISH: Final = re.compile(r"[a-z]+-?ish")
_FULL_NAMES: Final = (
    *(name for name in (*WEEKDAY, *WEEKDAYS_PLURAL, *MONTH) if len(name) > 4),
    "tomorrow", "tonight", "yesterday", "today", "minute", "minutes", "hours", "weeks", "weekend", "weekends",
    "weekday", "weekdays", "month", "months", "years", "morning", "mornings", "afternoon", "evening", "midnight",
    "weekly", "monthly", "yearly",
)  # fmt: skip
_OTHER_WORDS: Final = frozenset(
    {
        "sundae", "sundaes", "mourning", "moaning", "minuet", "mouths", "mouth", "monthy", "nearly", "pearly", "dearly",
        "meekly", "weakly", "weaken", "eventing", "marches", "marched", "marcher", "earning", "learning", "warning",
        "eventide", "tonights", "daily", "evening's", "weekend's", "minutes'", "starch", "yearly", "houses", "horns",
        "geeks", "weekes", "monday's", "tuesday's", "wednesday's", "thursday's", "friday's", "saturday's", "sunday's",
    }
)  # fmt: skip
"""Words, and names, of their own, though one letter away."""
_TRAILING: Final = (
    ("first", "thing"),
    ("some", "time"),
    ("any", "time"),
    ("early",),
    ("late",),
    ("weeks", "time"),
    ("most",),
    ("some",),
    ("several",),
    ("few",),
    ("certain",),
    ("various",),
    ("many",),
)
"""What a title or a place does not end with: it says when."""
_VAGUE: Final = (
    *((few, *unit) for few in ("few", "several", "some", "many", "multiple", "various", "numerous", "couple", "lots")
      for unit in (("times",), ("of", "times"), ("hours",), ("of", "hours"), ("minutes",), ("of", "minutes"),
                   ("days",), ("of", "days"), ("weeks",), ("of", "weeks"), ("months",), ("of", "months"),
                   ("hrs",), ("mins",))),
    ("for", "a", "bit"), ("for", "a", "little", "bit"), ("for", "a", "while"), ("for", "a", "little", "while"),
    ("for", "a", "little"), ("for", "ages"), ("for", "long"), ("for", "a", "long", "time"),
    ("for", "a", "long", "while"), ("for", "some", "time"), ("for", "a", "moment"), ("for", "ever"), ("for", "good"),
    ("for", "a", "short", "time"), ("a", "week"), ("a", "fortnight"), ("a", "month"),
    ("on", "and", "off"), ("all", "day"), ("half", "day"), ("full", "day"), ("whole", "day"), ("half", "a", "day"),
)  # fmt: skip
"""A count or a length that is none, wherever it stands."""
_PLACE_TIMES: Final = re.compile(r".*times?|break|siesta|light|recess|intermission|curfew")
"""A place does not end so: “at closing time”, “at naptime”, “at lunch break”."""
_TITLES: Final = frozenset({"dr", "dr.", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "miss", "prof", "prof.", "professor"})
_SHORT_DAYS: Final = frozenset({"mo", "tu", "we", "th", "fr", "sa", "su"})
_SHORTEST_DAYS: Final = _SHORT_DAYS | {"m", "t", "w", "f", "s", "r", "tue", "thu"}
_DAYS_IN_ONE: Final = frozenset({"mwf", "mtwtf", "mtwthf", "mtwrf", "mtwth", "mtwr", "tth", "tuth", "tthu", "tr", "mw"})
_DAYS_APART: Final = re.compile(r"[/&+,-]")
_BETWEEN_DAYS: Final = frozenset({",", "/", "&", "+", "-", "–", "—", "and", "to"})
_NO_TIMES: Final = frozenset({"1:1", "1-1", "24/7"})
_WEEKDAYS_SHORT: Final = "may be short for weekdays; write them out, or put them in quotes if they belong to a name"
_NAME_OR_DAY: Final = "may be a name that goes on with a day; put the name in quotes"
_TIME: Final = "speaks of time but is not understood here; say it another way, or put it in quotes if it is a name"
_COUNT: Final = "may be a time or a count; say which, or put it in quotes if it belongs to a name"


def doubt(tokens: Sequence[Token], follows: Token | None = None, *, is_place: bool = False) -> Doubt | None:
    """What in a title or a place may have been meant to say when, or how often; None if nothing was.

    `tokens` are its words in order, `follows` is the one right behind it in the sentence.
    """
    if is_place and tokens[-1].kind is Kind.WORD and _PLACE_TIMES.fullmatch(tokens[-1].word):
        return " ".join(token.text for token in tokens), _TIME
    if follows is not None and tokens[-1].word in _TITLES and follows.word in _MOMENTS:
        return f"{tokens[-1].text} {follows.text}", _NAME_OR_DAY
    if found := _vague(tokens) or _short_days(tokens):
        return found
    for words in _TRAILING:
        if tuple(token.word for token in tokens[-len(words) :]) == words:
            return " ".join(token.text for token in tokens[-len(words) :]), _TIME
    for place, token in enumerate(tokens):
        if token.word in _NO_TIMES:
            continue
        if token.kind is Kind.QUOTED:
            continue
        if found := _doubt_at(tokens, place, follows):
            return found
    return None


def _vague(tokens: Sequence[Token]) -> Doubt | None:
    words = tuple("" if token.kind is Kind.QUOTED else token.word for token in tokens)
    for at in range(len(words)):
        for vague in _VAGUE:
            if words[at : at + len(vague)] == vague:
                return _from_lead(tokens[: at + len(vague)], at + len(vague) - 1, least=at), _TIME
    return None


def _short_days(tokens: Sequence[Token]) -> Doubt | None:
    """“M/W/F”, “mwf”, “Mo, We and Fr”, “tu-th”; “mo” alone only in small letters at the end: “Su” is a name, too."""
    for place, token in enumerate(tokens):
        if token.kind is Kind.QUOTED:
            continue
        parts = _DAYS_APART.split(token.word)
        if token.word in _DAYS_IN_ONE or (
            len(parts) > 1 and all(part in _SHORTEST_DAYS or part in WEEKDAY for part in parts)
        ):
            return token.text, _WEEKDAYS_SHORT
        end = _end_of_short_days(tokens, place)
        if end > place + 1:
            return as_written(tokens[place:end]), _WEEKDAYS_SHORT
    last = tokens[-1]
    if len(tokens) > 1 and last.kind is Kind.WORD and last.text in _SHORT_DAYS:
        return last.text, _WEEKDAYS_SHORT
    return None


def _end_of_short_days(tokens: Sequence[Token], at: int) -> int:
    """Past the last of the short weekdays that are listed from here on."""
    end = at
    while at < len(tokens) and tokens[at].word in _SHORTEST_DAYS:
        end = at = at + 1
        while at < len(tokens) and tokens[at].word in _BETWEEN_DAYS:
            at += 1
    return end


def misspelt(word: str) -> str | None:
    """The word of time that was meant, if this is one letter, or two swapped neighbours, away from one."""
    word = word.removesuffix("'s")
    if len(word) < _SHORTEST_MISSPELT or not word.isalpha() or word in _OTHER_WORDS:
        return None
    return _nearest(word)


def misspelling(text: str) -> str | None:
    """Why the words are refused, if one of them is a misspelt word of time."""
    name = next((name for word in text.split() if (name := misspelt(plain(word)))), None)
    return f"may be “{_shown(name)}” misspelt; correct it, or put it in quotes if it is a name" if name else None


@lru_cache(maxsize=4096)
def _nearest(word: str) -> str | None:
    if word in _FULL_NAMES:
        return None
    return next((name for name in _FULL_NAMES if _is_one_off(word, name)), None)


def _is_one_off(word: str, name: str) -> bool:
    if abs(len(word) - len(name)) > 1 or len(name) < _SHORTEST_MISSPELT - 1:
        return False
    same = 0
    while same < min(len(word), len(name)) and word[same] == name[same]:
        same += 1
    left, right = word[same:], name[same:]
    swapped = len(left) > 1 and len(left) == len(right) and left[:2] == right[1::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right or left == right[1:] or left[1:] == right[1:]


def _doubt_at(tokens: Sequence[Token], place: int, follows: Token | None) -> Doubt | None:
    token = tokens[place]
    word = token.word
    if why := misspelling(word):
        return token.text, why
    is_vague = _ISH.fullmatch(word) and whole([_as(token, word.removesuffix("ish").removesuffix("-"))], 0) is not None
    is_edge = word in _EDGES and _of_time(tokens, place, follows)
    if word in _ALWAYS or _CLOCK.fullmatch(word) or is_vague or is_edge:
        return _from_lead(tokens, place), _TIME
    if (end := _number_end(tokens, place)) is not None:
        return _doubtful_number(tokens, place, end)
    if word.removesuffix("'s") in _MOMENTS | _UNITS | _PARTS:
        return _doubtful_noun(tokens, place)
    return None


def _shown(name: str) -> str:
    return name.capitalize() if name in WEEKDAY or name in MONTH or name in WEEKDAYS_PLURAL else name


def _as(token: Token, word: str) -> Token:
    return Token(token.kind, word, word, token.start, token.end)


def _number_end(tokens: Sequence[Token], place: int) -> int | None:
    if _NUMBER.fullmatch(tokens[place].word):
        return place + 1
    found = whole(tokens, place) or ordinal(tokens, place)
    return found[1] if found else None


def _doubtful_number(tokens: Sequence[Token], place: int, end: int) -> Doubt | None:
    """A number is a part of a title only if a noun, no unit of time, follows: “sprint 12 planning”."""
    if end < len(tokens):
        after = tokens[end]
        is_noun = after.kind is Kind.QUOTED or (
            after.kind is Kind.WORD
            and after.word not in JOINS | RELATIONS | FILLERS | _UNITS | _MOMENTS
            and _number_end(tokens, end) is None
        )
        if is_noun and not re.search(r"[:/]", tokens[place].word):
            return None
        if after.word in _UNITS:
            return _from_lead(tokens, end), _TIME
    if place and _is_named_by(tokens[place - 1]):
        return None
    return _from_lead(tokens, end - 1), _COUNT


def _is_named_by(token: Token) -> bool:
    """Whether the word before a number is one that numbers count off: “room 5”, “chapter 3”."""
    return token.word in _NUMBERED


_NUMBERED: Final = frozenset(
    {
        "room", "gate", "pier", "hall", "floor", "building", "block", "suite", "level", "terminal", "platform", "desk",
        "table", "house", "studio", "lab", "unit", "track", "court", "field", "station", "zone", "line", "door",
        "highway", "route", "box", "apartment", "booth", "stage", "chapter", "part", "lesson", "episode", "season",
        "phase", "sprint", "round", "module", "volume", "grade", "class", "type", "version", "section", "bay",
    }
)  # fmt: skip


def _doubtful_noun(tokens: Sequence[Token], place: int) -> Doubt | None:
    """A word of time is a part of a title only where it belongs to a noun: “monday meeting”, “movie night”."""
    token = tokens[place]
    before = place
    while before and (tokens[before - 1].word in FILLERS | _POINTING):
        before -= 1
    is_pointed_at = any(one.word in _POINTING for one in tokens[before:place])
    if before and tokens[before - 1].word in JOINS | RELATIONS:
        return _from_lead(tokens, place), _TIME
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    if is_pointed_at and token.word not in _PARTS:
        return _from_lead(tokens, place), _TIME
    is_last = after is None or after.kind is Kind.MARK or after.word in JOINS | RELATIONS
    if is_last and (token.word.removesuffix("'s") in _MOMENTS or place == 0):
        return _from_lead(tokens, place), _TIME
    return None


def _of_time(tokens: Sequence[Token], place: int, follows: Token | None) -> bool:
    """“The end of this week”: its last words may have been taken for a time already."""
    rest = tokens[place + 1 :]
    if not rest or (len(rest) == 1 and rest[0].word == "of"):
        return bool(rest) or follows is not None
    return rest[0].word == "of" and any(token.word in _MOMENTS | _UNITS | MONTH.keys() for token in rest)


def _from_lead(tokens: Sequence[Token], place: int, *, least: int | None = None) -> str:
    """The words from the preposition on that the word at the place depends on, at least those from `least` on."""
    first = place if least is None else least
    while first and tokens[first].word not in JOINS | RELATIONS and _leans(tokens, first):
        first -= 1
    return " ".join(token.text for token in tokens[first : place + 1])


def _leans(tokens: Sequence[Token], first: int) -> bool:
    before = tokens[first - 1]
    is_small = before.word in JOINS | RELATIONS | FILLERS | _POINTING | _EDGES
    return before.kind is Kind.WORD and (is_small or _number_end(tokens, first - 1) is not None)
