"""Text as an approver has to see it: what would hide, reorder or imitate is shown by its number.

A text that people wrote, or a tool, is only data; but a person who decides by it reads what the screen makes of it. A
right-to-left override makes `gpj.exe` of `exe.jpg`, a zero-width space splits a word that was searched for, and a page
of spaces pushes the end out of sight.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

__all__ = ["hidden_in", "visible", "visible_or_none"]

_JOINERS: Final = "\u200c\u200d"
_PLAIN: Final = "\n\t"
_MANY_BLANKS: Final = re.compile(r"[^\S\n]{40,}|\n(?:[^\S\n]*\n){9,}")
_LIKE_BLANKS: Final = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols by their category, and nothing to the eye."""

_LIKE_BLANK: Final = re.compile(f"[{_LIKE_BLANKS}]")

_HIDING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MOST_NAMED: Final = 20
_LONGEST_NAME: Final = 80


def visible(text: str) -> str:
    """The text with every character that does not show, or changes how others show, as `⟦U+202E⟧`.

    Line breaks and tabs stay, and the joiners that emoji and some scripts are written with.

    >>> visible("pay \u202eevil")
    'pay ⟦U+202E⟧evil'
    >>> visible("نعم, 👩‍🔬 and café")
    'نعم, 👩‍🔬 and café'
    """
    shown = text if _is_plain(text) else "".join(_shown(text, at) for at in range(len(text)))
    if len(shown) < _MANY_BLANKS_FROM:
        return shown
    return _MANY_BLANKS.sub(lambda found: f" ⟦{len(found[0])} blanks⟧ ", shown)


_MANY_BLANKS_FROM: Final = 10


def visible_or_none(text: str | None) -> str | None:
    """The same where there may be no text."""
    return None if text is None else visible(text)


def hidden_in(value: object, path: str) -> Iterator[str]:
    """What in this JSON does not show as it is, a sentence for each, by its path; at most twenty.

    The value itself stays as it is: it is what runs, and what was digested.
    """
    found = _hidden(value, path)
    for _ in range(_MOST_NAMED):
        sentence = next(found, None)
        if sentence is None:
            return
        yield sentence


def _hidden(value: object, path: str) -> Iterator[str]:
    # Each with what it stands in: paths are written only where they are shown: thousands of long ones never are.
    pending: list[tuple[object, _Path]] = [(value, _Path(path, None))]
    while pending:
        item, where = pending.pop()
        if isinstance(item, str):
            yield from _said(item, where)
        elif isinstance(item, dict):
            entries = cast("dict[str, Any]", item)
            for key in entries:
                yield from _said(key, where, "A name in ")
            pending += [(entry, _Path(key, where)) for key, entry in reversed(entries.items())]
        elif isinstance(item, list):
            numbered = list(enumerate(cast("list[Any]", item)))
            pending += [(entry, _Path(place, where)) for place, entry in reversed(numbered)]


class _Path(NamedTuple):
    """Where something stands in JSON."""

    name: str | int
    inside: _Path | None

    def __str__(self) -> str:
        parts: list[str] = []
        place: _Path | None = self
        while place is not None:
            name = visible(f"{place.name}"[:_LONGEST_NAME])
            parts.append(name if len(f"{place.name}") <= _LONGEST_NAME else f"{name}…")
            place = place.inside
        return ".".join(reversed(parts))


def _said(text: str, place: _Path, of: str = "") -> Iterator[str]:
    names = {} if _is_plain(text) else dict.fromkeys(_name(text[at]) for at in range(len(text)) if _is_hidden(text, at))
    where = f"{of}{place}" if names or _MANY_BLANKS.search(text) else ""
    if names:
        more = "" if len(names) <= _MOST_NAMED else f" and {len(names) - _MOST_NAMED} more"
        yield f"{where} holds what does not show: {', '.join(list(names)[:_MOST_NAMED])}{more}."
    if _MANY_BLANKS.search(text):
        yield f"{where} holds many blanks in a row, with more text behind them perhaps."


def _is_plain(text: str) -> bool:
    """Whether nothing in it hides; a quick check that misses some such texts."""
    if not text.isascii() and _LIKE_BLANK.search(text):
        return False
    return text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable()


def _name(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}{' ' if name else ''}{name}"


def _shown(text: str, at: int) -> str:
    return f"⟦U+{ord(text[at]):04X}⟧" if _is_hidden(text, at) else text[at]


def _is_hidden(text: str, at: int) -> bool:
    character = text[at]
    if character in _PLAIN:
        return False
    if character in _LIKE_BLANKS:
        return True
    if character.isprintable() or unicodedata.category(character) not in _HIDING:
        return False
    return not (character in _JOINERS and _joins(text, at))


def _joins(text: str, at: int) -> bool:
    """Whether the joiner stands where it is written with: between emoji, or in a script that has use for it."""
    if at == 0 or at == len(text) - 1:
        return False
    before, after = text[at - 1], text[at + 1]
    if text[at] == "\u200d" and unicodedata.category(after) == "So":
        return unicodedata.category(before) in ("So", "Sk", "Mn", "Mc")
    return _is_of_a_joining_script(before) and _is_of_a_joining_script(after)


def _is_of_a_joining_script(character: str) -> bool:
    if unicodedata.category(character)[0] not in "LM":
        return False
    return unicodedata.name(character, "").startswith(_JOINING)


_JOINING: Final = (
    "ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU",
    "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "THAANA", "NKO",
)  # fmt: skip
