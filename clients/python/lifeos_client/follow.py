"""A run's timeline across whatever connections break in between."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic
from typing import Final, Protocol

from .errors import Unavailable
from .generated.fragments import EventFields

_FIRST_DELAY_SECONDS: Final = 0.1
_LONGEST_DELAY_SECONDS: Final = 5.0
# A connection that held this long was a good one: what broke it is a new outage.
_GOOD_AFTER_SECONDS: Final = 20.0


class Timeline(Protocol):
    """One subscription to a run's events, which may break."""

    def __call__(self, run_id: str, after: str | None) -> AsyncGenerator[EventFields]:
        """The events after a cursor."""
        ...


async def follow_timeline(
    timeline: Timeline,
    run_id: str,
    after: str | None,
    *,
    patience_seconds: float,
    on_lost: Callable[[Unavailable], None],
) -> AsyncGenerator[EventFields]:
    """Each event after the cursor exactly once, in order, until the server completes a subscription."""
    seq: int | None = None
    longest = _FIRST_DELAY_SECONDS
    outage_since: float | None = None
    while True:
        begun_at = monotonic()
        try:
            async with aclosing(timeline(run_id, after)) as events:
                async for event in events:
                    if not _is_next(event, seq):
                        continue
                    after, seq = event.cursor, event.seq
                    longest, outage_since = _FIRST_DELAY_SECONDS, None
                    yield event
        except Unavailable as lost:
            now = monotonic()
            if outage_since is None or now - begun_at > _GOOD_AFTER_SECONDS:
                outage_since = now
            if now - outage_since > patience_seconds:
                raise
            on_lost(lost)
        else:
            return
        # With full jitter, so that many followers don't come back at once.
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter is no secret
        longest = min(longest * 2, _LONGEST_DELAY_SECONDS)


def _is_next(event: EventFields, seq: int | None) -> bool:
    if seq is not None and event.seq > seq + 1:
        raise Unavailable(f"event {seq + 1} is missing before {event.seq}")
    return seq is None or event.seq == seq + 1
