"""Text of one line, as it may stand in headers and file names."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _of_one_line(text: str) -> str:
    found = _CONTROL.search(text)
    if found:
        raise ValueError(f"should be one line of text, and has the control character U+{ord(found[0]):04X}")
    return text


OfOneLine = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": _PATTERN}), AfterValidator(_of_one_line)]
"""Some text without line breaks or other control characters."""

Line = Annotated[OfOneLine, Field(max_length=200)]
"""The same of the length of a name or title."""
