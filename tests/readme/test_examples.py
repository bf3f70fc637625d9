"""The examples and their README, against a web that this test plays."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.readme.markdown import ROOT, blocks_of
from tests.readme.reader import Reader
from tests.readme.test_blocks import DONE

pytestmark = pytest.mark.timeout(300)  # several real processes, one after another

TEXT = (ROOT / "examples" / "README.md").read_text()


class Web:
    """A web server with one page, and what was posted to it."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], Any]] = []
        web = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"Great news")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                web.posts.append((dict(self.headers), json.loads(body)))
                self._answer(b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
                """Nothing."""

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    web.server.shutdown()
    web.server.server_close()
    thread.join()


def test_the_examples_do_what_their_readme_says(
    env: dict[str, str], home: Path, databases: Callable[[str], str], web: Web
) -> None:
    folder = home / "examples"
    plan = folder / "announce.json"
    plan.write_text(
        plan.read_text()
        .replace("https://example.org/", web.url)
        .replace("https://hooks.example.org/announcements", f"{web.url}announcements")
    )
    blocks = list(blocks_of(TEXT))

    with Reader(home=folder, env=env, database=databases, server=None) as reader:
        for block in blocks:
            reader.read(block)

    ((headers, body),) = web.posts
    assert {block.kind for block in blocks} <= DONE
    assert body == {"text": "Great news", "source": web.url}
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Idempotency-Key"]


def test_every_example_is_named_in_their_readme() -> None:
    files = {path.name for path in (ROOT / "examples").iterdir() if path.is_file()} - {"README.md"}

    assert {name for name in files if f"`{name}`" in TEXT} == files
