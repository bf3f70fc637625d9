"""Names that look like one that is not known: misspelt, most likely."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(text: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """The known names that look most like the text, best first; none, if none comes near.

    >>> nearest("penuts", ["peanuts", "peanut butter", "milk"])
    ['peanuts', 'peanut butter']
    """
    return get_close_matches(text[:100].casefold(), list(known), n=most, cutoff=0.6)
