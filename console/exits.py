"""How every command ends: status 0, or another with one clear line on standard error."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

from typer import Abort, TyperException
from typer.core import TyperGroup

from console.complaints import complain
from console.errors import ConsoleError

INTERRUPTED: Final = 130


class OneLineErrors(TyperGroup):
    """The group of all commands. No usage box, no traceback: the line says what was wrong.

    Python's development mode (`python -X dev`) lets the exceptions through that nobody expected.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002 - the signature that is overridden
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002
        **extra: Any,
    ) -> Any:
        """Run the command that the arguments name, and exit."""
        for stream in (sys.stdout, sys.stderr):
            if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
                reconfigure(errors="backslashreplace")
        status: object = None
        try:
            # Only typer.Exit sets the status here: no command returns anything.
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)  # noqa: FBT003
            sys.stdout.flush()
        except ConsoleError as error:
            _end(error.exit_status, str(error))
        except TyperException as error:
            _end(error.exit_code, _usage(error))
        except Abort:
            _end(1, "stopped")
        except KeyboardInterrupt:
            _end(INTERRUPTED, None)
        except BrokenPipeError:
            _end_unheard()
        except Exception as error:
            if sys.flags.dev_mode:
                raise
            _end(1, f"an unexpected error: {type(error).__name__}: {error}")
        sys.exit(status if isinstance(status, int) else 0)


def _usage(error: TyperException) -> str:
    # Its message is the help, and typer does not export it.
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(f"{error.format_message()}\n")
        sys.stdout.flush()
        error.message = ""
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    said = plain(error.format_message()).rstrip(".")
    return f"{said or 'a command is missing'}{hint}"


def plain(message: str) -> str:
    """A validator's message without the words for programmers."""
    return message.replace("Value error, ", "").replace("Input should", "should").partition(", unable to parse")[0]


def _end(status: int, message: str | None) -> None:
    if message is not None:
        complain(message)
    sys.exit(status)


def _end_unheard() -> None:
    """End quietly: the reader of our output has gone."""
    # Python flushes standard output once more as it ends, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
