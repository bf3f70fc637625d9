"""The known words nearest to an unknown one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

_LONGEST: Final = 100
_MOST_COMPARED: Final = 300
"""Comparing takes up to a tenth of a millisecond for each, and strangers choose how many there are."""

MOST_HINTS: Final = 10
"""How many words of one input are looked up: after correcting the first ones, the user sees the others."""


def nearest(word: object, known: Collection[str]) -> str | None:
    """Which of the known words this one resembles; None if it resembles none, or is no word.

    Upper and lower case are the same here. Of very many words only the first are looked at.
    """
    if not isinstance(word, str) or not 0 < len(word) <= _LONGEST:
        return None
    by_lower = {each.lower(): each for each in islice(known, _MOST_COMPARED) if len(each) <= _LONGEST}
    found = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


class Hints:
    """What one refusal says of the words in it that are not known: the nearest to each, to the first few of them."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_HINTS

    def near(self, word: object, known: Collection[str]) -> str:
        """What a message about a word ends with: "; the nearest is 'word'", or nothing."""
        if self._left == 0:
            return ""
        self._left -= 1
        found = nearest(word, known)
        return "" if found is None or found == word else f"; the nearest is {found!r}"


def lookalikes(text: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """The known names that look most like the text, best first; none, if none comes near.

    >>> lookalikes("penuts", ["peanuts", "peanut butter", "milk"])
    ['peanuts', 'peanut butter']
    """
    return get_close_matches(text[:_LONGEST].casefold(), list(known), n=most, cutoff=0.6)
