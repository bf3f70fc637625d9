"""What a tool is told about the call that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class ToolContext:
    """One attempt of one step.

    `execution_key` is the same for every attempt of the step: hand it to the outside system, so that it can
    tell a retry from a new call. `run_id` and `step_id` are the API's ids, `attempt` counts from 1.
    """

    execution_key: str
    run_id: str
    step_id: str
    attempt: int
    user_id: str
    tool: str
    data_dir: Path
    """Where the built-in tools keep people's files."""
    time_zone: tzinfo | None = None
    """Where hours without an offset are meant; None: the system's."""

    @property
    def log(self) -> FilteringBoundLogger:
        """A log whose lines say which call they belong to. Made when it is asked for: most tools never write."""
        return structlog.get_logger(run_id=self.run_id, step_id=self.step_id, tool=self.tool, attempt=self.attempt)
