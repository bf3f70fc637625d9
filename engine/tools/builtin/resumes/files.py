"""CVs in files: a user's own, and the sample that is shipped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from engine.tools.builtin.folders import decoded, read_own, shipped
from engine.tools.builtin.resumes.model import Resume
from engine.tools.errors import ToolError
from engine.values import dotted

OWN_FILE: Final = "resume.json"


def own_resume(folder: Path) -> Resume | None:
    """The CV in the user's folder, or None; ToolError, not retryable, if nobody can read it as one."""
    own = read_own(folder / OWN_FILE)
    return None if own is None else _read(own, OWN_FILE)


@cache
def sample_resume() -> Resume:
    """The CV of somebody who does not exist, for trying things out."""
    return _read(shipped(OWN_FILE), OWN_FILE)


def _read(content: bytes, name: str) -> Resume:
    try:
        value: Any = json.loads(decoded(content))
    except UnicodeDecodeError as error:
        raise ToolError(f"{name} is no text in UTF-8", retryable=False) from error
    except RecursionError as error:
        raise ToolError(f"{name} is nested too deeply", retryable=False) from error
    except ValueError as error:
        raise ToolError(f"{name} is no JSON: {error}", retryable=False) from error
    if not isinstance(value, dict):
        raise ToolError(f"{name} should be an object, as JSON Resume says", retryable=False)
    try:
        return Resume.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(f"{dotted(fault['loc'])} {_message(fault['type'], fault['msg'])}" for fault in faults[:3])
        raise ToolError(f"{name} can't be used: {said}", retryable=False) from error


def _message(kind: str, message: str) -> str:
    return "is missing" if kind == "missing" else message.replace("Input ", "").replace("String ", "")
