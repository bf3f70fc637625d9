"""Expire approvals: steps whose approvals nobody decided in time are skipped."""

from __future__ import annotations

from engine.rounds import settle
from engine.verbs.answering import leaving_blocked
from engine.verbs.resources import Resources
from persistence.database import Connection
from persistence.moves.decide import expire, overdue_runs
from persistence.moves.inputs import Note
from persistence.moves.locks import lock_free_runs
from persistence.moves.row import Advance
from persistence.states import EventType, SkipReason, StepState

_EXPIRED_AT_ONCE = 500


async def expire_overdue(resources: Resources) -> int:
    """Skip the steps whose approvals nobody decided in time; how many. Busy runs wait for the next time."""

    async def write(tx: Connection) -> Advance:
        runs = await lock_free_runs(tx, await overdue_runs(tx, at_most=_EXPIRED_AT_ONCE))
        expired = await expire(tx, runs) if runs else []
        if not expired:
            return Advance()
        return await settle(
            tx,
            resources.rules,
            [leaving_blocked(each, StepState.SKIPPED, SkipReason.APPROVAL_EXPIRED) for each in expired],
            notes=[
                Note(
                    each.run,
                    EventType.APPROVAL_EXPIRED,
                    each.position,
                    each.approval,
                    f"Nobody decided {each.name} in time",
                    "{}",
                )
                for each in expired
            ],
        )

    done = await resources.database.transaction(write)
    resources.wakeups.announce(done.marks)
    return len(done.accepted)
