"""What resolvers work with: the viewer, and the services that answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.access import Viewer
from engine.engine import Engine
from persistence.approvals_feed import ApprovalsFeed
from persistence.reads import Reads
from persistence.scope import Scope
from persistence.timeline import Timeline
from schema.api.loaders import Loaders
from schema.api.submitted import Submitted
from schema.fast.execution import Compiled, Memo
from schema.fast.limits import Limits

__all__ = ["Context", "Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """What answers everybody."""

    engine: Engine
    reads: Reads
    timeline: Timeline
    approvals_feed: ApprovalsFeed
    limits: Limits = field(default_factory=Limits)
    may_go_on: Callable[[Viewer], bool] = lambda _viewer: True
    """Whether events may still go to this person; asked before each, so it must be quick."""
    submitted: Submitted = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "submitted", Submitted(self.reads))

    def context(self, viewer: Viewer) -> "Context":
        """The context of one operation: the view's `make_context`."""
        return Context(self, viewer)


Push = Callable[[Memo, Callable[[], object]], bool]
"""Hands the answer to an event, known by its memo or worked out from what is made, to who asked, at once.

False when that can't be done now: then the event has to be given as any other.
"""


class Context:
    """One operation: its viewer, what they may see, and what was read for it so far."""

    __slots__ = ("_loaders", "compiled", "push", "reads", "scope", "services", "viewer")

    def __init__(self, services: Services, viewer: Viewer) -> None:
        self.services = services
        self.viewer = viewer
        self.scope: Scope = viewer.scope
        self.reads = services.reads.anew()
        """What it may read, all of it together."""
        self.compiled: Compiled | None = None
        """What is known of the operation; set before it runs."""
        self._loaders: Loaders | None = None
        self.push: Push | None = None
        """Set for operations whose answers can be pushed."""

    @property
    def engine(self) -> Engine:
        """What decides and does."""
        return self.services.engine

    @property
    def limits(self) -> Limits:
        """The most that may be asked for."""
        return self.services.limits

    @property
    def loaders(self) -> Loaders:
        """The loaders of this operation, which read what its fields show."""
        if self._loaders is None:
            assert self.compiled is not None, "an operation tells its context what it is before it runs"
            self._loaders = Loaders(self.reads, self.scope, self.compiled.selected)
        return self._loaders

    def forget(self) -> None:
        """Let go of what was read: something was changed, or all is answered."""
        if self._loaders is not None:
            self._loaders.forget()
            self._loaders = None

    def for_event(self) -> "Context":
        """The context of one event of a subscription: nothing that was read for an earlier one."""
        fresh = Context(self.services, self.viewer)
        fresh.compiled = self.compiled
        return fresh

    def still_allowed(self) -> bool:
        """Whether the next event may go to this person."""
        return self.services.may_go_on(self.viewer)
