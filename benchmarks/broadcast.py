"""The limit of a fan-out: a Starlette application that sends the same text to every socket.

`python -m benchmarks.broadcast`. It runs as `lifeos serve` does: uvicorn, uvloop, the same WebSocket implementation,
no compression.
"""

from __future__ import annotations

import asyncio
import time

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


async def main() -> None:
    """Serve on a free port, and say which."""
    sockets: set[WebSocket] = set()

    async def follow(socket: WebSocket) -> None:
        await socket.accept()
        sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            sockets.discard(socket)

    async def tell(request: Request) -> JSONResponse:
        text = (await request.body()).decode()
        began = time.time()
        for socket in tuple(sockets):
            await socket.send_text(text)
        return JSONResponse({"began": began, "sockets": len(sockets)})

    app = Starlette(routes=[WebSocketRoute("/follow", follow), Route("/graphql", tell, methods=["POST"])])
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_config=None, access_log=False, ws="websockets-sansio", ws_per_message_deflate=False
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(main())
