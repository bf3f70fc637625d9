"""Calls of tools."""

# What clients read as descriptions says what the classes and resolvers are.
# ruff: noqa: D101

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

import strawberry

from persistence import ids
from persistence.reads import ToolCallRow
from persistence.states import ToolCallStatus
from schema.api.loaders import Loaders
from schema.api.types.base import Failure, Lazy, described, json_of, shows
from schema.fast.scalars import JSON

__all__ = ["ToolCall"]

_STATUSES = {str(status): status for status in ToolCallStatus}


@shows(ToolCallRow)
@strawberry.type(description="One call of a step's tool. It was recorded before it was made.")
class ToolCall(Lazy):
    lazily: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "args": json_of("args"),
        "result": json_of("result"),
    }

    id: strawberry.ID = described("Opaque; the same for ever.")
    tool: str = described("The tool's name.")
    attempt: int = described("Which attempt of the step it is, counted from 1 through all its executions.")
    execution_key: str = described(
        "The same for every attempt of one step: hand it to the outside system so that it can tell a retry from a "
        "new call."
    )
    status: ToolCallStatus = described("How far it got.")
    args: JSON = described("What the tool was given; secrets stand as references.")
    result: JSON | None = described("What the tool gave back.")
    error: Failure | None = described("How it failed, or why nobody knows.")
    started_at: datetime = described("When it was recorded, just before it was made.")
    finished_at: datetime | None = described("When its end was known.")

    row: strawberry.Private[ToolCallRow]

    def __init__(self, row: ToolCallRow, _loaders: Loaders | None = None) -> None:
        self.row = row
        self.id = cast("strawberry.ID", ids.call_id(row.run_id, row.position, row.attempt))
        self.tool = row.tool
        self.attempt = row.attempt
        self.execution_key = ids.execution_key(row.run_id, row.position)
        self.status = _STATUSES[row.status]
        self.error = Failure.of(row.error_code, row.error_message)
        self.started_at = row.started_at
        self.finished_at = row.finished_at
