"""Cancel a run: nothing more of it starts, and calls that run are asked to stop."""

from __future__ import annotations

from uuid import UUID

from engine.access import Viewer, may_steer
from engine.audit import line_of
from engine.errors import Forbidden, InvalidState, NotFound
from engine.verbs.resources import Resources, check_reason
from persistence.audit import Action, write_lines
from persistence.database import Connection
from persistence.ids import run_id, user_id
from persistence.moves.cancel import cancel as cancel_locked
from persistence.moves.locks import lock_runs
from persistence.moves.row import Advance
from persistence.reads.where import submitter_of
from persistence.states import RunState
from persistence.steering import state_of


async def cancel(resources: Resources, viewer: Viewer, run: UUID, *, reason: str | None) -> None:
    """Cancel a run that is not over; one that is cancelled already is left as it is."""
    check_reason(reason)

    async def write(tx: Connection) -> Advance:
        submitted_by = await submitter_of(tx, viewer.scope, run)
        if submitted_by is None:
            raise NotFound(("runId",))
        if not may_steer(viewer, submitted_by):
            raise Forbidden("to be the run's submitter, or an administrator")
        await lock_runs(tx, [run])
        done = await cancel_locked(tx, run, reason=reason, by=user_id(viewer.id))
        if not done.marks and (state := await state_of(tx, run)) is not RunState.CANCELLED:
            raise InvalidState(f"the run is {state}: there is nothing left to cancel", state)
        await write_lines(tx, [line_of(viewer, Action.CANCEL_RUN, run_id(run))])
        return done

    done = await resources.database.transaction(write)
    resources.wakeups.announce(done.marks)
