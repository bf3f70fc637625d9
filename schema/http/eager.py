"""Starting a coroutine at once, without a task: most sends never wait, and a task would cost more than the send."""

from collections.abc import Coroutine, Generator
from typing import Any

__all__ = ["Rest", "begin"]


class Rest:
    """What is left of a coroutine that has to wait: awaiting it goes on from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        """Give the loop what the coroutine waits for, until it has ended."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    answer = yield waits_for
                except BaseException as error:  # noqa: BLE001 - thrown into the coroutine, whose matter it is
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(answer)
        except StopIteration:
            return


def begin(coroutine: Coroutine[Any, Any, object]) -> Rest | None:
    """Run the coroutine up to where it has to wait; None if it ended before. Raises what it raises.

    In a task only: what it waits for belongs to the running loop.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return Rest(coroutine, waits_for)
