"""The lines of the audit log: a line with every change, within its transaction, and one for every refusal.

A change and its line commit together, so there is neither without the other. A refusal has no transaction: its line
is written, in groups, before the answer is given. Failed sign-ins can be sent by anybody in any number: they are
counted, and written once a second at most.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from engine.access import Origin, Viewer
from engine.gather import Gather
from persistence.audit import ACCEPTED, Action, AuditFilter, AuditLine, AuditRow, lines_before, write_lines
from persistence.database import Database, Unavailable
from persistence.supervisor import Background

log = structlog.get_logger()

_LINES_A_GROUP: Final = 256
_MOST_ADDRESSES: Final = 1000
_ANYWHERE: Final = "elsewhere"
_PAUSE_SECONDS: Final = 1.0


def line_of(
    viewer: Viewer, action: Action, subject: str | None = None, *, outcome: str = ACCEPTED, detail: str | None = None
) -> AuditLine:
    """The line about what this person asked for."""
    return AuditLine(
        action,
        outcome,
        viewer.id,
        viewer.name,
        subject,
        detail,
        viewer.origin.address,
        viewer.origin.token,
        viewer.origin.request,
    )


class AuditLog:
    """Writes down refusals, and reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines = Gather(self._write, at_most=_LINES_A_GROUP, name="audit")
        self._strangers: Counter[str | None] = Counter()
        self._writing = Background("audit-strangers", self._write_strangers)
        self._closed = asyncio.Event()

    async def refused(
        self, viewer: Viewer, action: Action, code: str, *, subject: str | None = None, detail: str | None = None
    ) -> None:
        """Write down that this was not done. With the database away only the process's own log has it."""
        line = line_of(viewer, action, subject, outcome=code, detail=detail)
        try:
            await self._lines.add(line)
        except Unavailable:
            log.warning("refusal_not_recorded", action=action, code=code, user=viewer.name, subject=subject)

    def stranger(self, origin: Origin) -> None:
        """Count a failed sign-in; it is written down soon, together with others from the same address."""
        known = origin.address in self._strangers or len(self._strangers) < _MOST_ADDRESSES
        self._strangers[origin.address if known else _ANYWHERE] += 1
        self._writing.open()

    async def page(self, wanted: AuditFilter, *, before: int | None, at_most: int) -> list[AuditRow]:
        """The newest lines that are wanted, of those before that id. For administrators."""
        return await lines_before(self._database, wanted, before=before, at_most=at_most)

    async def close(self) -> None:
        """Write down what is still only counted."""
        self._closed.set()
        await self._writing.finished()
        await self._lines.close()

    async def _write(self, lines: Sequence[AuditLine]) -> Sequence[None]:
        await self._database.transaction(lambda tx: write_lines(tx, lines))
        return [None] * len(lines)

    async def _write_strangers(self) -> None:
        while self._strangers:
            counted, self._strangers = self._strangers, Counter()
            lines = [
                AuditLine(Action.SIGN_IN, "UNAUTHENTICATED", address=address, times=times)
                for address, times in counted.items()
            ]
            try:
                await self._write(lines)
            except Unavailable:
                log.warning("failed_sign_ins_not_recorded", times=counted.total())
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await self._closed.wait()
