"""The console's pages before an API of three operations, behind a sign-in cookie.

Just enough to prove the pages in a browser: what the examples SubmitWorkflow and FollowTimeline ask for
is here. Run as `uvicorn --app-dir tests/browser tiny_server:app`.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import strawberry
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.scalars import JSON

from schema import pages

TOKEN = os.environ["CONSOLE_TOKEN"]
STATIC = Path(os.environ["CONSOLE_STATIC"])
COOKIE = "session"


@strawberry.type
class User:
    name: str


@strawberry.type
class Run:
    id: strawberry.ID
    state: str
    created_at: datetime


@strawberry.type
class UserError:
    code: str
    message: str
    path: list[str]


@strawberry.type
class SubmitWorkflowPayload:
    run: Run | None
    errors: list[UserError]


@strawberry.type
class Step:
    key: str
    tool: str
    state: str


@strawberry.type
class TimelineEvent:
    seq: int
    type: str
    message: str
    created_at: datetime
    step: Step | None
    approval_id: strawberry.ID | None
    metadata: JSON
    cursor: str


@strawberry.input
class SubmitWorkflowInput:
    intent: str


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self) -> User:
        return User(name="admin")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def submit_workflow(
        self, submission: Annotated[SubmitWorkflowInput, strawberry.argument(name="input")]
    ) -> SubmitWorkflowPayload:
        run_id = strawberry.ID(f"run_{len(submission.intent)}")
        run = Run(id=run_id, state="QUEUED", created_at=datetime.now(UTC))
        return SubmitWorkflowPayload(run=run, errors=[])


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def timeline(self, run_id: strawberry.ID, after: str | None = None) -> AsyncGenerator[TimelineEvent, None]:
        for seq, type_ in enumerate(["WORKFLOW_STARTED", "WORKFLOW_PLANNED", "WORKFLOW_COMPLETE"], start=1):
            yield TimelineEvent(
                seq=seq,
                type=type_,
                message=f"{run_id} is at {seq}",
                created_at=datetime.now(UTC),
                step=None,
                approval_id=None,
                metadata=JSON({}),
                cursor=str(seq),
            )
            await asyncio.sleep(0)


class Api(GraphQL[Any, Any]):
    """Answers browsers with pages, and everybody else with GraphQL, if they have the cookie."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        is_signed_in = connection.cookies.get(COOKIE) == TOKEN
        wants_page = scope["type"] == "http" and scope["method"] == "GET"
        if wants_page and "token" in connection.query_params:
            await self._sign_in(connection.query_params["token"])(scope, receive, send)
        elif not is_signed_in and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
        elif not is_signed_in:
            await pages.not_signed_in_page()(scope, receive, send)
        elif wants_page:
            await pages.graphiql_page(STATIC)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _sign_in(self, token: str) -> Response:
        if token != TOKEN:
            return pages.wrong_token_page()
        response = RedirectResponse("/graphql", 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return response


api = Api(
    strawberry.Schema(Query, Mutation, Subscription),
    graphql_ide=None,
    subscription_protocols=["graphql-transport-ws"],
)
app = Starlette(
    routes=[
        Route("/graphql", api, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", api),
        *pages.static_routes(STATIC),
    ]
)
