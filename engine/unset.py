"""Tells "not given" from "given as null"."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Unset(Enum):
    """The type of `UNSET`, its only member."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
