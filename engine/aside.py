"""Long work on what somebody sent, done in a thread of its own, so that everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_THREAD: Final = ThreadPoolExecutor(1, "aside")
"""One for all: however much is sent, it takes no more from the others than one thread does."""


async def aside(work: Callable[[], T]) -> T:
    """What comes of pure work. Being cancelled ends the waiting, and the work if it has not begun."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)
