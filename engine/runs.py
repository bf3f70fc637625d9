"""A submission, checked; and what would come of it. Nothing here touches the database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.digest import canonical
from engine.errors import InvalidInput
from engine.plans import Plan
from engine.provenance import Origin
from engine.settings import EngineSettings
from engine.tools import Fault
from engine.values import fault_of, text_fault
from persistence.states import Risk

_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody wants done: an intent or a plan.

    `canonical_input` is the whole input as plain JSON, needed with an idempotency key.
    """

    intent: str | None
    plan: Plan | None
    idempotency_key: str | None
    approve_from: Risk | None
    canonical_input: object


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """A step as it would run; what belongs to its list is None where there is no list."""

    key: str
    name: str
    tool: str
    risk: Risk
    gated: bool
    args: Mapping[str, Any]
    depends_on: tuple[str, ...]
    when: Any = None
    after: tuple[str, ...] = ()
    for_each: Any = None
    for_each_most: int | None = None
    for_each_tolerates: bool | None = None
    max_parallel: int | None = None
    delay_seconds: float | None = None
    not_before: datetime | None = None
    max_attempts: int | None = None
    """None: without end."""
    timeout_seconds: float | None = None
    origins: Callable[[], Sequence[Origin]] = tuple
    """Where its arguments come from, worked out when it is asked for; steps are positions in the preview."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would run; nothing is stored."""

    steps: tuple[PreviewStep, ...]
    risk: Risk | None
    answer: Any = None


def input_digest(canonical_input: object) -> bytes:
    """What an idempotency key covers, in short."""
    return hashlib.sha256(canonical(canonical_input)).digest()


def check_submission(submission: Submission, settings: EngineSettings) -> None:
    """Raises InvalidInput with everything that is wrong with a submission besides its plan."""
    faults: list[Fault] = []
    if (submission.intent is None) == (submission.plan is None):
        faults.append(Fault((), "give exactly one of intent and plan"))
    if submission.intent is not None and (message := _intent_fault(submission.intent, settings)):
        faults.append(Fault(("intent",), message))
    key = submission.idempotency_key
    if key is not None and (not key or len(key) > _LONGEST_KEY or text_fault(key)):
        faults.append(Fault(("idempotencyKey",), f"an idempotency key has 1 to {_LONGEST_KEY} characters, and no NUL"))
    if not faults and key is not None and submission.plan is None:
        fault = fault_of(submission.canonical_input)
        if fault is not None:
            faults.append(Fault(fault.path, fault.message))
    if faults:
        raise InvalidInput(tuple(faults))


def _intent_fault(intent: str, settings: EngineSettings) -> str | None:
    if not intent.strip():
        return "say what you want done"
    most = settings.max_intent_characters
    if len(intent) > most:
        return f"an intent may have {most} characters, and this has {len(intent)}"
    return text_fault(intent)
