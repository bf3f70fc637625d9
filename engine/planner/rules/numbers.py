"""Numbers as people say them: `2`, `two`, `twenty-five`, `a couple of`, `$90,000`, `80k`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from engine.phrases import Quantity
from engine.planner.rules.tokens import Kind, Token

_UNITS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NTHS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
_WORDS: Final[dict[str, int]] = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 20 + 10 * place for place, word in enumerate(_TENS)},
    **{
        f"{ten}-{unit}": 20 + 10 * place + value
        for place, ten in enumerate(_TENS)
        for value, unit in enumerate(_UNITS[1:10], start=1)
    },
    "dozen": 12,
    "hundred": 100,
}
ORDINALS: Final[dict[str, int]] = {
    **{word: value for value, word in enumerate(_NTHS, start=1)},
    **{f"twenty-{word}": 20 + value for value, word in enumerate(_NTHS[:9], start=1)},
    "thirtieth": 30,
    "thirty-first": 31,
}
_NTH: Final = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)")
_VAGUE: Final = frozenset(
    {"some", "several", "many", "all", "every", "any", "few", "each", "more", "various", "lots", "most", "countless",
     "multiple", "enough", "dozens", "hundreds", "thousands", "infinite", "infinitely", "unlimited"}
)  # fmt: skip
_GROUPS: Final[tuple[tuple[tuple[str, ...], int | None], ...]] = (
    (("a", "couple", "of"), 2),
    (("a", "couple"), 2),
    (("couple", "of"), 2),
    (("a", "pair", "of"), 2),
    (("a", "dozen"), 12),
    (("a", "few"), None),
    (("a", "lot", "of"), None),
    (("as", "many"), None),
)
NUMBER_WORDS: Final = frozenset({*_WORDS, *_VAGUE, *(words[0] for words, _ in _GROUPS), "a", "an", "single"})
"""What a number that is no figure can begin with."""
_DIGITS: Final = re.compile(r"[0-9]{1,9}|[0-9]{1,3}(?:,[0-9]{3}){1,2}")
_MONEY: Final = re.compile(r"[$€£]?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9})(\.[0-9]{1,6})?([km])?")
_CURRENCIES: Final = frozenset({"usd", "eur", "gbp", "chf", "dollars", "euros", "pounds", "€", "$", "£"})
_PERIODS: Final = (
    ("a", "year"), ("per", "year"), ("/", "year"), ("yearly",), ("annually",), ("pa",), ("p.a",), ("per", "annum"),
)  # fmt: skip
LARGEST: Final = 10**9


def whole(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """The whole number at a place, and where it ends."""
    if at >= len(tokens) or tokens[at].kind is not Kind.WORD:
        return None
    word = tokens[at].word
    if _DIGITS.fullmatch(word):
        return int(word.replace(",", "")), at + 1
    value = _WORDS.get(word)
    if value is None:
        return None
    if word in _TENS and at + 1 < len(tokens) and (unit := _WORDS.get(tokens[at + 1].word)) and unit < 10:
        return value + unit, at + 2
    return value, at + 1


def ordinal(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """The ordinal at a place (`3rd`, `third`, `twenty first`), and where it ends."""
    if at >= len(tokens) or tokens[at].kind is not Kind.WORD:
        return None
    word = tokens[at].word
    if nth := _NTH.fullmatch(word):
        return int(nth[1]), at + 1
    after = tokens[at + 1].word if at + 1 < len(tokens) else ""
    if word in {"twenty", "thirty"} and (both := ORDINALS.get(f"{word}-{after}")):
        return both, at + 2
    return (ORDINALS[word], at + 1) if word in ORDINALS else None


def quantity(tokens: Sequence[Token], at: int, *, articles: bool) -> tuple[Quantity, int] | None:
    """How many, at a place: a number, a pair, `some`; an article is one, if `articles`."""
    for words, number in _GROUPS:
        if follows(tokens, at, words):
            return Quantity(number, " ".join(words)), at + len(words)
    if found := whole(tokens, at):
        return Quantity(found[0], text_of(tokens[at : found[1]])), found[1]
    if at < len(tokens) and tokens[at].word in _VAGUE:
        end = at + 1
        while end < len(tokens) and tokens[end].word in {"of", "the"}:
            end += 1
        return Quantity(None, text_of(tokens[at:end])), end
    return _article(tokens, at) if articles else None


def _article(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    if at >= len(tokens) or tokens[at].word not in {"a", "an", "single"}:
        return None
    end = at + 2 if follows(tokens, at + 1, ("single",)) else at + 1
    return Quantity(1, text_of(tokens[at:end])), end


def money(tokens: Sequence[Token], at: int) -> tuple[int, int] | None:
    """An amount at a place, in whole units of whatever currency: `80k`, `$90,000`, `100 000 EUR`."""
    while at < len(tokens) and tokens[at].word in {"$", "€", "£"}:
        at += 1
    if at >= len(tokens) or not (found := _MONEY.fullmatch(tokens[at].word.removesuffix("+"))):
        return None
    factor = {"k": 1_000, "m": 1_000_000}.get(found[3] or "", 1)
    value = round(float(found[1].replace(",", "") + (found[2] or "")) * factor)
    at += 1
    if factor == 1 and at < len(tokens) and tokens[at].word in {"k", "thousand"}:
        value, at = value * 1_000, at + 1
    if at < len(tokens) and tokens[at].word in _CURRENCIES:
        at += 1
    for words in _PERIODS:
        if follows(tokens, at, words):
            at += len(words)
            break
    return (value, at) if value <= LARGEST else None


def follows(tokens: Sequence[Token], at: int, words: Sequence[str]) -> bool:
    """Whether exactly these words stand at a place."""
    if at + len(words) > len(tokens) or tokens[at].word != words[0]:
        return False
    return all(tokens[at + offset].word == words[offset] for offset in range(1, len(words)))


def text_of(tokens: Sequence[Token]) -> str:
    """The words with single blanks between them."""
    return " ".join(token.text for token in tokens)
