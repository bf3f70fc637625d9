"""The addresses of PostgreSQL and of the broadcaster: which are valid, and where each leads.

Drivers find such faults late, each in its own words, which name neither the setting nor what to write instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

_POSTGRES: Final = ("postgresql", "postgres")
_REDIS: Final = ("redis", "rediss")
_DEFAULT_PORTS: Final = {**dict.fromkeys(_POSTGRES, 5432), **dict.fromkeys(_REDIS, 6379)}
_LAST_PORT: Final = 65_535


def fault_of_database(url: str) -> str | None:
    """Why this can't be the address of a database; None if it can. The value itself is not repeated: it has secrets."""
    return _fault(url, _POSTGRES, "postgresql://user:password@host:5432/name")


def fault_of_broadcast(url: str) -> str | None:
    """Why wake-ups can't travel over this address; None if they can."""
    fault = _fault(url, (*_POSTGRES, *_REDIS), "redis://host:6379 or postgresql://user:password@host:5432/name")
    if fault is None and _scheme(url) in _REDIS and find_spec("redis") is None:
        return (
            "needs the package redis, which comes with the extra lifeos[redis]: "
            "pip install 'lifeos[redis]', or in a checkout .venv/bin/pip install -e '.[redis]'"
        )
    return fault


def place_of(url: str) -> str:
    """Where a valid address leads, without the user's name: `host:port`, or the folder of a socket."""
    parts = urlsplit(url)
    # What the address leaves out, PostgreSQL's drivers take from variables of their own.
    left_out: Mapping[str, str] = os.environ if parts.scheme in _POSTGRES else {}
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", [left_out.get("PGHOST", "localhost")])[-1]
    port = parts.port or query.get("port", [left_out.get("PGPORT", _DEFAULT_PORTS[parts.scheme])])[-1]
    if host.startswith(("/", "@")):
        return f"{host} (port {port})"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _scheme(url: str) -> str:
    return url.partition("://")[0] if "://" in url else ""


def _fault(url: str, schemes: tuple[str, ...], example: str) -> str | None:
    scheme = _scheme(url)
    if not scheme:
        return f"should be an address like {example}"
    if scheme not in schemes:
        return f"should be like {example}; its scheme can't be used"
    try:
        return _fault_of_parts(url, urlsplit(url))
    except ValueError:
        return f"is no address; it should be like {example}"


def _fault_of_parts(url: str, parts: SplitResult) -> str | None:
    if not url.isprintable() or " " in url:
        return "has a blank or a control character in it: write such characters as %20 and the like"
    if "#" in url:
        return "has a # in it: write that as %23"
    query = parse_qs(parts.query)
    places = (parts.netloc.rpartition("@")[2], *query.get("host", ()), *query.get("port", ()))
    if any("," in place for place in places):
        return "names several hosts, and one can be used: name the one that takes writes"
    if not all(map(_is_port, _ports(parts, query))):
        return f"has a port that is none: ports are 1 to {_LAST_PORT} (a / in a password is written %2F)"
    return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= _LAST_PORT


def _ports(parts: SplitResult, query: dict[str, list[str]]) -> Iterator[str]:
    place = parts.netloc.rpartition("@")[2]
    _, colon, port = place.rpartition("]")[2].rpartition(":")
    if colon and port:
        yield port
    yield from query.get("port", ())
