"""The connections that outlast one answer, so that a stop or a revoked token can end them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Hashable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from schema.shared.faults import RequestError

__all__ = ["CLOSE_REASONS", "Connection", "Connections", "TooManyConnections", "Viewer"]

CLOSE_REASONS: Final = {
    1012: "Service Restart",
    1013: "Try Again Later",
    4401: "Unauthorized",
    4403: "Forbidden",
    4429: "Too Many Requests",
}


class Viewer(Protocol):
    """The user of a connection. Two are equal when they are the same user with the same rights."""

    @property
    def id(self) -> Hashable:
        """The same for every token of one user."""
        ...


class Connection(Protocol):
    """A socket or an event stream whose viewer is known."""

    @property
    def viewer(self) -> Viewer:
        """Whom it serves."""
        ...

    @property
    def token(self) -> str:
        """What its viewer signed in with."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End it, with a WebSocket close code or what comes nearest to it."""
        ...


class TooManyConnections(Exception):
    """The user has as many sockets and streams as one user may have."""


class Connections:
    """The live sockets and event streams of this process."""

    def __init__(self, *, max_per_user: int) -> None:
        self._max_per_user = max_per_user
        self._live: set[Connection] = set()
        self._per_user: Counter[Hashable] = Counter()
        self.open: Counter[str] = Counter()
        """How many "sockets" and "streams" are served at this moment, of people unknown yet too."""

    @contextmanager
    def serving(self, kind: str) -> Generator[None]:
        """Count one of this kind for the length of the block, whatever becomes of it."""
        self.open[kind] += 1
        try:
            yield
        finally:
            self.open[kind] -= 1

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._live))

    def add(self, connection: Connection) -> None:
        """Count it in; `TooManyConnections` if its user has too many."""
        user_id = connection.viewer.id
        if self._per_user[user_id] >= self._max_per_user:
            raise TooManyConnections
        self._live.add(connection)
        self._per_user[user_id] += 1

    def discard(self, connection: Connection) -> None:
        """Count it out, if it was in."""
        if connection in self._live:
            self._live.remove(connection)
            user_id = connection.viewer.id
            self._per_user[user_id] -= 1
            if not self._per_user[user_id]:
                del self._per_user[user_id]

    async def close_all(self, code: int = 1012) -> None:
        """End every connection; clients come back by themselves after a 1012."""
        await self.close_where(lambda _: True, code)

    async def close_user(self, user_id: Hashable, code: int = 4403) -> None:
        """End every connection of this user."""
        await self.close_where(lambda connection: connection.viewer.id == user_id, code)

    async def close_where(self, predicate: Callable[[Connection], bool], code: int = 4403) -> None:
        """End the connections for which `predicate` holds."""
        chosen = [connection for connection in self if predicate(connection)]
        reason = CLOSE_REASONS.get(code, "")
        # One that fails to close is on its way out in any case; the others must not stay because of it.
        await asyncio.gather(*(connection.close(code, reason) for connection in chosen), return_exceptions=True)

    async def recheck(self, authenticate: "Callable[[str], Awaitable[Viewer | None]]") -> None:
        """Ask once for each token in use whose it is, and end what hangs on one that holds no more or lets do less.

        A RequestError of `authenticate` ends the check, as nobody can say now. What else it raises about a token comes
        once all the others are checked.
        """
        wrong: Exception | None = None
        for token in {connection.token for connection in self}:
            try:
                viewer = await authenticate(token)
            except RequestError:
                raise
            except Exception as error:  # noqa: BLE001 - raised below
                wrong = error
                continue
            await self.close_where(
                lambda connection, token=token, viewer=viewer: connection.token == token and connection.viewer != viewer
            )
        if wrong is not None:
            raise wrong
