"""Long work on what somebody sent, done in a thread of its own, so that everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from engine.tools.foreign import text_of

T = TypeVar("T")


class Lane(Enum):
    """A thread for one kind of work: however much is sent, it takes no more from the others than one thread does."""

    PLANS = ThreadPoolExecutor(1, "plans")
    REFERENCES = ThreadPoolExecutor(1, "references")
    """Of its own, as locks are held while it is waited for."""


async def aside(work: Callable[[], T], lane: Lane) -> T:
    """What comes of pure work. Being cancelled ends the waiting, and the work if it has not begun.

    What a stranger's object raises while it is looked at, SystemExit say, comes as a RuntimeError.
    """

    def contained() -> T:
        try:
            return work()
        except Exception:
            raise
        except BaseException as error:
            # Let out by a task, it would end the loop, and everybody's work with it.
            raise RuntimeError(text_of(error)) from error

    return await asyncio.get_running_loop().run_in_executor(lane.value, contained)
