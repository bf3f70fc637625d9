"""What `uvicorn server:app` serves: the same as `lifeos serve`. Nothing imports this module."""

import sys

from console.processes import app as commands
from serving.application import Application

app = Application()
"""It reads the environment when it starts."""


def main() -> None:
    """The `lifeos` command; `console.processes` says how each of its commands is called."""
    commands()


if __name__ == "__main__":
    sys.exit(main())
