"""What a person's commands do: each opens a client, asks, and writes what came of it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import typer
from rich.rule import Rule

from console.answers import Answers
from console.children import with_children
from console.client import Client
from console.complaints import complain
from console.digest import checked_digest
from console.errors import ConnectionLost, ConsoleError, RunNotCompleted, ServerUnreachable
from console.exits import INTERRUPTED
from console.live import spectator_for, watch
from console.made import result_lines
from console.models import Approval, Run
from console.plain import one_line, visible
from console.render import (
    STEP_COLUMNS,
    answer_lines,
    approval_lines,
    edited_lines,
    notice_lines,
    plan_lines,
    resolution_line,
    risk,
    run_line,
    run_row,
    state,
    step_lines,
    step_row,
    why_not_completed,
)
from console.screen import Screen
from console.settings import read_address

_PLANNED_WITHIN_SECONDS: Final = 10
_APPROVALS_SHOWN: Final = 20
_LINES_IN_A_PIPE: Final = 30
_ANSWER_LINES: Final = 40
_LINES_AROUND: Final = 12
"""The fields of an approval that are shown beside its arguments."""


class NothingDecided(ConsoleError):
    """The person saw what would be sent, and did not say yes."""

    def __init__(self) -> None:
        super().__init__("nothing was decided: the approval still waits")


# ── runs ──


def submit(
    *, intent: str | None, plan: object, approve_from: str | None, key: str | None, watch_it: bool, as_json: bool
) -> None:
    """Start a run; one that can't be planned ends as a failed run does."""

    async def work(client: Client) -> None:
        run = await client.submit(intent=intent, plan=plan, approve_from=approve_from, key=key)
        screen = Screen()
        if as_json and watch_it:
            screen.json_line(run.as_json())
        elif as_json:
            screen.json(run.as_json())
        else:
            screen.line(run_line(run) if screen.is_terminal else run.id)
        if watch_it:
            await _watch_to_the_end(client, run.id, screen, as_json=as_json)
        else:
            await _until_planned(client, run)

    _run(work)


def follow(run_id: str, *, after: str | None, as_json: bool) -> None:
    """Follow a run to its end."""
    _run(lambda client: _watch_to_the_end(client, run_id, Screen(), after=after, as_json=as_json))


def runs(*, states: Sequence[str], limit: int, as_json: bool) -> None:
    """List runs."""

    async def work(client: Client) -> None:
        found = await client.runs(states=states, limit=limit)
        screen = Screen()
        if as_json:
            screen.json([run.as_json() for run in found])
        else:
            screen.table(("run", "state", "outcome", "risk", "done", "submitted", "about"), map(run_row, found))

    _run(work)


def show(run_id: str, *, full: bool, diagram: bool, as_json: bool) -> None:
    """Show a run, its steps and their results."""

    async def work(client: Client) -> None:
        whole = full or diagram or as_json
        run = await client.run(run_id, whole=whole, results=not whole)
        screen = Screen()
        if as_json:
            screen.json(run.as_json())
        elif diagram:
            screen.line(visible(run.diagram or ""))
        else:
            _show_run(screen, run, full=full)

    _run(work)


def cancel(run_id: str, *, reason: str | None, as_json: bool) -> None:
    """Cancel a run."""

    async def work(client: Client) -> None:
        run = await client.cancel(run_id, reason=reason)
        screen = Screen()
        if as_json:
            screen.json(run.as_json())
        else:
            screen.line(run_line(run))

    _run(work)


def retry(step_id: str, *, reason: str | None, as_json: bool) -> None:
    """Bring a failed step back."""

    async def work(client: Client) -> None:
        step = await client.retry(step_id, reason=reason)
        screen = Screen()
        if as_json:
            screen.json(step.as_json())
        else:
            screen.table(STEP_COLUMNS, [step_row(step)])

    _run(work)


