"""Somebody who follows the README to the letter: runs each block in turn, and compares what comes back.

Where the README says `run_…` (`appr_…`, `lifeos_…`), the reader puts what the latest answer showed: the first where it
stands first in a block, the second where it stands next; where a field is `…`, what that field was in the latest
answer. Nothing else is changed but the port, and the names of databases.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
from websockets import Subprotocol
from websockets.sync.client import ClientConnection, connect

from tests.packaging.processes import Program, run, started
from tests.readme.markdown import Block
from tests.readme.packages import javascript, typescript
from tests.readme.shapes import ANY, fits_json, fits_text

PATIENCE_SECONDS = 90
DEFAULT_ADDRESS = "127.0.0.1:8000"
_ID = re.compile(r"\b(run|appr|step|lifeos)_([\w-]{16,})")
_PLACE = re.compile(rf"\b(run|appr|step|lifeos)_{ANY}")
_FIELD = re.compile(rf"\b(\w+)(\\?\"?: *\\?\"){ANY}(\\?\")")
_DATABASE = re.compile(rf"postgresql://{ANY}/(\w+)")


class Reader:
    """One section's reader, with a shell, open subscriptions, and what was seen so far."""

    def __init__(
        self, *, home: Path, env: Mapping[str, str], database: Callable[[str], str], server: Program | None
    ) -> None:
        self._home = home
        self._env = dict(env)
        self._database = database
        self._programs = ExitStack()
        self._ids: dict[str, list[str]] = {}
        self._fields: dict[str, list[str]] = {}
        self._said = ""
        self._again: Callable[[], str] | None = None
        self._streams: dict[str, Stream] = {}
        self._latest: Stream | None = None
        self._server: Program | None = None
        self._shell: Shell | None = None
        if server is not None:
            self._meet(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()

    def read(self, block: Block) -> None:
        """Do what a block says, or compare what it shows."""
        match block.words:
            case ("sh",):
                self._did(lambda: self.shell.run(self._filled(block.text)), again=False)
            case ("sh", "again"):
                command = self._filled(block.text)
                self._did(lambda: self.shell.run(command), again=True)
            case ("sh", "serve"):
                self._serve(self._filled(block.text).splitlines())
            case ("graphql",):
                self._ask(self._filled(block.text))
            case ("python" | "ts" | "js", *_):
                self._program_in(block)
            case (_, "answer", *name):
                self._look(block, *name)
            case _:
                raise AssertionError(f"{block}: nobody knows what to do with it")

    def _look(self, block: Block, name: str | None = None) -> None:
        """Compare what is shown with what came; with a subscription's name, with the rest of it, up to its end."""
        stream = self._latest if name is None else self._streams[name]
        if stream is not None:
            self._see(stream.take(_documents(block.text)))
            if name is not None:
                stream.expect_the_end()
        elif block.words[0] == "json":
            shown = json.loads(block.text)
            self._compare(lambda said: fits_json(shown, json.loads(said)), block)
        else:
            self._compare(lambda said: fits_text(block.text, said), block)

    @property
    def shell(self) -> Shell:
        """One shell for the section: what a block exports, the next one has."""
        if self._shell is None:
            self._shell = self._programs.enter_context(Shell(self._home, self._env))
        return self._shell

    # ── what blocks do ──

    def _did(self, act: Callable[[], str], *, again: bool) -> None:
        self._latest = None
        self._said = act()
        self._see(self._said)
        self._again = act if again else None

    def _program_in(self, block: Block) -> None:
        """Run a program; `as=` a file that others import, to `serve` beside the rest, to show the `same` as before."""
        before, text = self._said, self._filled(block.text)
        match block.words:
            case ("python", *_):
                command = [sys.executable, "-c", text]
            case ("ts",):
                command = typescript(text, self._home, self.shell.environment())
            case (_, name) if name.startswith("as="):
                (self._home / name.removeprefix("as=")).write_text(text)
                return
            case _:
                command = javascript(text, self._home)
        if "serve" in block.words:
            self._beside(command)
        else:
            self._script(command)
            assert "same" not in block.words or self._said == before, f"{block}\nshows something else:\n{self._said}"

    def _script(self, command: Sequence[str | Path]) -> None:
        """Run a program with what the shell exported."""

        def to_its_end() -> str:
            ended = run(command, env=self.shell.environment(), cwd=self._home)
            assert ended.status == 0, ended.errors
            return ended.output

        self._did(to_its_end, again=False)

    def _beside(self, command: Sequence[str | Path]) -> None:
        """Start a program that goes on while the section does, and must not end before it."""
        starting = started(command, env=self.shell.environment(), cwd=self._home, ready=False)
        program = self._programs.enter_context(starting)
        self._programs.callback(_still_runs, program)

    def _ask(self, document: str) -> None:
        name = re.search(r"^subscription (\w+)", document, re.MULTILINE)
        if name is not None:
            assert self._server is not None
            self._latest = self._streams[name[1]] = self._programs.enter_context(Stream(self._server, document))
        else:
            self._did(lambda: self._post(document), again=not document.lstrip().startswith("mutation"))

    def _post(self, document: str) -> str:
        assert self._server is not None
        answer = httpx.post(
            f"{self._server.url}/graphql",
            json={"query": document},
            headers={"Authorization": f"Bearer {self._server.token}"},
        )
        assert "errors" not in answer.json(), answer.text
        return answer.text

    def _serve(self, lines: Sequence[str]) -> None:
        """Start what runs on, one program a line, all at once; with what the shell exported."""
        env = self.shell.environment()
        for program in [self._program(line.partition("#")[0].strip(), env) for line in lines]:
            program.wait_until_ready()
            if "?token=" in program.said:
                self._meet(program)

    def _program(self, command: str, env: Mapping[str, str]) -> Program:
        port = " --port 0" if "lifeos serve" in command else ""
        starting = started(["bash", "-c", f"{_with_exec(command)}{port}"], env=env, cwd=self._home, ready=False)
        program = self._programs.enter_context(starting)
        self._programs.callback(_end_well, program)
        return program

    def _meet(self, server: Program) -> None:
        self._server = server
        self._env |= {"LIFEOS_URL": server.url, "LIFEOS_DATA_DIR": server.data_dir}
        self._ids["lifeos"] = [server.token]
        if self._shell is not None:
            self._shell.run(f"export LIFEOS_URL={server.url}")

    # ── what was seen, and what is put in its place ──

    def _compare(self, fits: Callable[[str], bool], block: Block) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not fits(self._said):
            assert self._again is not None, f"{block}\nwas shown, but this came:\n{self._said}"
            assert time.monotonic() < deadline, f"{block}\nwas shown, but this came at last:\n{self._said}"
            self._said = self._again()
        self._see(self._said)

    def _see(self, said: str) -> None:
        found: dict[str, list[str]] = {}
        for prefix, rest in _ID.findall(said):
            each = found.setdefault(prefix, [])
            if f"{prefix}_{rest}" not in each:
                each.append(f"{prefix}_{rest}")
        self._ids |= found
        fields: dict[str, list[str]] = {}
        for name, value in re.findall(r'"(\w+)": ?"([^"\\]*)"', said):
            fields.setdefault(name, []).append(value)
        self._fields |= fields

    def _filled(self, text: str) -> str:
        """The block's text with what was seen in the place of what the README leaves open."""
        turns = {prefix: iter(ids) for prefix, ids in self._ids.items()}
        last = {prefix: ids[-1] for prefix, ids in self._ids.items()}
        values = {name: iter(found) for name, found in self._fields.items()}
        text = _PLACE.sub(lambda place: next(turns.get(place[1], iter(())), last.get(place[1], place[0])), text)
        text = _FIELD.sub(
            lambda place: f"{place[1]}{place[2]}{next(values.get(place[1], iter(())), ANY)}{place[3]}", text
        )
        text = _DATABASE.sub(lambda place: self._database(place[1]), text)
        if self._server is not None:
            text = text.replace(DEFAULT_ADDRESS, self._server.url.removeprefix("http://"))
        assert ANY not in text, f"there is nothing to put in the place of {ANY} in\n{text}"
        return text


class Stream:
    """A subscription over a WebSocket, as GraphiQL opens it."""

    def __init__(self, server: Program, document: str) -> None:
        self._address = f"{server.url.replace('http', 'ws', 1)}/graphql"
        self._token = server.token
        self._document = document
        self._open = ExitStack()
        self._socket: ClientConnection | None = None

    def __enter__(self) -> Self:
        self._socket = self._open.enter_context(
            connect(self._address, subprotocols=[Subprotocol("graphql-transport-ws")])
        )
        self._send({"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}})
        assert self._receive() == {"type": "connection_ack"}
        self._send({"id": "1", "type": "subscribe", "payload": {"query": self._document}})
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, shown: Iterator[Any]) -> str:
        """Take what comes until all that is shown has come, in its order; what stands for `…` is let pass."""
        seen = list[str]()
        is_open = False
        for each in shown:
            if each == ANY:
                is_open = True
                continue
            while True:
                message = self._receive()
                assert message["type"] == "next", f"{each} was shown, but this came: {message}"
                seen.append(json.dumps(message["payload"]))
                if fits_json(each, message["payload"]):
                    break
                assert is_open, f"{each} was shown, but this came: {seen[-1]}"
            is_open = False
        return "\n".join(seen)

    def expect_the_end(self) -> None:
        """The server ends the subscription by itself."""
        assert self._receive() == {"id": "1", "type": "complete"}

    def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(message))

    def _receive(self) -> dict[str, Any]:
        assert self._socket is not None
        while True:
            message = json.loads(self._socket.recv(PATIENCE_SECONDS))
            if message["type"] != "ping":
                message.pop("payload", None) if message["type"] == "connection_ack" else None
                return message


class Shell:
    """A bash that runs one block after another and ends at the first command that fails."""

    _END = "-- the block is done --"

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self._home = home
        self._env = env
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail"],
            env=self._env,
            cwd=self._home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        with self._process:
            self._process.kill()

    def run(self, block: str) -> str:
        """Run a block and return what it wrote to standard output; a failed command fails the test."""
        assert self._process is not None
        assert self._process.stdin is not None
        # Nothing in a block may read the blocks that follow.
        self._process.stdin.write(f"{{\n{block}\n}} </dev/null\nprintf '\\n%s\\n' '{self._END}'\n")
        self._process.stdin.flush()
        lines = list[str]()
        while (line := self._lines.get(timeout=PATIENCE_SECONDS)) != f"{self._END}\n":
            if line is None:
                assert self._process.stderr is not None
                raise AssertionError(f"failed:\n{block}\n{''.join(lines)}{self._process.stderr.read()}")
            lines.append(line)
        return "".join(lines)

    def environment(self) -> dict[str, str]:
        """What the shell would pass on to a program."""
        pairs = self.run("env -0").split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


def _still_runs(program: Program) -> None:
    assert program.process.poll() is None, program.log()


def _end_well(program: Program) -> None:
    assert program.stop() == 0, program.log()


def _documents(text: str) -> Iterator[Any]:
    """One JSON document a line, or `…`."""
    for line in text.splitlines():
        yield ANY if line.strip() == ANY else json.loads(line)


def _with_exec(command: str) -> str:
    """The command in the shell's own place, so that a signal to one is a signal to the other."""
    settings, program = re.fullmatch(r"((?:\w+=\S+ +)*)(.*)", command).groups()  # pyright: ignore[reportOptionalMemberAccess] - it matches any line
    return f"{settings}exec {program}"
