"""The executor of this process, as the transactions see it that make steps ready."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from persistence.moves.inputs import NOBODY, Claimer
from persistence.moves.row import Advance


class LocalWorker:
    """A process that runs no steps: it takes nothing, and all becomes ready for others."""

    def reserve(self, *, own: int = 0, most: int | None = None) -> AbstractContextManager[Claimer]:
        """The worker with its free slots (at most `most`), which nobody else claims for inside the block.

        `own` are slots that the caller is about to free.
        """
        del own, most
        return _nobody()

    def take(self, claimer: Claimer, done: Advance) -> None:
        """Start the steps that a transaction claimed for this process."""


@contextmanager
def _nobody() -> Generator[Claimer]:
    yield NOBODY