def preview(*, intent: str | None, plan: object, diagram: bool, as_json: bool) -> None:
    """Show what would run."""

    async def work(client: Client) -> None:
        found = await client.preview(intent=intent, plan=plan)
        screen = Screen()
        if as_json:
            screen.json(found.as_json())
        elif diagram:
            screen.line(visible(found.diagram))
        else:
            for line in plan_lines(found):
                screen.line(line)

    _run(work)


# ── approvals ──


def approvals(*, approval_id: str | None, run_id: str | None, full: bool, limit: int | None, as_json: bool) -> None:
    """Show one approval, or those that wait: all of them to programs, the first ones to people."""
    most = limit if limit is not None or as_json else _APPROVALS_SHOWN

    async def work(client: Client) -> None:
        if approval_id is not None:
            found = [await client.approval(approval_id)]
        else:
            found = await client.open_approvals(run_id=run_id, limit=None if most is None else most + 1)
        screen = Screen()
        if as_json:
            screen.json([approval.as_json() for approval in found[:most]])
            return
        if screen.is_terminal and not found:
            screen.line("Nothing waits for a decision.")
        for number, approval in enumerate(found[:most]):
            _show_approval(screen, approval, first=number == 0, full=full)
        if most is not None and len(found) > most:
            screen.line()
            screen.line(f"… and more wait for a decision: lifeos approvals --limit {2 * most}")

    _run(work)


def decide(
    approval_id: str,
    decision: str,
    *,
    reason: str | None,
    digest: str | None,
    edited_args: Any,
    accept_outside: Sequence[str],
    asks: bool,
    as_json: bool,
) -> None:
    """Decide; edited arguments are first shown to the person at the keyboard, unless they said yes already."""

    async def work(client: Client) -> None:
        seen = digest
        if edited_args is not None and asks and sys.stdin.isatty():
            seen = await _agreed(client, approval_id, edited_args, digest)
        approval = await client.decide(
            approval_id,
            decision,
            reason=reason,
            digest=seen,
            edited_args=edited_args,
            accept_outside=accept_outside,
        )
        screen = Screen()
        if as_json:
            screen.json(approval.as_json())
        else:
            _show_decision(screen, approval)

    _run(work)


def resolve(approval_id: str, resolution: str, *, result: Any, reason: str | None, as_json: bool) -> None:
    """Say what became of a call in doubt, and what follows from it."""

    async def work(client: Client) -> None:
        approval = await client.resolve(approval_id, resolution, result=result, reason=reason)
        screen = Screen()
        if as_json:
            screen.json(approval.as_json())
        else:
            screen.line(resolution_line(approval, resolution))

    _run(work)


# ── tools and users ──


def tools(*, as_json: bool) -> None:
    """List what steps can call."""

    async def work(client: Client) -> None:
        found = await client.tools()
        screen = Screen()
        if as_json:
            screen.json([tool.as_json() for tool in found])
            return
        rows = ((one_line(tool.name), risk(tool.risk_level), one_line(tool.description)) for tool in found)
        screen.table(("tool", "risk", "what it does"), rows)

    _run(work)


def create_user(name: str, roles: Sequence[str], kind: str, *, as_json: bool) -> None:
    """Make a user and print the token."""

    async def work(client: Client) -> None:
        made = await client.create_user(name, roles, kind)
        screen = Screen()
        if as_json:
            screen.json(made.as_json())
        elif screen.is_terminal:
            roles_held = ", ".join(made.user.roles)
            screen.line(f"{one_line(made.user.name)} ({made.user.id}), {roles_held}. The token, shown this once:")
            screen.line(made.token)
        else:
            screen.line(made.token)

    _run(work)


def revoke_user(user: str, *, as_json: bool) -> None:
    """Make the tokens of a user, given by id or by name, worthless."""

    async def work(client: Client) -> None:
        revoked = await client.revoke_tokens(user)
        screen = Screen()
        if as_json:
            screen.json(revoked.as_json())
        else:
            screen.line(f"{revoked.id} {one_line(revoked.name)}: no token is accepted any more")

    _run(work)


