"""Submit a workflow: the API's way to begin a run. Submissions of many callers share transactions."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.access import Viewer
from engine.gather import Gather
from engine.runs import Submission
from engine.verbs.begin import API, Checked, begin_all, checked, earlier, same_input
from engine.verbs.resources import Resources
from persistence.moves.begin import StoredRun

_SUBMISSIONS_A_GROUP = 25


class Submitting:
    """Stores submissions in groups, each group in a transaction."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        # Two at once: while the database writes one group, the next one is checked, and both cores have work.
        self._storing = Gather(self._store, at_most=_SUBMISSIONS_A_GROUP, writers=2, name="submissions")
        self._repeating = Gather(self._find_earlier, at_most=_SUBMISSIONS_A_GROUP, name="repeated")
        self._storing_intents = Gather(self._store_intents, at_most=_SUBMISSIONS_A_GROUP, name="intents")

    async def submit(self, viewer: Viewer, submission: Submission) -> UUID:
        """Record a run, and its steps if it came with a plan; its id, or the one that the idempotency key named."""
        ready = await checked(self._resources, viewer, submission, began_by=API)
        if ready.plan is None:
            stored = await self._storing_intents.add(ready)
        elif ready.plan.is_elaborate:
            stored = await self._store_elaborate(ready)
        else:
            stored = await self._storing.add(ready) or await self._repeating.add(ready)
        return same_input(ready, stored)

    async def _store_intents(self, group: Sequence[Checked]) -> Sequence[StoredRun]:
        resources = self._resources
        begun = await resources.database.transaction(lambda tx: begin_all(resources, tx, group))
        begun.announce(resources)
        return [begun.runs[each.run.id] for each in group]

    async def _store_elaborate(self, ready: Checked) -> StoredRun:
        [stored] = await self._store_intents([ready])
        return stored

    async def _store(self, group: Sequence[Checked]) -> Sequence[StoredRun | None]:
        """What became of each; None for those whose idempotency key was used before.

        These are looked for by themselves: a failure there does not touch the runs that are stored by now.
        """
        resources = self._resources
        with resources.worker.reserve() as claimer:
            database = resources.database
            store = database.alone if all(each.takes_one_statement for each in group) else database.transaction
            begun = await store(lambda connection: begin_all(resources, connection, group, claimer=claimer))
            resources.worker.take(claimer, begun.done)
        begun.announce(resources)
        return [begun.runs.get(each.run.id) for each in group]

    async def _find_earlier(self, group: Sequence[Checked]) -> Sequence[StoredRun]:
        return await self._resources.database.transaction(lambda tx: earlier(tx, group))
