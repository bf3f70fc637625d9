"""A run's timeline across whatever connections break in between."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic
from typing import Any, Final

from console.delays import growing_delays
from console.documents import TIMELINE
from console.errors import ConnectionLost, ServerUnreachable
from console.models import Event
from console.settings import Address
from console.websocket import subscribe

OnLost = Callable[[ConnectionLost | ServerUnreachable], None]
"""Called for each connection that broke and is being replaced."""

OnOpen = Callable[[], None]
"""Called for each connection that the server has accepted."""

# A connection that held this long was a good one: what broke it is new.
_GOOD_AFTER_SECONDS: Final = 5.0


class Follower:
    """The state of one follower of a run: its last event, and since when it is cut off."""

    def __init__(self, address: Address, run_id: str, after: str | None, *, patience_seconds: float) -> None:
        self.cursor = after
        self.reached = False
        self._address = address
        self._run_id = run_id
        self._last_seq: int | None = None
        self._patience_seconds = patience_seconds
        self._in_touch_at = monotonic()
        self._opened_at: float | None = None

    async def events(self, on_lost: OnLost, on_open: OnOpen) -> AsyncGenerator[Event]:
        """Each event after the cursor exactly once, in order, until the server completes the subscription.

        A lost connection is replaced from the last cursor, for as long as the patience lasts. A server that was
        never reached is not waited for.
        """
        delays = growing_delays(0.1, 5.0)
        while True:
            got_on = False
            try:
                async with aclosing(self._one_connection(on_open)) as events:
                    async for event in events:
                        got_on = True
                        yield event
            except (ConnectionLost, ServerUnreachable) as error:
                if got_on or self._was_good():
                    delays = growing_delays(0.1, 5.0)
                    self._in_touch_at = monotonic()
                delay = next(delays)
                if self._is_hopeless(error, delay):
                    raise
                on_lost(error)
            else:
                return
            await asyncio.sleep(delay)

    async def _one_connection(self, on_open: OnOpen) -> AsyncGenerator[Event]:
        self._opened_at = None
        variables: dict[str, Any] = {"runId": self._run_id, "after": self.cursor}

        def opened() -> None:
            self.reached = True
            self._opened_at = monotonic()
            on_open()

        async with aclosing(subscribe(self._address, TIMELINE, variables, on_open=opened)) as results:
            async for data in results:
                event = Event.model_validate(data["timeline"])
                if self._is_next(event):
                    self.cursor, self._last_seq = event.cursor, event.seq
                    yield event

    def _is_next(self, event: Event) -> bool:
        if self._last_seq is not None and event.seq > self._last_seq + 1:
            raise ConnectionLost(self._address.url, f"event {self._last_seq + 1} is missing before {event.seq}")
        return self._last_seq is None or event.seq == self._last_seq + 1

    def _was_good(self) -> bool:
        return self._opened_at is not None and monotonic() - self._opened_at >= _GOOD_AFTER_SECONDS

    def _is_hopeless(self, error: ConnectionLost | ServerUnreachable, delay: float) -> bool:
        if isinstance(error, ServerUnreachable) and not self.reached:
            return True
        return monotonic() + delay - self._in_touch_at > self._patience_seconds
