"""The engine as the rest of the program sees it: its verbs, and its life."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from engine.access import Viewer
from engine.audit import AuditLog
from engine.executor import Executor, LocalCaller
from engine.local import LocalWorker
from engine.people import People
from engine.planner import Planner
from engine.planning import Planning, planning_context
from engine.plans import Plan
from engine.runs import Preview, Submission
from engine.scheduler import Scheduler
from engine.secrets import Redaction
from engine.settings import EngineSettings, gate_policy
from engine.tools import Registry
from engine.unset import Unset
from engine.verbs.cancel import cancel
from engine.verbs.decide import decide
from engine.verbs.expire import expire_overdue
from engine.verbs.preview import preview
from engine.verbs.resolve import resolve
from engine.verbs.resources import Resources
from engine.verbs.retry import retry
from engine.verbs.submit import Submitting
from persistence.approvals_feed import ApprovalsFeed
from persistence.database import Database
from persistence.lifesign import LifeSign
from persistence.states import ApprovalDecision, InDoubtResolution, Role, UserKind
from persistence.timeline import Timeline
from persistence.wakeups import Wakeups
from persistence.workers import Worker


class Engine:
    """Decides and does: submissions, decisions, and (unless `executes` is false) the running of steps.

    `work` is the pool of the loops, so that a flood of API calls can't starve them; `database` the verbs' own.
    """

    def __init__(
        self,
        *,
        database: Database,
        work: Database,
        registry: Registry,
        planner: Planner,
        settings: EngineSettings,
        wakeups: Wakeups,
        timeline: Timeline,
        approvals_feed: ApprovalsFeed,
        executes: bool,
        on_revoked: Callable[[UUID], None] = lambda _user: None,
    ) -> None:
        self.registry = registry
        self.settings = settings
        self._approvals_feed = approvals_feed
        self._executor: Executor | None = None
        self._planning: Planning | None = None
        self._life: LifeSign | None = None
        local = LocalWorker()
        if executes:
            caller = LocalCaller(registry, settings, Redaction(settings.secrets))
            local = self._executor = Executor(work, registry, settings, wakeups=wakeups, caller=caller)
            self._planning = Planning(work, registry, planner, settings, wakeups=wakeups, local=local)
            self._life = LifeSign(
                work.settings, lease_seconds=settings.lease_seconds, on_alive=self._alive, on_lost=self._lost
            )
        gate = gate_policy(settings)
        self._resources = Resources(database, registry, settings, wakeups, local, gate)
        self._planner = planner
        self._submitting = Submitting(self._resources)
        self._people = People(database)
        self._on_revoked = on_revoked
        self.audit = AuditLog(database)
        self._scheduler = Scheduler(
            work,
            self._resources.rules,
            expire=partial(expire_overdue, Resources(work, registry, settings, wakeups, LocalWorker(), gate)),
            wakeups=wakeups,
            also={"steps": self._sweep_steps, "approvals": self._sweep_approvals, "timelines": timeline.sweep},
            sweeps_steps=executes,
        )

    # Its life

    def open(self) -> None:
        """Start the loops."""
        if self._executor is not None and self._planning is not None and self._life is not None:
            self._executor.open()
            self._planning.open()
            self._life.open()
        self._scheduler.open()

    async def close(self) -> None:
        """Stop claiming, let steps finish for the grace time, hand back the rest."""
        if self._planning is not None:
            await self._planning.close()
        if self._executor is not None:
            await self._executor.close()
        await self._scheduler.close()
        if self._life is not None:
            await self._life.close()
        await self.audit.close()

    def stop_claiming(self) -> None:
        """Take nothing more; what runs goes on until `close`."""
        if self._executor is not None:
            self._executor.stop_claiming()

    @property
    def running(self) -> int:
        """How many steps this process owns at this moment."""
        return self._executor.running if self._executor is not None else 0

    def _alive(self, worker: Worker) -> None:
        assert self._executor is not None
        assert self._planning is not None
        self._executor.became(worker)
        self._planning.became(worker)

    def _lost(self, worker: Worker) -> None:
        assert self._executor is not None
        assert self._planning is not None
        self._executor.lost(worker)
        self._planning.lost(worker)

    async def _sweep_steps(self) -> None:
        if self._executor is not None and self._planning is not None:
            self._planning.wake()
            await self._executor.sweep()

    async def _sweep_approvals(self) -> None:
        self._approvals_feed.sweep()

    # Its verbs

    async def submit(self, viewer: Viewer, submission: Submission) -> UUID:
        """Record a run; its id."""
        return await self._submitting.submit(viewer, submission)

    async def preview(self, viewer: Viewer, *, intent: str | None, plan: Plan | None) -> Preview:
        """What would run for this; nothing is stored."""
        now = planning_context(self.settings)
        return await preview(self._resources, self._planner, viewer, intent=intent, plan=plan, now=now)

    async def decide(
        self,
        viewer: Viewer,
        approval: UUID,
        decision: ApprovalDecision,
        *,
        reason: str | None,
        args_digest: str | None,
        edited_args: object | Unset,
        accept_outside: Sequence[str] = (),
    ) -> None:
        """Approve or reject what a step would be called with."""
        await decide(
            self._resources,
            viewer,
            approval,
            decision,
            reason=reason,
            args_digest_seen=args_digest,
            edited_args=edited_args,
            accept_outside=accept_outside,
        )

    async def resolve_in_doubt(
        self,
        viewer: Viewer,
        approval: UUID,
        resolution: InDoubtResolution,
        *,
        result: object | Unset,
        reason: str | None,
    ) -> None:
        """Say of a call in doubt whether it happened."""
        await resolve(self._resources, viewer, approval, resolution, result=result, reason=reason)

    async def cancel(self, viewer: Viewer, run: UUID, *, reason: str | None) -> None:
        """Cancel a run."""
        await cancel(self._resources, viewer, run, reason=reason)

    async def retry(self, viewer: Viewer, run: UUID, position: int, *, reason: str | None) -> None:
        """Send a dead letter back."""
        await retry(self._resources, viewer, run, position, reason=reason)

    async def create_user(
        self, viewer: Viewer, *, name: str, roles: Sequence[Role], kind: UserKind = UserKind.PERSON
    ) -> tuple[UUID, str]:
        """A new user's id and first token."""
        return await self._people.create(viewer, name=name, roles=roles, kind=kind)

    async def user_named(self, viewer: Viewer, name: str) -> UUID:
        """Whom an administrator means by a name."""
        return await self._people.named(viewer, name)

    async def revoke_tokens(self, viewer: Viewer, user: UUID) -> None:
        """Revoke all tokens of a user."""
        await self._people.revoke(viewer, user)
        self._on_revoked(user)
