"""How much each user may ask for: a bucket of points that fills by the minute's budget."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from schema.fast.limits import Analysis
from schema.shared.faults import LIMIT_EXCEEDED, RequestError

__all__ = ["Rates"]

_SETTING: Final = "RATE_POINTS_PER_MINUTE"
_MANY: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    points: float
    at: float


class Rates:
    """A bucket for each user, in this process: full at first, and full again a minute after it was emptied.

    An operation takes its points before it runs, whatever it comes over, and whatever becomes of it.
    """

    def __init__(self, points_per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = points_per_minute
        self._clock = clock
        self._buckets: dict[Hashable, _Bucket] = {}

    def admit(self, context: Any, analysis: Analysis) -> None:
        """Take the operation's points; a `RequestError` that says when to come back if there are too few."""
        if not self._most:
            return
        cost = analysis.points
        if cost > self._most:
            raise self._refused(f"This operation costs {cost} points, and a whole minute has {self._most}", 60.0)
        bucket = self._bucket(context.viewer.id)
        if cost > bucket.points:
            wait = (cost - bucket.points) * 60 / self._most
            raise self._refused(
                f"This operation costs {cost} points, and {int(bucket.points)} of {self._most} a minute are left", wait
            )
        bucket.points -= cost

    def _bucket(self, user: Hashable) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(user)
        if bucket is None:
            if len(self._buckets) >= _MANY:
                self._drop_full(now)
            bucket = self._buckets[user] = _Bucket(self._most, now)
        bucket.points = self._filled(bucket, now)
        bucket.at = now
        return bucket

    def _filled(self, bucket: _Bucket, now: float) -> float:
        return min(self._most, bucket.points + (now - bucket.at) * self._most / 60)

    def _drop_full(self, now: float) -> None:
        """A full bucket is worth no more than none."""
        self._buckets = {
            user: bucket for user, bucket in self._buckets.items() if self._filled(bucket, now) < self._most
        }

    def _refused(self, found: str, wait_seconds: float) -> RequestError:
        seconds = max(1, ceil(wait_seconds))
        return RequestError(
            f"{found} ({_SETTING}). Try again in {seconds} s.",
            LIMIT_EXCEEDED,
            retry_after_seconds=seconds,
            limit=_SETTING,
            maximum=self._most,
            retryAfterSeconds=seconds,
        )
