"""What follows a failed attempt. Pure, but for the jitter's dice, which are handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter, in seconds: a storm of retries spreads over the whole window."""

    base_seconds: float
    cap_seconds: float


def is_exhausted(calls: int, max_attempts: int | None) -> bool:
    """Whether an execution has used up its attempts; None: never."""
    return max_attempts is not None and calls >= max_attempts


def delay_seconds(
    policy: RetryPolicy, *, calls: int, at_least: float | None, dice: Callable[[float, float], float]
) -> float:
    """How long to wait before the next attempt, after `calls` calls. A tool may ask for more, not for less.

    >>> delay_seconds(RetryPolicy(1, 300), calls=3, at_least=None, dice=max)
    4
    """
    window = min(policy.cap_seconds, policy.base_seconds * 2 ** min(calls - 1, 32))
    return max(dice(0, window), at_least or 0)
