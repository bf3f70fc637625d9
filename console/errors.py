"""What ends a command: each is one clear line for a person."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_OURS: Final = {
    "cancelRun": "lifeos cancel RUN",
    "createUser": "lifeos user create NAME",
    "decideApproval": "lifeos decide ID approve|reject",
    "previewPlan": "lifeos preview",
    "resolveInDoubt": "lifeos resolve ID happened|did-not-happen|abandon",
    "retryStep": "lifeos retry STEP",
    "revokeTokens": "lifeos user revoke NAME",
    "submitWorkflow": "lifeos submit",
    "argsDigest": "--digest",
    "editedArgs": "--edit",
    "idempotencyKey": "--key",
    "requireApprovalFrom": "--approve-from",
}
"""What the API's words are called here."""

_THEIRS: Final = re.compile(rf"\b({'|'.join(_OURS)})\b")


class ConsoleError(Exception):
    """Its text is the line that a person reads; `exit_status` is what the command then ends with."""

    exit_status = 1


class BadInput(ConsoleError):
    """What a person gave, or the settings say, can't be used."""


class ServerUnreachable(ConsoleError):
    """Nothing answers at the server's address, or no longer does."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no server answers at {url} ({reason}); start one with `lifeos serve`, or set LIFEOS_URL")
        self.url = url
        self.reason = reason


class ConnectionLost(ConsoleError):
    """The connection broke while it was in use; what was asked for may or may not have happened."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the connection to {url} broke ({reason})")
        self.url = url
        self.reason = reason


class NotLifeOS(ConsoleError):
    """Something answers at the address, but not as the API does."""

    def __init__(self, url: str, answer: str) -> None:
        super().__init__(f"{url} does not answer as Life OS does ({answer}); is LIFEOS_URL right?")
        self.url = url


class Refused(ConsoleError):
    """The server answered the operation with an error; `code` is one of the API's."""

    def __init__(self, code: str, message: str, *, error_id: str | None = None, retry_after: str | None = None) -> None:
        # What the server says to programs about headers is nothing that somebody at a terminal can act on.
        advice = "the server does not know this token; set LIFEOS_TOKEN to a user's token that is not revoked"
        text = f"{code}: {advice if code == 'UNAUTHENTICATED' else message}"
        if error_id is not None:
            text += f" (the server's log has it as {error_id})"
        if retry_after is not None:
            text += f" (again in {retry_after} s)"
        super().__init__(text)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Fault:
    """One thing that was wrong with an input."""

    code: str
    message: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" ({'.'.join(self.path)})" if self.path else ""
        said = _THEIRS.sub(lambda found: _OURS[found[0]], self.message)
        return f"{self.code}: {said}{where}"


class Rejected(ConsoleError):
    """The server found faults in an input; nothing was changed."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)

    def has(self, code: str) -> bool:
        """Whether one of the faults has this code."""
        return any(fault.code == code for fault in self.faults)


class RunNotCompleted(ConsoleError):
    """A run that was watched ended otherwise than well."""

    def __init__(self, run_id: str, state: str, reason: str | None) -> None:
        super().__init__(f"{run_id} is {state}" + (f": {reason}" if reason else ""))
        self.exit_status = {"FAILED": 3, "CANCELLED": 4}.get(state, 1)
