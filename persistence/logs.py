"""Structured logs: one line a record, readable on a terminal and JSON everywhere else."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from io import StringIO
from typing import Any, Final, TextIO, cast

import structlog


def configure_logs(*, quiet: bool = False, redact: Callable[[str], str] = str) -> None:
    """Send our logs and those of our libraries to standard error; `quiet`: only what went wrong.

    `redact` is asked about each text in a record, and has the last word about the line.
    """

    def first(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return _with_each_text(event, redact)

    def last(_logger: object, _method: str, line: Any) -> str:
        return redact(line)

    level = logging.ERROR if quiet else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    on_terminal = sys.stderr.isatty()
    rendered: list[structlog.typing.Processor] = (
        [first, _escaped, structlog.dev.ConsoleRenderer(exception_formatter=_plain_traceback), last]
        if on_terminal
        # Dictionaries as tracebacks would carry local variables, and with them what people's arguments hold.
        else [structlog.processors.format_exc_info, first, structlog.processors.JSONRenderer(), last]
    )
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    handler.addFilter(_given_up)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if not quiet else logging.ERROR)


def _given_up(record: logging.LogRecord) -> bool:
    """Make a plain warning of a connection that the driver's pool gave up in a task of its own.

    A request that ran out of time over a link that went silent leaves it behind: the pool ends the connection, and
    no caller is left to receive the error. It is no fault of ours, and no traceback says more.
    """
    if record.name == "asyncio" and "PoolConnectionHolder.release()" in record.getMessage():
        record.msg, record.args, record.exc_info = "connection_given_up", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def _with_each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            _with_each_text(key, change): _with_each_text(inner, change)
            for key, inner in cast("dict[Any, Any]", value).items()
        }
    if isinstance(value, list):
        return [_with_each_text(inner, change) for inner in cast("list[Any]", value)]
    return value


def _escaped(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The record without characters that would end its line or steer the terminal; JSON escapes them by itself."""
    return _with_each_text(event, _without_controls)


def _plain_traceback(to: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """A traceback line by line, whatever the exception says. A pretty one takes seconds, and nobody is answered."""
    written = StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    # Indented, so that no line of what an exception says looks like a record.
    to.write("\n".join(f"  {_without_controls(line)}" for line in written.getvalue().split("\n")))


def _without_controls(text: str) -> str:
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
