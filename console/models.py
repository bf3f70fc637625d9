"""The API's answers as values.

Enums stay text: a newer server may have words that this client does not know yet.
Fields that an operation does not ask for keep their defaults.
"""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
"""The states in which a run has ended."""


class Answer(BaseModel):
    """The base of all answers: camelCase outside, snake_case inside, unknown fields dropped."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="ignore")

    def as_json(self) -> dict[str, Any]:
        """The fields that were asked for, under the API's names."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Failure(Answer):
    """Why a run or a step failed."""

    code: str
    message: str


class User(Answer):
    """Somebody who may use the server."""

    id: str = ""
    name: str
    roles: tuple[str, ...] = ()


class Progress(Answer):
    """How many steps are in which state."""

    total: int = 0
    pending: int = 0
    ready: int = 0
    running: int = 0
    blocked: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0


class StepRef(Answer):
    """A step, named."""

    id: str = ""
    key: str = ""
    name: str = ""
    tool: str = ""


class RunRef(Answer):
    """A run, named."""

    id: str
    intent: str | None = None


class Approval(Answer):
    """A question to a person, with exactly what would be sent."""

    id: str
    kind: str
    status: str
    risk_level: str
    reason: str
    proposed_args: Any
    args_digest: str
    run: RunRef
    step: StepRef
    created_at: datetime
    expires_at: datetime | None = None
    decided_by: User | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None
    edited_args: Any = None


class ApprovalRef(Answer):
    """An approval, named."""

    id: str
    kind: str
    status: str


class Step(Answer):
    """One step of a run; a child has an `index`, its place in the list of its step.

    `children` are the first ones; `notable` are those that have not ended, or failed; `ended` and `failed` are counted.
    """

    id: str
    key: str
    name: str
    tool: str
    risk_level: str
    state: str
    skip_reason: str | None = None
    waiting_for: str | None = None
    attempt: int = 0
    max_attempts: int | None = None
    next_attempt_at: datetime | None = None
    dead_lettered: bool = False
    error: Failure | None = None
    depends_on: tuple[StepRef, ...] = ()
    after: tuple[StepRef, ...] = ()
    when: Any = None
    for_each: Any = None
    index: int | None = None
    children: "Children" = Field(default_factory=lambda: Children())  # noqa: PLW0108 - it stands below
    notable: "Children" = Field(default_factory=lambda: Children())  # noqa: PLW0108
    ended: "Children" = Field(default_factory=lambda: Children())  # noqa: PLW0108
    failed: "Children" = Field(default_factory=lambda: Children())  # noqa: PLW0108
    approvals: tuple[ApprovalRef, ...] = ()
    resolved_args: Any = None
    result: Any = None
    notices: tuple[str, ...] = ()


class PageInfo(Answer):
    """Whether a page is the last one, and where the next one begins."""

    has_next_page: bool = False
    end_cursor: str | None = None


class Children(Answer):
    """Some children of a step, and how many there are."""

    total_count: int = 0
    nodes: tuple[Step, ...] = ()
    page_info: PageInfo = PageInfo()


class Run(Answer):
    """One submission."""

    id: str
    intent: str | None = None
    state: str
    risk_level: str
    outcome: str | None = None
    submitted_by: User | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Failure | None = None
    progress: Progress = Progress()
    notices: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    diagram: str | None = None
    answer: Any = None
    answer_error: Failure | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens unless a person redrives it."""
        return self.state in ENDED


class Event(Answer):
    """One line of a run's timeline."""

    cursor: str
    seq: int
    type: str
    message: str
    metadata: Any
    created_at: datetime
    run_id: str
    step_id: str | None = None
    approval_id: str | None = None


class Tool(Answer):
    """A tool that a step can call."""

    name: str
    description: str
    risk_level: str
    idempotent: bool
    args_schema: Any = None


class PlannedStep(Answer):
    """A step that would run."""

    key: str
    name: str
    tool: str
    risk_level: str
    requires_approval: bool
    args: Any
    depends_on: tuple[str, ...] = ()
    when: Any = None
    after: tuple[str, ...] = ()
    for_each: Any = None
    for_each_most: int | None = None
    for_each_tolerates: bool | None = None
    max_parallel: int | None = None
    delay_seconds: float | None = None
    not_before: datetime | None = None
    max_attempts: int | None = None
    timeout_seconds: float | None = None


class PlanPreview(Answer):
    """The plan that would run."""

    steps: tuple[PlannedStep, ...] = ()
    risk_level: str | None = None
    diagram: str = ""
    answer: Any = None


class NewUser(Answer):
    """A user just made, with the token that is shown this once."""

    user: User
    token: str
