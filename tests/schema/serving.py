"""The toy schema behind a real server, on a port of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect

from schema.edge.http import BoundedHttp, Drained, FrameSocket, GraphQLView, HttpSettings
from tests.schema.toy import Context, DatabaseAway, Toy, Viewer, make_schema


@pytest.fixture
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """The records of structlog, instead of a slow picture of them on the terminal."""
    with capture_logs() as entries:
        yield entries


async def until(holds: Callable[[], bool]) -> None:
    """Look again, as soon as something else ran, until it holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what changes it is another's code, and rings no bell
            await asyncio.sleep(0.001)


BEARER = {"Authorization": "Bearer ada"}


@dataclass
class Users:
    """Who has which token; the tests take tokens away, and the whole directory."""

    tokens: dict[str, str] = field(default_factory=lambda: {"ada": "user_ada", "bob": "user_bob", "ada2": "user_ada"})
    is_away: bool = False
    hangs: bool = False
    takes_seconds: float = 0
    asked: list[str] = field(default_factory=list)

    async def authenticate(self, token: str) -> Viewer | None:
        self.asked.append(token)
        await asyncio.sleep(self.takes_seconds)
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise DatabaseAway("10.0.0.1")
        user_id = self.tokens.get(token)
        return None if user_id is None else Viewer(user_id)


@dataclass
class Server:
    url: str
    view: GraphQLView[Viewer]
    toy: Toy
    users: Users
    http: httpx.AsyncClient
    stopping: list[bool]

    async def post(self, query: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return await self.http.post("/graphql", json={"query": query, **more}, headers={**BEARER, **(headers or {})})

    def socket(self, **options: Any) -> connect:
        options.setdefault("subprotocols", ["graphql-transport-ws"])
        options.setdefault("compression", None)
        return connect(self.url.replace("http", "ws") + "/graphql", **options)

    @asynccontextmanager
    async def signed_in(self, token: str = "ada", **options: Any) -> AsyncIterator[ClientConnection]:
        async with self.socket(**options) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
            assert await socket.recv() == '{"type":"connection_ack"}'
            yield socket


@asynccontextmanager
async def serving(
    settings: HttpSettings | None = None, *, ws_max_size: int = 1024 * 1024, **schema_options: Any
) -> AsyncIterator[Server]:
    toy, users, stopping = Toy(), Users(), []
    view = GraphQLView(
        make_schema(**schema_options),
        authenticate=users.authenticate,
        make_context=lambda viewer: Context(viewer, toy),
        render_page=lambda _: HTMLResponse("<title>Toy</title>"),
        unavailable=(DatabaseAway,),
        is_stopping=lambda: bool(stopping),
        settings=settings,
    )

    async def root(request: Request) -> Response:
        return await view.sign_in(request) or HTMLResponse("home")

    app = Starlette(routes=[*view.routes(), Route("/", root)])
    config = uvicorn.Config(
        Drained(app, view.settings),
        port=0,
        log_config=None,
        lifespan="off",
        http=BoundedHttp,
        ws=FrameSocket,
        ws_per_message_deflate=False,
        ws_max_size=ws_max_size,
    )
    # Without uvicorn's main loop, whose ticks of 0.1 s would be most of each test.
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    sockets = [config.bind_socket()]
    await server.startup(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield Server(url, view, toy, users, http, stopping)
    finally:
        for listener in server.servers:
            listener.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        await until(lambda: not (state.connections or state.tasks))
