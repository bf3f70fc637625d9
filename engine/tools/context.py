"""What a tool is told about the call that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    log: FilteringBoundLogger
    data_dir: Path
    """Where the built-in tools keep people's files."""
