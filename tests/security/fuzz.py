"""Random operations, requests and messages at a running server: no 5xx, no traceback, no hang, nothing from inside.

    python -m tests.security.fuzz --seconds 120

What fails is made smaller by Hypothesis and printed with its seed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema
from hypothesis_graphql.nodes import String
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from persistence.migrate import migrate
from schema.api.schema import sdl
from tests.databases import end_cluster, fresh_database
from tests.security.house import ADMIN, Outside, program

LONGEST_SECONDS: Final = 10.0
EXAMPLES: Final = 60

INSIDE: Final = re.compile(
    r"Traceback|\.py\b|File \"|asyncpg|sqlalchemy|psycopg|strawberry|graphql-core|\bSELECT\b|\bINSERT\b|\bUPDATE\b"
    r"|relation \"|violates|/site-packages|/(?:usr|root|home)/|0x[0-9a-f]{8}"
)
"""What no answer says, unless it was asked with the very same words."""

JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NUMBERS: Final = ["-1", "0", "2147483647", "2147483648", "-2147483649", "9007199254740992", "9" * 40, "1e308", "0.1"]
TEXTS: Final = [
    "",
    " ",
    "\\u202e",
    "\\n\\u0001",
    "x" * 9000,
    "Plan groceries",
    "note",
    "pay",
    "fail",
    "a",
    "b",
    "%s",
    "'",
]


@dataclass
class Fuzz:
    """One running server, and what has been seen of it."""

    url: str
    words: list[str]
    """Strings that mean something there: ids, cursors, names of tools."""

    statuses: Counter[Any] = field(default_factory=Counter[Any])

    def run(self, seconds: float, first_seed: int) -> int:
        """Ask for so long; how many batches there were."""
        batches = 0
        until = time.monotonic() + seconds
        with httpx.Client(base_url=self.url, timeout=LONGEST_SECONDS + 5) as self.http:
            kinds = [self.operations, self.messages, self.bodies, self.operations, self.addresses]
            # Each kind once in any case.
            while time.monotonic() < until or batches < len(kinds):
                kinds[batches % len(kinds)](first_seed + batches)
                batches += 1
        return batches

    # ── what is sent ──

    def operations(self, number: int) -> None:
        """Operations that fit the schema, with words and numbers that mean something or go too far."""

        @_batch(number)
        @given(_OPERATIONS, st.randoms(use_true_random=False))
        def ask(text: str, dice: random.Random) -> None:
            text = _STRING.sub(lambda found: self._word(found, dice), text)
            text = _NUMBER.sub(lambda found: found[0] if dice.random() < 0.7 else dice.choice(NUMBERS), text)
            self._post(json.dumps({"query": text}).encode())

        ask()

    def bodies(self, number: int) -> None:
        """Bodies that are no operation, or hardly."""
        envelope = st.fixed_dictionaries(
            {}, optional={"query": JSON | _OPERATIONS, "variables": JSON, "operationName": JSON, "extensions": JSON}
        )
        body = st.binary(max_size=200) | (envelope | JSON).map(lambda value: json.dumps(value).encode())

        @_batch(number)
        @given(body, st.sampled_from(ACCEPT))
        def ask(content: bytes, accept: str) -> None:
            self._post(content, accept)

        ask()

    def addresses(self, number: int) -> None:
        """Requests by GET, to all paths that there are."""
        path = st.sampled_from(
            ["/graphql", "/", "/metrics", "/readyz", "/console/x.js", "/calendar/x.ics", "/graphql/"]
        ) | st.text("abc/%.?#\\:*_", max_size=12).map(lambda text: "/" + text.lstrip("/"))
        parameters = st.dictionaries(
            st.sampled_from(["query", "variables", "operationName", "extensions", "x"]),
            st.text(max_size=30) | _OPERATIONS | JSON.map(json.dumps),
            max_size=4,
        )

        @_batch(number)
        @given(path, parameters, st.sampled_from(ACCEPT))
        def ask(where: str, given_: dict[str, str], accept: str) -> None:
            asked = json.dumps(given_)
            if len(asked) < 20_000:
                headers = {"Authorization": f"Bearer {ADMIN}", "Accept": accept}
                with contextlib.suppress(httpx.InvalidURL, UnicodeEncodeError):
                    self._check(self.http.get(where, params=given_, headers=headers), asked + where)

        ask()

    def messages(self, number: int) -> None:
        """Messages over a socket, in the protocol's words or not."""
        kind = st.sampled_from(["subscribe", "complete", "ping", "pong", "connection_init", "next", "connection_ack"])
        payload = st.fixed_dictionaries({"query": _OPERATIONS | JSON}, optional={"variables": JSON}) | JSON
        message = st.fixed_dictionaries(
            {"type": kind | JSON}, optional={"id": st.sampled_from(["1", "2", ""]) | JSON, "payload": payload}
        )
        sound = st.fixed_dictionaries(
            {
                "type": st.just("subscribe"),
                "id": st.uuids().map(str),
                "payload": _OPERATIONS.map(lambda q: {"query": q}),
            }
        )
        text = sound.map(json.dumps) | (message | JSON).map(json.dumps) | st.text(max_size=50)

        @_batch(number)
        @given(st.lists(sound.map(json.dumps), max_size=3), st.lists(text, max_size=3))
        def talk(first: list[str], then: list[str]) -> None:
            messages = [*first, *then]
            asked = json.dumps(messages)
            with contextlib.suppress(ConnectionClosed), self._socket() as socket:
                for each in messages:
                    socket.send(each)
                socket.send('{"type": "ping", "payload": {"n": 1}}')
                while True:
                    said = str(socket.recv(timeout=LONGEST_SECONDS))
                    self.statuses["message"] += 1
                    self._check_text(said, asked)
                    if said == '{"type":"pong"}':
                        break

        talk()

    # ── what comes back ──

    @contextlib.contextmanager
    def _socket(self) -> Generator[ClientConnection]:
        with connect(
            self.url.replace("http", "ws") + "/graphql",
            subprotocols=["graphql-transport-ws"],  # pyright: ignore[reportArgumentType]
            compression=None,
            close_timeout=LONGEST_SECONDS,
        ) as socket:
            socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {ADMIN}"}}))
            assert socket.recv(timeout=LONGEST_SECONDS) == '{"type":"connection_ack"}'
            yield socket

    def _post(self, content: bytes, accept: str = "application/json") -> None:
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json", "Accept": accept}
        with self.http.stream("POST", "/graphql", content=content, headers=headers) as answer:
            if "event-stream" in answer.headers.get("content-type", ""):
                # It may go on for as long as there are approvals to come.
                self._check(answer, content.decode(errors="replace"), body=next(answer.iter_text(), ""))
                return
            answer.read()
        self._check(answer, content.decode(errors="replace"))

    def _check(self, answer: httpx.Response, asked: str, *, body: str | None = None) -> None:
        self.statuses[answer.status_code] += 1
        assert answer.status_code < 500 or "GraphiQL was not built" in (body or answer.text), answer.text
        assert answer.elapsed.total_seconds() < LONGEST_SECONDS if answer.is_closed else True
        page = "javascript" in answer.headers.get("content-type", "") or "html" in answer.headers.get(
            "content-type", ""
        )
        if not page:
            self._check_text(answer.text if body is None else body, asked)

    def _check_text(self, said: str, asked: str) -> None:
        assert "INTERNAL" not in said or "INTERNAL" in asked, said
        assert "UNAVAILABLE" not in said or "UNAVAILABLE" in asked, said
        for found in INSIDE.finditer(said):
            assert found[0] in asked or "__schema" in asked or "description" in asked, said

    def _word(self, found: re.Match[str], dice: random.Random) -> str:
        if found[0].startswith('"""') or dice.random() < 0.4:
            return found[0]
        word = dice.choice(self.words if dice.random() < 0.7 else TEXTS)
        return f'"{word}"'


