"""The client: every operation of the API as a method, and a few verbs on top."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final, cast
from urllib.parse import urljoin

import httpx
from pydantic_core import to_jsonable_python
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from .errors import LifeOSError, Rejected, Unavailable, error_of, error_of_close
from .follow import follow_timeline
from .generated.base_model import UNSET
from .generated.client import GeneratedClient
from .generated.enums import ApprovalDecision, ApprovalStatus, RiskLevel
from .generated.fragments import ApprovalFields, EventFields, RunFields
from .generated.input_types import ApprovalFilter, DecideApprovalInput, PlanInput, SubmitWorkflowInput
from .generated.operations import TIMELINE_GQL
from .generated.timeline import Timeline

_PROTOCOL: Final = Subprotocol("graphql-transport-ws")
_ACKNOWLEDGED_WITHIN_SECONDS: Final = 10
_LARGEST_MESSAGE_BYTES: Final = 16 * 2**20
_REFUSED: Final = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND"}


class LifeOS(GeneratedClient):
    """A connection to one server as one user; use it as an asynchronous context manager.

    `url` is where the server is, like `http://127.0.0.1:8000`. Beside the verbs here there is a method for each
    operation of the API. Each subscription has a socket of its own.
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 30) -> None:
        endpoint = urljoin(url if url.endswith("/") else f"{url}/", "graphql")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/graphql-response+json, application/json;q=0.9",
        }
        super().__init__(
            url=endpoint,
            # The generated protocol asks for positional arguments that nobody gives.
            http_client=cast("Any", httpx.AsyncClient(headers=headers, timeout=timeout_seconds)),
            ws_url=f"ws{endpoint.removeprefix('http')}",
            ws_connection_init_payload={"authorization": headers["Authorization"]},
        )

    async def submit(
        self,
        intent: str | None = None,
        *,
        plan: PlanInput | None = None,
        idempotency_key: str | None = None,
        require_approval_from: RiskLevel | None = None,
    ) -> RunFields:
        """Start a run for an intent or a plan.

        The same idempotency key with the same input answers with the same run. `Rejected` says what is wrong.
        """
        given = {
            "intent": intent,
            "plan": plan,
            "idempotency_key": idempotency_key,
            "require_approval_from": require_approval_from,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        payload = await self.submit_workflow(SubmitWorkflowInput.model_validate(chosen))
        if payload.run is None:
            raise Rejected(payload.errors)
        return payload.run

    def follow_run(
        self,
        run_id: str,
        after: str | None = None,
        *,
        patience_seconds: float = 120,
        on_lost: Callable[[Unavailable], None] = lambda _: None,
    ) -> AsyncGenerator[EventFields]:
        """A run's events after a cursor, each exactly once and in order, until the run has ended.

        A connection that breaks is replaced from the last event's cursor, and `on_lost` is called; an outage
        that outlasts the patience is raised. Close the generator (`contextlib.aclosing`) when leaving it early.
        """
        return follow_timeline(self._events, run_id, after, patience_seconds=patience_seconds, on_lost=on_lost)

    async def open_approvals(self, run_id: str | None = None) -> list[ApprovalFields]:
        """All that waits for this user's decision, oldest first."""
        found: list[ApprovalFields] = []
        chosen = ApprovalFilter(statuses=[ApprovalStatus.REQUIRED], runId=run_id)
        after: str | None = None
        while True:
            page = await self.approvals(filter=chosen, first=100, after=after)
            found += page.nodes
            if not page.page_info.has_next_page:
                return found[::-1]
            after = page.page_info.end_cursor

    async def decide(
        self,
        approval_id: str,
        decision: ApprovalDecision,
        *,
        reason: str | None = None,
        args_digest: str | None = None,
        edited_args: Any = UNSET,
    ) -> ApprovalFields:
        """Decide an approval; with a digest, for exactly the arguments that were shown."""
        given = {"reason": reason, "args_digest": args_digest}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if edited_args is not UNSET:
            chosen["edited_args"] = edited_args
        decided = DecideApprovalInput.model_validate({"approval_id": approval_id, "decision": decision, **chosen})
        payload = await self.decide_approval(decided)
        if payload.approval is None or payload.errors:
            raise Rejected(payload.errors)
        return payload.approval

    # ── What the generated methods stand on ──

    async def execute(
        self, query: str, operation_name: str | None = None, variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """The HTTP answer to a query or a mutation; Unavailable if there is none."""
        try:
            return await super().execute(query, operation_name, variables, **kwargs)
        except httpx.TransportError as error:
            raise Unavailable(f"{self.url} does not answer: {error or type(error).__name__}") from error

    def get_data(self, response: Any) -> dict[str, Any]:
        """The data of an answer; its first error is raised as LifeOSError with its code."""
        try:
            answer: Any = response.json()
        except ValueError:
            answer = None
        match answer:
            case {"errors": errors} if errors:
                raise error_of(cast("object", errors))
            case {"data": data} if isinstance(data, dict):
                return cast("dict[str, Any]", data)
            case _ if response.status_code >= 500:
                raise Unavailable(f"HTTP {response.status_code}")
            case _:
                message = f"HTTP {response.status_code}: this is no answer of a Life OS server"
                raise LifeOSError(message, _REFUSED.get(response.status_code, "INTERNAL"))

    async def execute_ws(
        self, query: str, operation_name: str | None = None, variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> AsyncGenerator[dict[str, Any]]:
        """The data of each of a subscription's results, until the server completes it.

        Unavailable is raised when the connection breaks, any other LifeOSError when it was refused.
        """
        chosen = self._convert_dict_to_json_serializable(variables or {})
        operation = to_jsonable_python({"query": query, "operationName": operation_name, "variables": chosen})
        socket = await self._open(**kwargs)
        try:
            await _sign_in(socket, self.ws_connection_init_payload)
            await _tell(socket, {"type": "subscribe", "id": "1", "payload": operation})
            async with aclosing(_results(socket)) as results:
                async for data in results:
                    yield data
        except ConnectionClosed as closed:
            raise error_of_close(closed) from closed
        finally:
            # By hand, as `async with` tells the server of an internal error when a reader leaves early.
            await socket.close()

    async def _events(self, run_id: str, after: str | None) -> AsyncGenerator[EventFields]:
        variables = {"runId": run_id, "after": after}
        async with aclosing(self.execute_ws(TIMELINE_GQL, "Timeline", variables)) as results:
            async for data in results:
                yield Timeline.model_validate(data).timeline

    async def _open(self, **kwargs: Any) -> ClientConnection:
        try:
            return await connect(
                self.ws_url, subprotocols=[_PROTOCOL], max_size=_LARGEST_MESSAGE_BYTES, close_timeout=2, **kwargs
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in _REFUSED:
                raise LifeOSError(f"{self.ws_url} lets no socket in (HTTP {status})", _REFUSED[status]) from error
            raise Unavailable(f"HTTP {status} from {self.ws_url}") from error
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Unavailable(f"{self.ws_url} does not answer: {error or type(error).__name__}") from error


async def _sign_in(socket: ClientConnection, payload: dict[str, Any] | None) -> None:
    await _tell(socket, {"type": "connection_init", "payload": payload})
    try:
        async with asyncio.timeout(_ACKNOWLEDGED_WITHIN_SECONDS):
            while (message := await _hear(socket)).get("type") != "connection_ack":
                if message.get("type") == "ping":
                    await _tell(socket, {"type": "pong"})
    except TimeoutError as error:
        raise Unavailable("no acknowledgement in time") from error


async def _results(socket: ClientConnection) -> AsyncGenerator[dict[str, Any]]:
    while True:
        match await _hear(socket):
            case {"type": "next", "payload": {"errors": errors}} if errors:
                raise error_of(cast("object", errors))
            case {"type": "next", "payload": {"data": data}} if isinstance(data, dict):
                yield cast("dict[str, Any]", data)
            case {"type": "error", "payload": errors}:
                raise error_of(errors)
            case {"type": "complete"}:
                return
            case {"type": "ping"}:
                await _tell(socket, {"type": "pong"})
            case _:
                pass


async def _tell(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(json.dumps(message))


async def _hear(socket: ClientConnection) -> dict[str, Any]:
    try:
        message: Any = json.loads(await socket.recv())
    except ValueError as error:
        raise LifeOSError("this is no socket of a Life OS server", "INTERNAL") from error
    return cast("dict[str, Any]", message) if isinstance(message, dict) else {}
