"""Which steps a full process begins, and when it looks for more: so that no user waits for all of another's steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_USERS_A_SLOT: Final = 10
"""For this many slots, one more is kept beyond the limit, for users who have no step running."""

_STARVED_SECONDS: Final = 0.05
"""The shortest time between two looks for starved users."""

_DEBOUNCE_SECONDS: Final = 0.02
"""How long a few free slots wait for more of them while steps wait in numbers."""


class Alarm:
    """Calls once, after the given seconds; set again meanwhile, it stays as it was."""

    __slots__ = ("_ring", "_timer")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it has still to call."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """Call after so many seconds, unless a call is due already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._rings)

    def clear(self) -> None:
        """Call no more, until it is set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self._timer = None
        self._ring()


class Debounce:
    """Holds a claim back until a quarter of the slots is free, or a moment has passed.

    With a backlog, slots are filled by the dozen: a claim for each one would cost a commit each.
    """

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self._most_running = limit * 3 // 4
        self._wake = wake
        self._is_over = False
        self._alarm = Alarm(self._ended)

    def holds_back(self, running: int) -> bool:
        """Whether to wait for more free slots; the claimer is woken when the moment has passed."""
        if self._is_over or running <= self._most_running:
            return False
        self._alarm.set(_DEBOUNCE_SECONDS)
        return True

    def reset(self) -> None:
        """A claim is made: the next one is held back anew."""
        self._is_over = False

    def _ended(self) -> None:
        self._is_over = True
        self._wake()


class Starvation:
    """When a full process looks for users who have no step running here.

    A user who has submitted thousands of long steps would hold everybody else up until one of them ends.
    """

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self.beyond = limit // _USERS_A_SLOT
        """So many slots beyond the limit are theirs."""

        self._alarm = Alarm(wake)
        self._next_at = 0.0

    def is_due(self) -> bool:
        """Whether to look now. If it is too early, the claimer is woken in time."""
        if self.beyond == 0 or self._alarm.is_set:
            return False
        now = asyncio.get_running_loop().time()
        if now < self._next_at:
            # Short steps come here at each one's end: not all of them need to look.
            self._alarm.set(self._next_at - now)
            return False
        self._next_at = now + _STARVED_SECONDS
        return True

    def reset(self) -> None:
        """Look at the next opportunity."""
        self._alarm.clear()
        self._next_at = 0.0
