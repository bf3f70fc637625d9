"""Batches: what the entries of an answer's lists ask for one by one is read together.

Strawberry's loader reads what was asked for in one turn of the loop. The entries of a long list come in many turns, so
that others are served between them; what they ask for is one batch all the same.
"""

from asyncio import Task, create_task, shield
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from strawberry.dataloader import DataLoader

from schema.fast.spending import has_pauses, settled, stir

__all__ = ["batches"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

Read = Callable[[list[K]], Awaitable[Sequence[T]]]


def batches(read: "Read[K, T]") -> "DataLoader[K, T]":
    """A loader that calls `read` once for all that is asked for at a time, and once for all entries of long lists."""
    return DataLoader[Any, Any](load_fn=_Together(read))


class _Together(Generic[K, T]):
    def __init__(self, read: "Read[K, T]") -> None:
        self._read = read
        self._keys: list[K] = []
        self._reading: Task[Sequence[T]] | None = None

    async def __call__(self, keys: list[K]) -> Sequence[T]:
        if not has_pauses():
            return await self._read(keys)
        stir()
        first = len(self._keys)
        self._keys += keys
        if self._reading is None:
            self._reading = create_task(self._read_settled())
        # A caller that gives up waits no more; the others still do.
        found = await shield(self._reading)
        return found[first : first + len(keys)]

    async def _read_settled(self) -> Sequence[T]:
        await settled()
        keys, self._keys, self._reading = self._keys, [], None
        return await self._read(keys)
