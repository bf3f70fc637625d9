"""The facts that a tool gets about its call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from engine.tools.notices import Notices


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

    notices: Notices = field(default_factory=Notices, repr=False, compare=False)

    def notice(self, text: str) -> None:
        """Say what a person should know of an outcome that is no failure: "1 of 2 found".

        Kept when the call succeeds, and shown with the step and on its run, in the order in which they were said; the
        same text once. Of one call 20 notices are kept, of each 500 characters, and the last one says how many more
        there were. Secrets are masked, as in results. Nothing is raised, and an empty text says nothing.
        """
        self.notices.add(text)

    @property
    def log(self) -> FilteringBoundLogger:
        """A log whose lines say which call they belong to. Made when it is asked for: most tools never write."""
        return structlog.get_logger(run_id=self.run_id, step_id=self.step_id, tool=self.tool, attempt=self.attempt)
