"""Whole frames go to a socket past the layers above it, and only while it takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from schema.edge.http import FrameSocket
from schema.edge.http.frames import Write, text_frame, writer_of
from schema.edge.http.sockets import SocketAdapter
from schema.fast.execution import SharedData


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_frame_is_what_the_library_makes_of_the_text(size: int) -> None:
    text = "é" * (size // 2) + "a" * (size % 2)

    assert text_frame(text) == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def test_frames_are_kept_for_names_that_many_have_and_not_for_long_ones() -> None:
    written: list[bytes] = []

    def write(frame: bytes) -> bool:
        written.append(frame)
        return True

    adapter: Any = SocketAdapter.__new__(SocketAdapter)
    adapter._write = write
    data = SharedData({"seq": 1})

    for head in ["short", "short", "x" * 1000, *(f"name {number}" for number in range(100))]:
        assert adapter.write(data, head)

    assert written[0] is written[1]
    assert written[2] == text_frame("x" * 1000 + '{"seq":1}}}')
    assert len(data.frames) < 20
    assert max(map(len, data.frames.values())) < 100


@asynccontextmanager
async def open_socket() -> AsyncGenerator[tuple[ClientConnection, WebSocket, Write]]:
    """A client, and the other end of its socket with what writes frames to it."""
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        opened.set_result(socket)
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    app = Starlette(routes=[WebSocketRoute("/", serve)])
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws=FrameSocket, ws_per_message_deflate=False)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listening = config.bind_socket()
    await server.startup([listening])
    try:
        async with connect(f"ws://127.0.0.1:{listening.getsockname()[1]}/", compression=None) as client:
            socket = await opened
            write = writer_of(socket.scope)
            assert write is not None
            yield client, socket, write
    finally:
        await server.shutdown([listening])


async def test_frames_and_messages_come_in_the_order_in_which_they_were_sent() -> None:
    async with open_socket() as (client, socket, write):
        for number in range(6):
            if number % 2:
                await socket.send_text(f"{number}")
            else:
                assert write(text_frame(f"{number}"))

        assert [await client.recv() for _ in range(6)] == [f"{number}" for number in range(6)]


async def test_a_client_that_takes_nothing_gets_no_more_frames_and_loses_none() -> None:
    frame = text_frame("x" * 100_000)
    async with open_socket() as (client, _socket, write):
        given = 0
        while write(frame):
            given += 1
        assert given > 0

        taken = [len(await client.recv()) for _ in range(given)]
        assert taken == [100_000] * given
        async with asyncio.timeout(20):
            while not write(text_frame("again")):  # noqa: ASYNC110 - the transport tells only its protocol
                await asyncio.sleep(0.001)
        assert await client.recv() == "again"


async def test_a_socket_that_is_closed_takes_no_frame() -> None:
    async with open_socket() as (client, socket, write):
        await socket.close(4400, "enough")

        assert not write(text_frame("more"))
        with pytest.raises(ConnectionClosed):
            await client.recv()


async def test_a_socket_whose_client_is_gone_takes_no_frame() -> None:
    async with open_socket() as (client, _socket, write):
        transport: Any = client.transport
        transport.abort()
        async with asyncio.timeout(20):
            while write(text_frame("more")):  # noqa: ASYNC110 - what has gone is noticed by the loop
                await asyncio.sleep(0.001)
