"""The engine's settings, read once at the start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Literal

from persistence.moves.inputs import GatePolicy
from persistence.states import Risk


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The policy and the limits of this installation; see the contract's settings for each."""

    data_dir: Path
    approve_from: Risk = Risk.L3
    separation_of_duties: bool = False
    outside_destination: Literal["ask", "refuse"] = "ask"
    """What becomes of an outward step whose destination outside text decides."""
    accept_outside: bool = False
    """Whether an approval must name the outside destinations that it accepts."""
    approval_timeout_seconds: float = 604_800
    concurrency: int = 100
    lease_seconds: float = 15
    sweep_seconds: float = 1
    step_timeout_seconds: float = 60
    grace_seconds: float = 10
    retry_base_seconds: float = 1
    retry_cap_seconds: float = 300
    max_plan_steps: int = 2000
    max_run_steps: int = 10_000
    max_json_bytes: int = 262_144
    max_intent_characters: int = 8192
    planning_seconds: float = 30
    time_zone: tzinfo | None = None
    """Where "tomorrow at 7" is meant; None: the system's."""
    secrets: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """By name, without the LIFEOS_SECRET_ before it."""


def gate_policy(settings: EngineSettings) -> GatePolicy:
    """How long approvals of this installation stay open."""
    seconds = settings.approval_timeout_seconds
    return GatePolicy(seconds if seconds > 0 else None)
