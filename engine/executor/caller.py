"""The seam between a step and whatever makes its call: a function in this process, or another machine.

`caller.prepare(step)` gives the call, and `await call.make()` its reply. A reply says what the call came to and nothing
of states, retries or attempts: the executor derives those (see `outcomes`), alike for each kind of caller.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

from persistence.moves.row import ClaimedStep


class Returned(NamedTuple):
    """The call gave a result: JSON text without secrets, within the limit; and what the tool said beside it."""

    result: str
    notices: tuple[str, ...] = ()


class Failed(NamedTuple):
    """The call did not do what it should have. `retry_after` seconds is the least time to wait before the next try.

    `remark` is added to the message where there is a next try.
    """

    code: str
    message: str
    retryable: bool = False
    retry_after: float | None = None
    remark: str = ""


class Useless(NamedTuple):
    """The call was made, and its result can't be kept: it holds a secret, or is too long."""

    code: str
    message: str


class Unknown(NamedTuple):
    """Nobody knows whether the call happened."""

    code: str
    message: str


class Broken(NamedTuple):
    """A fault of this program kept the reply from being read."""

    error: BaseException


ReadReply: TypeAlias = Returned | Failed | Useless | Unknown
Reply: TypeAlias = ReadReply | Broken


class NotMade(Exception):
    """The call can't be made in this attempt, and was not; `reply` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Failed(code, message)


class Call(Protocol):
    """One call, ready to be made once."""

    @property
    def can_be_stopped(self) -> bool:
        """Whether cancelling `make` ends the call. A thread goes on, and its reply is waited for."""
        ...

    async def make(self) -> Reply:
        """Make the call, and return its reply. Raises CancelledError alone."""
        ...


class Caller(Protocol):
    """Makes the calls of steps. A step is given in full: tool, arguments (JSON text), digest, attempt, time-out."""

    def prepare(self, step: ClaimedStep) -> Call:
        """The call of this step. Returns at once. Raises NotMade where it can't be made as it was planned or approved.

        Nothing has happened yet when this returns.
        """
        ...
