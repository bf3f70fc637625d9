"""How long to wait before trying again."""

import random
from collections.abc import Iterator


def growing_delays(base_seconds: float, cap_seconds: float) -> Iterator[float]:
    """Endless waits, exponential up to the cap, with full jitter so that many clients don't come back at once."""
    limit = base_seconds
    while True:
        yield random.uniform(0, limit)  # noqa: S311 - jitter is no secret
        limit = min(cap_seconds, limit * 2)
