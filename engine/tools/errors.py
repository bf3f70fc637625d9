"""What tools raise, and what is raised about tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.values import dotted


class ToolError(Exception):
    """A tool's own word that its call failed, and that nothing happened.

    Retried like any failure, unless `retryable` is False; `retry_after` is the least number of seconds
    until the next attempt.
    """

    def __init__(self, message: str, *, retryable: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after


class InDoubt(Exception):
    """Nobody knows whether the call happened.

    An idempotent tool is called again under the same execution key; for another a person says what happened.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ToolDeclarationError(TypeError):
    """A tool, or a module with tools, can't work as it is declared; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a tool's arguments; `path` leads to it from the arguments."""

    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


class ArgsUnfit(ValueError):
    """Arguments do not fit the tool's schema: `faults` names each, and there is at least one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


class ResultUnfit(ValueError):
    """A tool returned what can't be kept as JSON; `path` leads to it from the result."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(f"{dotted(('result', *path))}: {message}")
        self.path = path
        self.message = message
