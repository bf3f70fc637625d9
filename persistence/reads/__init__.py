"""The read side: everything that answers a question and changes nothing."""

from persistence.reads.columns import TEXTS
from persistence.reads.cursors import BadCursor, Position
from persistence.reads.reads import (
    MOST_BYTES,
    ApprovalFilter,
    EventsAfter,
    Page,
    Reads,
    RunFilter,
    StepPlace,
    TooManyBytes,
)
from persistence.reads.rows import ApprovalRow, EventRow, OriginsRow, RunRow, StepRow, ToolCallRow, UserRow

__all__ = [
    "MOST_BYTES",
    "TEXTS",
    "ApprovalFilter",
    "ApprovalRow",
    "BadCursor",
    "EventRow",
    "EventsAfter",
    "OriginsRow",
    "Page",
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
