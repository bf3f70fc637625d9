"""Modules that are imported when they are first needed."""

from importlib import import_module
from typing import Any

_INTERRUPTED = 130
"""The exit status of a command that ended by SIGINT."""


class Later:
    """A module, imported when something in it is first asked for: some take a second, and asking for help needs none.

    Interrupted meanwhile, the command ends without a word.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        try:
            return getattr(import_module(self._name), attribute)
        except KeyboardInterrupt:
            raise SystemExit(_INTERRUPTED) from None
