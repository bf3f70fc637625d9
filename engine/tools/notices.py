"""What a tool says beside its result."""

from __future__ import annotations

from typing import Final

MOST_NOTICES: Final = 20
"""How many of one call are kept."""

LONGEST_NOTICE: Final = 500
"""How many characters of one are kept."""


class Notices:
    """The notices of one call, as the tool said them: the first ones, each once, and how many came after them."""

    __slots__ = ("left_out", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.left_out = 0

    def add(self, text: object) -> None:
        """Add one. Nothing is raised, whatever is given: the tool may have had its effect already."""
        said = (text if isinstance(text, str) else _words(text)).strip()
        if not said or said in self.texts:
            return
        if len(self.texts) < MOST_NOTICES:
            self.texts.append(said)
        else:
            self.left_out += 1


def _words(thing: object) -> str:
    try:
        return str(thing)
    except Exception:  # noqa: BLE001 - a stranger's object may raise anything when it is read
        return f"a notice whose text can't be read (a Python {type(thing).__qualname__})"
