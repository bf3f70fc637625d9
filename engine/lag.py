"""How long the event loop is held up, and by what: while it is, this process answers nobody.

A task looks at the clock ten times a second; when it comes late, something did not give way. A thread beside it sees
that while it lasts, and which task and line of code it is.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from typing import Final

import structlog

from persistence.supervisor import Background, failed

log = structlog.get_logger()

TOOL_TASK: Final = "tool:"
"""What the name of a task begins with that calls a tool; the tool's name follows."""

_TICK_SECONDS: Final = 0.1
_SLOW_SECONDS: Final = 0.25
"""Longer delays are logged: somebody waits for an answer."""

_KEPT_SECONDS: Final = 60.0


class LoopLag:
    """Watches the event loop that opens it. Logs what held it up for a quarter of a second or more."""

    def __init__(self) -> None:
        self._ticking = Background("loop-lag", self._tick_on)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-lag", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._beat = 0.0
        self._seen: tuple[float, dict[str, str]] = (0.0, {})
        self._lags: deque[tuple[float, float]] = deque()

    def open(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat = time.monotonic()
        self._ticking.open()
        self._thread.start()

    async def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        await self._ticking.close()

    @property
    def worst_seconds(self) -> float:
        """The longest that the loop was held up within the last minute."""
        self._forget(time.monotonic())
        return max((lag for _, lag in self._lags), default=0.0)

    async def _tick_on(self) -> None:
        while True:
            self._beat = due = time.monotonic()
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            lag = max(0.0, now - due - _TICK_SECONDS)
            self._note(now, lag)
            if lag >= _SLOW_SECONDS:
                beat, culprit = self._seen
                log.warning("loop_was_blocked", seconds=round(lag, 3), **(culprit if beat == due else {}))

    def _note(self, now: float, lag: float) -> None:
        # Only what nothing later outdoes may still become the longest.
        while self._lags and self._lags[-1][1] <= lag:
            self._lags.pop()
        self._lags.append((now, lag))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._lags and self._lags[0][0] < now - _KEPT_SECONDS:
            self._lags.popleft()

    def _watch(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - logged and counted
                failed(self._ticking.name, error)

    def _look(self) -> None:
        beat = self._beat
        held = time.monotonic() - beat - _TICK_SECONDS
        if held >= _SLOW_SECONDS and self._seen[0] != beat:
            culprit = self._culprit()
            self._seen = beat, culprit
            log.warning("loop_is_blocked", seconds=round(held, 3), **culprit)

    def _culprit(self) -> dict[str, str]:
        """The task that runs at this moment (the tool, if it calls one), and the line of code it is at."""
        assert self._loop is not None
        found: dict[str, str] = {}
        task = asyncio.current_task(self._loop)
        if task is not None:
            name = task.get_name()
            tool = name.removeprefix(TOOL_TASK)
            found["tool" if tool != name else "task"] = tool
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented
        if frame is not None:
            found["where"] = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
        return found
