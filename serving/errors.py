"""What keeps the program from starting."""

from console.errors import ConsoleError


class StartError(ConsoleError):
    """The program can't start; the message says what to do."""
