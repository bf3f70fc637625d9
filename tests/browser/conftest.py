import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from persistence.migrate import migrate
from tests.clients.programs import missing
from tests.clients.server import TOKEN, Server
from tests.databases import fresh_database

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page, Request, Route, WebSocket

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "console" / "static"
OUTPUT = ROOT / "tests" / "output" / "browser"
INSTALL = "pip install playwright && apt-get install chromium (or: playwright install chromium)"

# No sandbox, as tests also run as root in containers; nothing that talks to anybody by itself.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@dataclass(frozen=True)
class Site:
    """A running server with the console."""

    server: Server
    token: str = TOKEN

    @property
    def origin(self) -> str:
        return self.server.url

    @property
    def page(self) -> str:
        return f"{self.origin}/graphql"

    @property
    def sign_in(self) -> str:
        """The address that the server printed."""
        return self.server.printed


@dataclass
class Seen:
    """What the browser did behind the page's face."""

    addresses: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sent: list[str | bytes] = field(default_factory=list)
    """Over sockets."""
    received: list[dict[str, Any]] = field(default_factory=list)
    """The results of subscriptions, as they came."""

    def foreign(self, site: Site) -> list[str]:
        own = (f"{site.origin}/", f"{site.origin.replace('http', 'ws', 1)}/", "data:")
        return [address for address in self.addresses if not address.startswith(own)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """`lifeos serve` with its engine and tools, on a database of its own."""
    if not (STATIC / "index.html").is_file():
        missing("the console is not built: pip install -v -e .")
    async with fresh_database(migrate) as dsn:
        server = Server(dsn, tmp_path_factory.mktemp("server"))
        await server.start()
        yield Site(server)
        await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator["Browser"]:
    """Headless Chromium, which reaches no host but this one."""
    api = pytest.importorskip("playwright.async_api", reason=f"no Playwright: {INSTALL}")
    async with api.async_playwright() as playwright:
        names = ["chromium", "chromium-browser", "google-chrome", playwright.chromium.executable_path]
        executable = next(filter(None, map(shutil.which, names)), None)
        if executable is None:
            missing(f"no Chromium: {INSTALL}")
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest_asyncio.fixture(loop_scope="module")
async def page(site: Site, browser: "Browser", seen: Seen) -> AsyncIterator["Page"]:
    """A tab in a fresh profile that notes every address and every error, and gets nothing from other hosts."""

    def note_console(message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"}:
            seen.faults.append(message.text)

    def note_request(request: "Request") -> None:
        seen.addresses.append(request.url)

    def note_frame(frame: str | bytes) -> None:
        seen.sent.append(frame)

    def note_answer(frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "next":
            seen.received.append(message["payload"])

    def note_socket(websocket: "WebSocket") -> None:
        seen.addresses.append(websocket.url)
        websocket.on("framesent", note_frame)
        websocket.on("framereceived", note_answer)

    async def refuse(route: "Route") -> None:
        await route.abort()

    def watch(page: "Page") -> None:
        page.on("console", note_console)
        page.on("pageerror", lambda error: seen.faults.append(str(error)))
        page.on("request", note_request)
        page.on("websocket", note_socket)

    context = await browser.new_context(viewport={"width": 1600, "height": 1200})
    await context.route(lambda url: not url.startswith(f"{site.origin}/"), refuse)
    # A second tab is watched like the first.
    context.on("page", watch)
    page = await context.new_page()
    yield page
    await context.close()
