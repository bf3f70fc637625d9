"""The read side: everything that answers a question and changes nothing."""

from persistence.reads.columns import TEXTS
from persistence.reads.cursors import BadCursor, Place
from persistence.reads.reads import ApprovalFilter, EventsAfter, Page, Reads, RunFilter, StepPlace
from persistence.reads.rows import ApprovalRow, EventRow, RunRow, StepRow, ToolCallRow, UserRow

__all__ = [
    "TEXTS",
    "ApprovalFilter",
    "ApprovalRow",
    "BadCursor",
    "EventRow",
    "EventsAfter",
    "Page",
    "Place",
    "Reads",
    "RunFilter",
    "RunRow",
    "StepPlace",
    "StepRow",
    "ToolCallRow",
    "UserRow",
]
