"""A sentence as tokens: words, quoted texts and marks, each with its place in the text.

One linear pass; no alternative of the pattern can backtrack over more than its own token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from engine.planner.rules.words import APOSTROPHES


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` as written (of a quoted token what stands between the quotes), `word` for comparing."""

    kind: Kind
    text: str
    word: str
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""
      (?P<quoted> "[^"]*" | “[^”]*” | «[^»]*» | (?<!\w)'[^'\n]+'(?!\w) )
    | (?P<word>
          [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?
        | [$€£]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?[kKmM]?\+?(?!\w)
        | [$€£][0-9]+(?:\.[0-9]+)?[kKmM]?\+?(?!\w)
        | [aApP]\.[mM]\b\.?
        | (?i:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.(?=\s*[0-9])
        | (?<!\S)\.\w+
        | \w+(?:[.'’:+@&-]\w+)*(?:\+\+|[#+])?
      )
    | (?P<mark> \S )
    """,
    re.VERBOSE,
)

_LONGEST_SHORT_MONTH: Final = 5


def tokens_of(text: str, *, most: int) -> tuple[Token, ...]:
    """The text's first tokens in order; white space is none, a line break is a mark."""
    found: list[Token] = []
    last = 0
    for match in _TOKEN.finditer(text):
        gap = text.find("\n", last, match.start())
        if gap >= 0:
            found.append(Token(Kind.MARK, "\n", "\n", gap, gap + 1))
        found.append(_token(match))
        last = match.end()
        if len(found) >= most:
            break
    return tuple(found)


def _token(match: re.Match[str]) -> Token:
    text = match[0]
    if match["quoted"] is not None:
        return Token(Kind.QUOTED, text[1:-1].strip(), "", match.start(), match.end())
    kind = Kind.WORD if match["word"] is not None else Kind.MARK
    word = plain(text)
    if kind is Kind.WORD and text.endswith(".") and len(word) <= _LONGEST_SHORT_MONTH and "." not in word[:-1]:
        word = word[:-1]  # "Aug." is August
    return Token(kind, text, word, match.start(), match.end())


def plain(text: str) -> str:
    """The word for comparing: folded, its apostrophes straight."""
    return "at" if text == "@" else text.casefold().translate(APOSTROPHES)
