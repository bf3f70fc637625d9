"""Words as a search compares them: folded, without accents, plural and the commonest other spellings."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:[+#]+|(?:\.[^\W_]+)*)")
_SPELLINGS: Final = (
    (re.compile(r"\bback[\s-]end\b"), "backend"),
    (re.compile(r"\bfront[\s-]end\b"), "frontend"),
    (re.compile(r"\bfull[\s-]?stack\b"), "fullstack"),
    (re.compile(r"\bdev[\s-]ops\b"), "devops"),
    (re.compile(r"(?<!\w)\.net\b"), "dotnet"),
    (re.compile(r"\bml\b"), "machine learning"),
    (re.compile(r"\bpostgres\b"), "postgresql"),
    (re.compile(r"(?<![.\w])js\b"), "javascript"),
    (re.compile(r"\bk8s\b"), "kubernetes"),
    (re.compile(r"\bdevs?\b"), "developer"),
    (re.compile(r"\bsre\b"), "site reliability"),
    (re.compile(r"\bsr\b"), "senior"),
    (re.compile(r"\bjr\b"), "junior"),
    (re.compile(r"\bmaths?\b"), "mathematics"),
    (re.compile(r"\bpediatric"), "paediatric"),
)
_KEPT: Final = frozenset({"aws", "css", "ios", "dbt", "devops", "less", "news", "sass", "series", "js", "sales"})


@lru_cache(maxsize=8192)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in order.

    >>> words_of("Back-end jobs (C++, Node.js) in Málaga")
    ('backend', 'job', 'c++', 'node.js', 'in', 'malaga')
    """
    folded = fold(text)
    for spelling, usual in _SPELLINGS:
        folded = spelling.sub(usual, folded)
    return tuple(_singular(word) for word in _WORD.findall(folded))


def fold(text: str) -> str:
    """A text without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def _singular(word: str) -> str:
    if len(word) < 4 or word in _KEPT or not word.endswith("s") or word.endswith(("ss", "us", "is", ".js")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "toes")):
        return word[:-2]
    return word[:-1]
