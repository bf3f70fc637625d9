"""The read side: everything that answers a question and changes nothing."""

from persistence.reads.columns import TEXTS
from persistence.reads.cursors import BadCursor, Position
from persistence.reads.reads import (
    MOST_BYTES,
    ApprovalFilter,
    ChildrenAfter,
    EventsAfter,
    Page,
    Reads,
    RunFilter,
    StepPlace,
    TooManyBytes,
)
from persistence.reads.rows import (
    AnswerRow,
    ApprovalRow,
    DirectiveRow,
    EventRow,
    OriginsRow,
    ParallelRow,
    RunRow,
    StepRow,
    ToolCallRow,
    UserRow,
)

__all__ = [
    "MOST_BYTES",
    "TEXTS",
    "AnswerRow",
    "ApprovalFilter",
    "ApprovalRow",
    "BadCursor",
    "ChildrenAfter",
    "DirectiveRow",
    "EventRow",
    "EventsAfter",
    "OriginsRow",
    "Page",
    "ParallelRow",
    "Position",
    "Reads",
    "RunFilter",
    "RunRow",
    "StepPlace",
    "StepRow",
    "TooManyBytes",
    "ToolCallRow",
    "UserRow",
]
