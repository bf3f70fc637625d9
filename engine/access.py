"""Who may see and do what: the contract's matrix, in one place.

Everything that reads takes a `Scope`, everything that changes asks one of the questions here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from persistence.scope import Reach, Scope
from persistence.states import Role, Trust, UserKind


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: for the audit log, and for nothing that decides."""

    address: str | None = None
    token: str | None = None
    """The start of the hash of the token that it came with: tells tokens apart, and opens nothing."""

    request: str | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """The user behind a request, as its token says."""

    id: UUID
    name: str
    roles: frozenset[Role]
    kind: UserKind = UserKind.PERSON
    origin: Origin = field(default=Origin(), compare=False)

    @property
    def is_admin(self) -> bool:
        """May see and do everything."""
        return Role.ADMIN in self.roles

    @property
    def is_agent(self) -> bool:
        """Whether it is a model that acts by itself: it may ask for things, and decides nothing."""
        return self.kind is UserKind.AGENT

    @property
    def literals(self) -> Trust:
        """The trust of what they write into a plan: an agent may have read anything."""
        return literals_of(self.kind)

    @property
    def may_submit(self) -> bool:
        """May start runs, and cancel and retry their own."""
        return self.is_admin or Role.SUBMITTER in self.roles

    @property
    def scope(self) -> Scope:
        """What this person may see."""
        if self.is_admin:
            return Scope(self.id, Reach.ALL)
        return Scope(self.id, Reach.ASKED if Role.APPROVER in self.roles else Reach.OWN)


def literals_of(kind: UserKind) -> Trust:
    """The trust of what such a user writes into a plan, or says."""
    return Trust.OUTSIDE if kind is UserKind.AGENT else Trust.PLAN


def may_steer(viewer: Viewer, submitted_by: UUID) -> bool:
    """May cancel the run, and retry its steps."""
    return viewer.is_admin or (viewer.may_submit and viewer.id == submitted_by)


def may_decide(viewer: Viewer, submitted_by: UUID, *, separation_of_duties: bool) -> bool:
    """May decide the run's approvals, and say of its calls whether they happened; an agent never may."""
    if viewer.is_agent:
        return False
    if viewer.id == submitted_by and separation_of_duties:
        return False
    return viewer.is_admin or Role.APPROVER in viewer.roles or (viewer.may_submit and viewer.id == submitted_by)
