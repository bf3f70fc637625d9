"""The runs that a reader may see: every read of runs, and of rows that belong to them, takes a scope."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID


class Reach(IntEnum):
    """Which runs a person sees: their own, also those that have or had an approval, or all."""

    OWN = 0
    ASKED = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Scope:
    """The runs that a viewer may see. Equal scopes see the same, so answers may be shared between them."""

    user: UUID
    reach: Reach
