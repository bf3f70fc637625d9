"""What every verb works with."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InvalidInput
from engine.local import LocalWorker
from engine.rounds import Rules
from engine.settings import EngineSettings
from engine.tools import Fault, Registry
from engine.values import text_fault
from persistence.database import Database
from persistence.moves.inputs import GatePolicy
from persistence.moves.row import Advance
from persistence.wakeups import Wakeups

_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Resources:
    """The database, the tools and the policy of this process. `worker` is its executor, or one that takes nothing."""

    database: Database
    registry: Registry
    settings: EngineSettings
    wakeups: Wakeups
    worker: LocalWorker
    gate: GatePolicy

    @property
    def rules(self) -> Rules:
        """What settling goes by."""
        return Rules(self.registry, self.settings)

    def announce(self, done: Advance) -> None:
        """Let everybody know of what was written."""
        self.wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))


def check_reason(reason: str | None) -> None:
    """Raises InvalidInput for a reason that can't be kept."""
    if reason is None:
        return
    if len(reason) > _LONGEST_REASON:
        raise InvalidInput((Fault(("reason",), f"a reason may have {_LONGEST_REASON} characters"),))
    if message := text_fault(reason):
        raise InvalidInput((Fault(("reason",), message),))
