"""JSON that a person gives on the command line, in a file, or on standard input."""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from console.errors import BadInput


def parse_json(text: str, *, what: str) -> Any:
    """The value; BadInput, naming `what`, for text that is no JSON, NaN and Infinity too."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise BadInput(f"{what} is nested too deep") from error
    except ValueError as error:
        raise BadInput(f"{what} is not JSON: {error}") from error


def json_file(path: str, *, what: str) -> Any:
    """The value in a file; `-` is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{what} can't be read from {path}: {reason}") from error
    return parse_json(text, what=what)


def json_or_file(given: str, *, what: str) -> Any:
    """The value given outright, or in the file of that name."""
    try:
        return parse_json(given, what=what)
    except BadInput:
        if given == "-" or _is_file(given):
            return json_file(given, what=what)
        raise


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):  # a long text is no possible name
        return False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
