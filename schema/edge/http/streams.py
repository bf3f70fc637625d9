"""Subscriptions as server-sent events: the "distinct connections" mode of the graphql-sse protocol."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.http.streaming import SSETransport
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from schema.edge.http.connections import Viewer
from schema.edge.http.endpoint import Endpoint
from schema.fast.execution import SharedData
from schema.shared.faults import UNAUTHENTICATED, RequestError, internal, refusal
from schema.shared.jsontext import encode

__all__ = ["EventStream"]


class LineFeedTransport(SSETransport):
    """Strawberry's framing with LF, the one line end that every client splits at."""

    def encode_event(self, event: str, data: str | None = None) -> str:
        """One event; `data` is one line of JSON."""
        return f"event: {event}\ndata: {data or ''}\n\n"

    def encode_comment(self, comment: str) -> str:
        """A line that clients skip."""
        return f": {comment}\n\n"


class EventStream(Response):
    """An operation's answers as events, until it completes, the client goes, or somebody closes it."""

    def __init__(
        self,
        view: Endpoint,
        answers: AsyncGenerator[ExecutionResult, None],
        *,
        viewer: Viewer,
        token: str,
    ) -> None:
        self._transport = LineFeedTransport(view.settings.heartbeat_seconds)
        super().__init__(headers=dict(self._transport.headers))
        del self.headers["content-length"]
        self.viewer = viewer
        self.token = token
        self._view = view
        self._answers = answers
        self._last_words: list[str] = []
        self._ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope
        with self._view.connections.serving("streams"):
            await self._serve(receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(self._write(send))
        listening = asyncio.create_task(_until_gone(receive))
        closing = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({writing, listening, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._view.connections.discard(self)
            for task in (writing, listening, closing):
                task.cancel()
            await asyncio.gather(writing, listening, closing, return_exceptions=True)
            await self._answers.aclose()
        if not writing.cancelled() and (error := writing.exception()):
            if not isinstance(error, TimeoutError | OSError):
                internal(error, transport="sse")
            return
        if self._ended.is_set():
            with suppress(TimeoutError, OSError):
                for words in self._last_words:
                    await self._send(send, words)
                await self._send(send, "", more=False)

    async def close(self, code: int, reason: str) -> None:
        """End the stream; a client that was refused gets the reason, any other comes back by itself."""
        if code == 4403:
            error = refusal(RequestError(reason, UNAUTHENTICATED))
            self._last_words = [
                self._transport.encode_event("next", encode({"errors": [error.formatted]}).decode()),
                self._transport.encode_complete(),
            ]
        self._ended.set()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        # The first bytes tell the client that the stream is open, before there is any event.
        await self._send(send, self._transport.encode_comment("open"))
        async with aclosing(self._frames()) as frames:
            async for frame in frames:
                await self._send(send, frame)
        await self._send(send, "", more=False)

    async def _send(self, send: Send, text: str, *, more: bool = True) -> None:
        async with asyncio.timeout(self._view.settings.send_timeout_seconds):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

    async def _frames(self) -> AsyncGenerator[str, None]:
        async with aclosing(_with_pauses(self._answers, self._view.settings.heartbeat_seconds)) as answers:
            async for answer in answers:
                if answer is None:
                    yield self._transport.encode_comment("ping")
                    continue
                yield self._transport.encode_event("next", _text(answer))
        yield self._transport.encode_complete()


def _text(answer: ExecutionResult) -> str:
    data = answer.data
    if isinstance(data, SharedData) and not answer.errors:
        return f'{{"data":{data.text}}}'
    payload: dict[str, Any] = {} if isinstance(answer, PreExecutionError) else {"data": data}
    if answer.errors:
        payload["errors"] = [error.formatted for error in answer.errors]
    return encode(payload).decode()


async def _with_pauses(
    answers: AsyncIterator[ExecutionResult], pause_seconds: float
) -> AsyncGenerator[ExecutionResult | None, None]:
    """The answers, and None whenever there has been none for so long."""
    while True:
        upcoming = asyncio.ensure_future(anext(answers))
        try:
            while not (await asyncio.wait({upcoming}, timeout=pause_seconds))[0]:
                yield None
        finally:
            if not upcoming.done():
                upcoming.cancel()
                await asyncio.wait({upcoming})
            if not upcoming.cancelled():
                upcoming.exception()  # looked at, so that nobody misses it when we are closed at just that moment
        try:
            answer = upcoming.result()
        except StopAsyncIteration:
            return
        yield answer


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
