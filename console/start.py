"""Where the `lifeos` command begins: before the rest is imported, which can be interrupted too."""

from __future__ import annotations

from importlib import import_module

__all__ = ["main"]

_INTERRUPTED = 130
"""The exit status of a command that ended by SIGINT."""


def main() -> None:
    """The `lifeos` command; interrupted while Python still reads it, it ends without a word."""
    try:
        command = import_module("console.processes").app
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    command()
