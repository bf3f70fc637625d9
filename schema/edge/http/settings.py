"""What the edge allows."""

from dataclasses import dataclass

__all__ = ["HttpSettings"]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How much, how long and how many; the defaults are the contract's."""

    max_body_bytes: int = 2 * 1024 * 1024
    max_message_bytes: int = 256 * 1024
    """The longest message that a socket may send us."""

    max_operations_per_socket: int = 50
    max_sockets_per_user: int = 50
    """Sockets and event streams together."""

    drain_bytes: int = 64 * 1024 * 1024
    """How much more of a body is taken from a client that is answered before all of it came."""

    drain_seconds: float = 10.0
    """And for how long."""

    request_timeout_seconds: float = 10.0
    """From the head of a request to its answer; an operation over a socket has the schema's deadline alone."""

    connection_init_timeout_seconds: float = 10.0
    send_timeout_seconds: float = 30.0
    """A reader that takes nothing for so long is dropped."""

    heartbeat_seconds: float = 15.0
    """Between the comments that keep a silent event stream open."""

    retry_after_seconds: int = 2
    """Sent as Retry-After when the service is unavailable."""

    cookie_name: str = "lifeos_session"
