"""Error messages, written beside a command's output."""

import sys

from console.plain import one_line


def complain(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"lifeos: {one_line(message)}\n")
    sys.stderr.flush()
