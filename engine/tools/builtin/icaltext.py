"""Text as an iCalendar file can hold it (RFC 5545, 3.3.11), so that any reader gets back what was said."""

from __future__ import annotations

import re
from typing import Final

from icalendar import vText

_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""What readers may take for the end of a line, beside the line feed."""
_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""What no file may hold raw; RFC 5545 has no way to write it."""
_ESCAPED: Final = str.maketrans({"\\": r"\\", ";": r"\;", ",": r"\,", "\n": r"\n"})


class Text(vText):
    r"""A text with every character escaped once; the library's own takes the `\N` of `D:\Notes` for a line break."""

    def to_ical(self) -> bytes:
        """The text as it stands in the file, not folded yet."""
        return str(self).translate(_ESCAPED).encode()


def holdable(text: str) -> tuple[str, int]:
    r"""The text with `\n` for whatever ends a line, without control characters, and how many of these there were."""
    lines = _LINE_ENDS.sub("\n", text)
    held, left_out = _CONTROLS.subn("", lines)
    return held, left_out
