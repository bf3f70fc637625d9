"""The runs that many submit at the same moment, read in one statement for all of them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from engine.gather import Gather
from persistence.reads import Reads, RunRow
from persistence.scope import Reach, Scope

__all__ = ["Submitted"]

_MOST_AT_ONCE: Final = 256


class Submitted:
    """Reads what somebody has just submitted: submissions commit in groups, and so their answers are due together."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._reading = Gather(self._read, at_most=_MOST_AT_ONCE, name="submitted", writers=2)

    async def run(self, user: UUID, run: UUID) -> RunRow | None:
        """That run, if this user submitted it: everybody sees their own."""
        return await self._reading.add((user, run))

    async def _read(self, wanted: Sequence[tuple[UUID, UUID]]) -> Sequence[RunRow | None]:
        rows = await self._reads.runs(Scope(wanted[0][0], Reach.ALL), [run for _, run in wanted])
        return [_own(user, rows.get(run)) for user, run in wanted]


def _own(user: UUID, row: RunRow | None) -> RunRow | None:
    return row if row is not None and row.submitted_by == user else None
