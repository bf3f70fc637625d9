"""Prints the statements that a migration creates the types and functions with."""

from __future__ import annotations

import sys

from persistence.moves.functions import FUNCTIONS, TYPES


def script() -> str:
    """The statements, each with a semicolon and an empty line behind it."""
    return "".join(f"{each.create};\n\n" for each in (*TYPES, *FUNCTIONS))


if __name__ == "__main__":
    sys.stdout.write(script())