# ── how ──


def _run(work: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client() -> None:
        async with Client(read_address()) as client:
            await work(client)

    asyncio.run(with_client())


async def _watch_to_the_end(
    client: Client, run_id: str, screen: Screen, *, after: str | None = None, as_json: bool
) -> None:
    try:
        async with spectator_for(screen, client, run_id, as_json=as_json) as spectator:
            run = await watch(client, run_id, spectator, after=after)
    except asyncio.CancelledError:
        complain(f"stopped watching; the run goes on: lifeos watch {run_id}")
        raise typer.Exit(INTERRUPTED) from None
    if not as_json:
        run = await client.run(run_id, results=True)
        for line in (*result_lines(run), *answer_lines(run, most=_ANSWER_LINES)):
            screen.line(line)
        screen.line(run_line(run))
    if run.state != "COMPLETED":
        raise RunNotCompleted(run.id, run.state, why_not_completed(run))


async def _until_planned(client: Client, run: Run) -> None:
    """Wait until a sentence is planned, for a while; RunNotCompleted if it can't be."""
    if run.state not in {"QUEUED", "PLANNING"}:
        return
    try:
        async with (
            asyncio.timeout(_PLANNED_WITHIN_SECONDS),
            aclosing(client.follow_run(run.id)) as events,
        ):
            async for event in events:
                if event.type == "WORKFLOW_FAILED":
                    failed = await client.run(run.id)
                    raise RunNotCompleted(run.id, failed.state, why_not_completed(failed))
                if event.type != "WORKFLOW_STARTED":
                    return
    except (TimeoutError, ConnectionLost, ServerUnreachable):
        complain(f"{run.id} is recorded and not planned yet (does an engine run?): lifeos watch {run.id}")


def _show_run(screen: Screen, run: Run, *, full: bool) -> None:
    screen.line(run_line(run))
    if run.error is not None:
        screen.line(one_line(f"{run.error.code}: {run.error.message}"))
    for line in notice_lines(run):
        screen.line(line)
    if full:
        for step in run.steps:
            for line in step_lines(step):
                screen.line(line)
        for line in answer_lines(run):
            screen.line(line)
        return
    screen.table((*STEP_COLUMNS, "id"), ((*step_row(step), step.id) for step in with_children(run.steps)))
    lines = [*result_lines(run), *answer_lines(run, most=_ANSWER_LINES)]
    if lines:
        screen.line()
    for line in lines:
        screen.line(line)


def _show_approval(screen: Screen, approval: Approval, *, first: bool, full: bool) -> None:
    if screen.is_terminal:
        screen.show(Rule(style="dim"))
    elif not first:
        screen.line()
    room = max(_LINES_IN_A_PIPE, screen.console.height - _LINES_AROUND) if screen.is_terminal else _LINES_IN_A_PIPE
    for line in approval_lines(approval, most=None if full else room):
        screen.line(line)


async def _agreed(client: Client, approval_id: str, edited_args: Any, digest: str | None) -> str:
    """The digest of what the person saw, and changed, and agreed to send; NothingDecided without their yes."""
    approval = await client.approval(approval_id)
    seen = checked_digest(approval)
    screen = Screen()
    for line in edited_lines(approval, edited_args):
        screen.line(line)
    answer = await Answers().ask("Send exactly this instead? [y]es, [n]o: ")
    if answer is None or answer.lower() not in {"y", "yes"}:
        raise NothingDecided
    return seen if digest is None else digest


def _show_decision(screen: Screen, approval: Approval) -> None:
    by = f" by {one_line(approval.decided_by.name)}" if approval.decided_by is not None else ""
    screen.table(
        ("approval", "status", "step", "tool", "run"),
        [
            (
                approval.id,
                state(approval.status),
                f"{one_line(approval.step.key)}{by}",
                approval.step.tool,
                approval.run.id,
            )
        ],
    )
