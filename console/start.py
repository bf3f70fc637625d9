"""Where the `lifeos` command begins: before the rest is imported, which takes a second and can be interrupted too."""

from __future__ import annotations

from importlib import import_module

__all__ = ["main"]

_INTERRUPTED = 130
"""What a shell says of a command that ended by SIGINT."""


def main() -> None:
    """The `lifeos` command; interrupted while Python still reads it, it ends without a word."""
    try:
        # By name: the composition root knows the console, and not the other way round.
        command = import_module("server").main
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    command()
