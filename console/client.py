"""What a person can ask of the server: one verb each, over the GraphQL API alone."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from console import documents
from console.errors import Fault, NotLifeOS, Refused, Rejected
from console.follow import Follower, OnLost, OnOpen
from console.models import Answer, Approval, Event, NewUser, PlanPreview, Run, Step, Tool, User
from console.settings import Address
from console.transport import Transport

A = TypeVar("A", bound=Answer)

_PAGE = 100
_FAULTS = TypeAdapter(tuple[Fault, ...])


class Client:
    """A connection to one server as one user; use it as an asynchronous context manager.

    Queries, and mutations that mean the same when they arrive twice, are sent again while the server can't answer,
    for `patience_seconds`; a timeline is followed across lost connections for `follow_patience_seconds` each.
    """

    def __init__(self, address: Address, *, patience_seconds: float = 30, follow_patience_seconds: float = 600) -> None:
        self.url = address.url
        self._address = address
        self._follow_patience_seconds = follow_patience_seconds
        self._transport = Transport(address, patience_seconds=patience_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    # ── Runs ──

    async def submit(
        self,
        *,
        intent: str | None = None,
        plan: Any = None,
        approve_from: str | None = None,
        key: str | None = None,
    ) -> Run:
        """The run that now exists; without a key of the caller's it is sent under a fresh one."""
        given = {"intent": intent, "plan": plan, "requireApprovalFrom": approve_from}
        chosen = {name: value for name, value in given.items() if value is not None}
        chosen["idempotencyKey"] = str(uuid4()) if key is None else key
        return self._read(Run, await self._change(documents.SUBMIT, "submitWorkflow", "run", chosen))

    async def run(self, run_id: str, *, whole: bool = False, results: bool = False) -> Run:
        """A run with its steps; `results` adds theirs, `whole` their arguments and the diagram too."""
        document = documents.RUN_WHOLE if whole else documents.RUN_RESULTS if results else documents.RUN
        return await self._one(Run, document, "run", run_id)

    async def runs(self, *, states: Sequence[str] = (), limit: int = 20) -> list[Run]:
        """The newest runs that this user may see, newest first."""
        chosen = {"states": list(states)} if states else None
        return await self._pages(Run, documents.RUNS, "runs", chosen, limit=limit)

    async def cancel(self, run_id: str, *, reason: str | None = None) -> Run:
        """The run, cancelled."""
        chosen = {"runId": run_id, "reason": reason}
        return self._read(Run, await self._change(documents.CANCEL, "cancelRun", "run", chosen))

    async def retry(self, step_id: str, *, reason: str | None = None) -> Step:
        """A dead-lettered step, back with a fresh budget of attempts. It is sent once: twice is another retry."""
        chosen = {"stepId": step_id, "reason": reason}
        return self._read(Step, await self._change(documents.RETRY, "retryStep", "step", chosen, repeatable=False))

    async def preview(self, *, intent: str | None = None, plan: Any = None) -> PlanPreview:
        """What would run; Rejected names what can't be planned."""
        data = await self._transport.execute(documents.PREVIEW, {"intent": intent, "plan": plan}, repeatable=True)
        preview = data["previewPlan"]
        _raise_faults(preview["errors"])
        return self._read(PlanPreview, preview)

    def follow_run(
        self,
        run_id: str,
        after: str | None = None,
        *,
        on_lost: OnLost = lambda _: None,
        on_open: OnOpen = lambda: None,
    ) -> AsyncGenerator[Event]:
        """The run's events after a cursor, each exactly once and in order, until the run has ended.

        Lost connections are replaced from the last cursor; `on_lost` and `on_open` are called for each. Close the
        generator (`contextlib.aclosing`) when leaving it early.
        """
        follower = Follower(self._address, run_id, after, patience_seconds=self._follow_patience_seconds)
        follower.reached = self._transport.reached
        return follower.events(on_lost, on_open)

    # ── Approvals ──

    async def approval(self, approval_id: str) -> Approval:
        """An approval with exactly what it is about."""
        return await self._one(Approval, documents.APPROVAL, "approval", approval_id)

    async def open_approvals(self, *, run_id: str | None = None, limit: int | None = None) -> list[Approval]:
        """The approvals that wait for a decision, all or so many, of one run or of all that this user may see."""
        chosen: dict[str, Any] = {"statuses": ["REQUIRED"]}
        if run_id is not None:
            chosen["runId"] = run_id
        return await self._pages(Approval, documents.APPROVALS, "approvals", chosen, limit=limit)

    async def decide(
        self,
        approval_id: str,
        decision: str,
        *,
        reason: str | None = None,
        digest: str | None = None,
        edited_args: Any = None,
        accept_outside: Sequence[str] = (),
    ) -> Approval:
        """The approval as decided; with a digest the decision counts for exactly those arguments only."""
        chosen: dict[str, Any] = {"approvalId": approval_id, "decision": decision, "reason": reason}
        chosen["argsDigest"] = digest
        if edited_args is not None:
            chosen["editedArgs"] = edited_args
        if accept_outside:
            chosen["acceptOutside"] = list(accept_outside)
        return self._read(Approval, await self._change(documents.DECIDE, "decideApproval", "approval", chosen))

    async def resolve(
        self, approval_id: str, resolution: str, *, result: Any = None, reason: str | None = None
    ) -> Approval:
        """The approval of a call in doubt, resolved."""
        chosen = {"approvalId": approval_id, "resolution": resolution, "result": result, "reason": reason}
        return self._read(Approval, await self._change(documents.RESOLVE, "resolveInDoubt", "approval", chosen))

    # ── Tools and users ──

    async def tools(self) -> list[Tool]:
        """Everything that a step can call."""
        data = await self._transport.execute(documents.TOOLS, {}, repeatable=True)
        return [self._read(Tool, tool) for tool in data["tools"]]

    async def create_user(self, name: str, roles: Sequence[str], kind: str = "PERSON") -> NewUser:
        """A new user and the token. It is sent once: twice may be two users."""
        chosen: dict[str, object] = {"name": name, "roles": list(roles)}
        if kind != "PERSON":  # which servers of before kinds take for granted
            chosen["kind"] = kind
        payload = await self._payload(documents.CREATE_USER, "createUser", chosen, repeatable=False)
        return self._read(NewUser, payload)

    async def revoke_tokens(self, user: str) -> User:
        """The user, given by id or by name, whose tokens are no longer accepted."""
        chosen = {"userId": user}
        return self._read(User, await self._change(documents.REVOKE_TOKENS, "revokeTokens", "user", chosen))

    # ── How ──

    async def _change(
        self, document: str, verb: str, what: str, chosen: Mapping[str, Any], *, repeatable: bool = True
    ) -> Any:
        payload = await self._payload(document, verb, chosen, repeatable=repeatable)
        if payload[what] is None:
            raise NotLifeOS(self.url, f"{verb} without its {what}")
        return payload[what]

    async def _payload(self, document: str, verb: str, chosen: Mapping[str, Any], *, repeatable: bool) -> Any:
        data = await self._transport.execute(document, {"input": chosen}, repeatable=repeatable)
        payload = data[verb]
        _raise_faults(payload["errors"])
        return payload

    async def _one(self, kind: type[A], document: str, verb: str, node_id: str) -> A:
        data = await self._transport.execute(document, {"id": node_id}, repeatable=True)
        if data[verb] is None:
            raise Refused("NOT_FOUND", f"there is no {verb} {node_id!r} that this user may see")
        return self._read(kind, data[verb])

    async def _pages(
        self, kind: type[A], document: str, verb: str, chosen: Mapping[str, Any] | None, *, limit: int | None = None
    ) -> list[A]:
        found: list[A] = []
        after: str | None = None
        while limit is None or len(found) < limit:
            first = _PAGE if limit is None else min(_PAGE, limit - len(found))
            data = await self._transport.execute(
                document, {"filter": chosen, "first": first, "after": after}, repeatable=True
            )
            page = data[verb]
            found += [self._read(kind, node) for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        return found

    def _read(self, kind: type[A], value: Any) -> A:
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise NotLifeOS(self.url, f"{kind.__name__}.{where}: {first['msg']}") from error


def _raise_faults(errors: Any) -> None:
    faults = _FAULTS.validate_python([{**error, "path": error.get("path") or ()} for error in errors])
    if faults:
        raise Rejected(faults)