def _batch(number: int) -> Any:
    def decorate(test: Any) -> Any:
        bounded = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        return seed(number)(bounded(test))

    return decorate


def _literal(value: Any) -> Any:
    return String(value if isinstance(value, str) else json.dumps(value))


_STRING = re.compile(r'"""|"(?:[^"\\\n]|\\.)*"')
_NUMBER = re.compile(r"(?<![\w\"$.-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w\".])")
_MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.text(max_size=10)
_OPERATIONS = from_schema(sdl(), custom_scalars={"JSON": JSON.map(_literal), "DateTime": _MOMENTS.map(_literal)})
ACCEPT = [
    "application/json",
    "application/graphql-response+json",
    "text/event-stream",
    "*/*",
    "text/html",
    "application/json;q=x, ,;",
]


async def prepare(server: Outside) -> list[str]:
    """Some runs to ask about; the words that mean something."""
    run = await server.submit(
        ADMIN,
        {"key": "a", "tool": "note"},
        {"key": "b", "tool": "pay", "args": {"amount": 1}, "dependsOn": ["a"]},
        {"key": "c", "tool": "fail"},
    )
    await server.until(run, "WORKFLOW_WAITING_APPROVAL")
    user, _ = await server.user("Somebody", "SUBMITTER")
    shown = await server.ask(
        """{runs {edges {cursor node {id steps {id} approvals {id argsDigest}}}} approvals {edges {cursor}}
        deadLetters {edges {cursor}}}"""
    )
    return [user, *re.findall(r'"((?:\w+_[0-9a-f]{32}\w*)|[0-9a-f]{64}|[\w-]{20,})"', json.dumps(shown))]


_NOT_WARNED = re.compile(
    r"Exception ignored in: <coroutine object .+>\n"
    r"Traceback \(most recent call last\):\n"
    r'  File "<string>", line 1, in <lambda>\n'
    r"KeyError: '__import__'\n"
)
"""The interpreter would warn of a coroutine that was cancelled before it began, as some are when a client goes at once.

If that is noticed while a named tuple is made, whose code has no builtins, it can't even import `warnings`.
"""


def unforeseen(log: str) -> list[str]:
    """The lines of a server's log that tell of something nobody foresaw."""
    return [line for line in _NOT_WARNED.sub("", log).splitlines() if '"level": "error"' in line or "Traceback" in line]


async def fuzz(seconds: float, first_seed: int, folder: Path) -> Counter[Any]:
    """Fuzz a server of its own for so long; what it answered. Raises AssertionError for what should not be."""
    async with fresh_database(migrate) as dsn, program(dsn, folder) as server:
        attack = Fuzz(server.url, await prepare(server))
        await asyncio.to_thread(attack.run, seconds, first_seed)
        assert (await server.http.get("/readyz")).status_code == 200
        assert await server.ask("{viewer {name}}") == {"viewer": {"name": "admin"}}
        found = unforeseen(server.said())
        assert not found, found[:3]
    return attack.statuses


def main() -> None:
    """Fuzz, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=None, help="the seed of the first batch; random if left out")
    asked = parser.parse_args()
    first = random.randrange(10**9) if asked.seed is None else asked.seed
    print(f"fuzzing for {asked.seconds:g} s, seed {first}", flush=True)  # noqa: T201 - this is a command
    try:
        with tempfile.TemporaryDirectory() as folder:
            statuses = asyncio.run(fuzz(asked.seconds, first, Path(folder)))
    finally:
        end_cluster()
    print(f"nothing unforeseen in {statuses.total()} answers: {dict(statuses)}")  # noqa: T201


if __name__ == "__main__":
    main()
