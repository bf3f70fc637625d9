"""A person's commands, over the GraphQL API."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from importlib.metadata import version as version_of
from typing import Annotated, Final

import typer
from rich.rule import Rule

from console.client import Client
from console.errors import BadInput, RunNotCompleted
from console.exits import INTERRUPTED, OneLineErrors
from console.jsonfiles import json_file, json_or_file
from console.live import spectator_for, watch
from console.models import Approval, Run
from console.plain import one_line, visible
from console.render import (
    STEP_COLUMNS,
    approval_lines,
    notice_lines,
    plan_lines,
    risk,
    run_line,
    run_row,
    state,
    step_lines,
    step_row,
    why_not_completed,
)
from console.screen import Screen, complain
from console.settings import read_address

app = typer.Typer(
    name="lifeos",
    cls=OneLineErrors,
    help="Workflows that hold every high-risk step until a person has approved exactly what will be done.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        typer.echo(f"lifeos {version_of('lifeos')}")
        raise typer.Exit


@app.callback()
def lifeos(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_tell_version,
            is_eager=True,
            help="Say which version this is.",
        ),
    ] = False,
) -> None:
    """Workflows that hold every high-risk step until a person has approved exactly what will be done."""


user_app = typer.Typer(name="user", help="Users and their tokens.", no_args_is_help=True)
app.add_typer(user_app)


class Decision(StrEnum):
    """What a person says to an approval."""

    APPROVE = "approve"
    REJECT = "reject"


class Resolution(StrEnum):
    """What became of a call that is in doubt."""

    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did-not-happen"
    ABANDON = "abandon"


class Risk(StrEnum):
    """How much harm a step can do."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


class Role(StrEnum):
    """What a user may do."""

    SUBMITTER = "SUBMITTER"
    APPROVER = "APPROVER"
    ADMIN = "ADMIN"


class RunState(StrEnum):
    """Where a run is."""

    QUEUED = "QUEUED"
    PLANNING = "PLANNING"
    EXECUTING = "EXECUTING"
    WAITING_APPROVAL = "WAITING_APPROVAL"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_PREFIXES: Final = {"run": "run_", "step": "step_", "approval": "appr_"}

Json = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
PlanFile = Annotated[str | None, typer.Option(metavar="FILE.json", help="A plan instead of an intent; - reads stdin.")]
Reason = Annotated[str | None, typer.Option(help="Why; it is kept.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id: run_…")]
ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="An approval's id: appr_…")]


@app.command()
def submit(
    intent: Annotated[
        str | None, typer.Argument(metavar='"INTENT"', help="What should be done, in a sentence.")
    ] = None,
    *,
    plan: PlanFile = None,
    approve_from: Annotated[Risk | None, typer.Option(help="Ask a person from this risk level up.")] = None,
    key: Annotated[str | None, typer.Option(help="The same key with the same input starts nothing twice.")] = None,
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow the run to its end.")] = False,
    as_json: Json = False,
) -> None:
    """Start a run. In a pipe this prints the run's id."""
    steps = _one_of(intent, plan)

    async def work(client: Client) -> None:
        run = await client.submit(intent=intent, plan=steps, approve_from=approve_from, key=key)
        screen = Screen()
        if as_json and watch_it:
            screen.json_line(run.as_json())
        elif as_json:
            screen.json(run.as_json())
        else:
            screen.line(run_line(run) if screen.is_terminal else run.id)
        if watch_it:
            await _watch_to_the_end(client, run.id, screen, as_json=as_json)

    _run(work)


@app.command("watch")
def watch_command(
    run_id: RunId,
    *,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on from an event's cursor.")] = None,
    as_json: Json = False,
) -> None:
    """Follow a run to its end: status 0 if it completed, 3 if it failed, 4 if it was cancelled."""
    chosen = _id("run", run_id)
    _run(lambda client: _watch_to_the_end(client, chosen, Screen(), after=after, as_json=as_json))


@app.command()
def runs(
    *,
    states: Annotated[list[RunState] | None, typer.Option("--state", help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""

    async def work(client: Client) -> None:
        found = await client.runs(states=states or (), limit=limit)
        screen = Screen()
        if as_json:
            screen.json([run.as_json() for run in found])
        else:
            screen.table(("run", "state", "outcome", "risk", "done", "submitted", "about"), map(run_row, found))

    _run(work)


@app.command()
def show(
    run_id: RunId,
    *,
    full: Annotated[bool, typer.Option("--full", help="With each step's arguments and result.")] = False,
    diagram: Annotated[bool, typer.Option("--diagram", help="Only the steps as a Mermaid flowchart.")] = False,
    as_json: Json = False,
) -> None:
    """Show a run and its steps."""
    chosen = _id("run", run_id)

    async def work(client: Client) -> None:
        run = await client.run(chosen, whole=full or diagram or as_json)
        screen = Screen()
        if as_json:
            screen.json(run.as_json())
        elif diagram:
            screen.line(visible(run.diagram or ""))
        else:
            _show_run(screen, run, full=full)

    _run(work)


@app.command()
def cancel(run_id: RunId, *, reason: Reason = None, as_json: Json = False) -> None:
    """Cancel a run: what has not finished is not done."""
    chosen = _id("run", run_id)

    async def work(client: Client) -> None:
        run = await client.cancel(chosen, reason=reason)
        screen = Screen()
        if as_json:
            screen.json(run.as_json())
        else:
            screen.line(run_line(run))

    _run(work)


@app.command()
def retry(
    step_id: Annotated[str, typer.Argument(metavar="STEP", help="A step's id: step_…")],
    *,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Bring a failed step back, with what was skipped because of it."""
    chosen = _id("step", step_id)

    async def work(client: Client) -> None:
        step = await client.retry(chosen, reason=reason)
        screen = Screen()
        if as_json:
            screen.json(step.as_json())
        else:
            screen.table(STEP_COLUMNS, [step_row(step)])

    _run(work)


@app.command()
def preview(
    intent: Annotated[
        str | None, typer.Argument(metavar='"INTENT"', help="What should be done, in a sentence.")
    ] = None,
    *,
    plan: PlanFile = None,
    diagram: Annotated[bool, typer.Option("--diagram", help="Only the steps as a Mermaid flowchart.")] = False,
    as_json: Json = False,
) -> None:
    """Show what would run. Nothing is stored or started."""
    steps = _one_of(intent, plan)

    async def work(client: Client) -> None:
        found = await client.preview(intent=intent, plan=steps)
        screen = Screen()
        if as_json:
            screen.json(found.as_json())
        elif diagram:
            screen.line(visible(found.diagram))
        else:
            for line in plan_lines(found):
                screen.line(line)

    _run(work)


@app.command()
def approvals(
    *,
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only this run's.")] = None,
    as_json: Json = False,
) -> None:
    """List the approvals that wait for a decision, with exactly what would be sent."""
    chosen = None if run_id is None else _id("run", run_id)

    async def work(client: Client) -> None:
        found = await client.open_approvals(run_id=chosen)
        screen = Screen()
        if as_json:
            screen.json([approval.as_json() for approval in found])
            return
        if screen.is_terminal and not found:
            screen.line("Nothing waits for a decision.")
        for number, approval in enumerate(found):
            _show_approval(screen, approval, first=number == 0)

    _run(work)


@app.command()
def decide(
    approval_id: ApprovalId,
    decision: Decision,
    *,
    reason: Reason = None,
    digest: Annotated[str | None, typer.Option(help="Decide only if these are the arguments that were shown.")] = None,
    edit: Annotated[
        str | None, typer.Option(metavar="FILE|JSON", help="Approve with these arguments instead; - reads stdin.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Approve or reject what an approval asks."""
    chosen = _id("approval", approval_id)
    edited = None if edit is None else json_or_file(edit, what="--edit")

    async def work(client: Client) -> None:
        approval = await client.decide(chosen, decision.name, reason=reason, digest=digest, edited_args=edited)
        _show_decision(Screen(), approval, as_json=as_json)

    _run(work)


@app.command()
def resolve(
    approval_id: ApprovalId,
    resolution: Resolution,
    *,
    result: Annotated[
        str | None, typer.Option(metavar="FILE|JSON", help="What the call answered, if it happened; - reads stdin.")
    ] = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Say what became of a call in doubt."""
    chosen = _id("approval", approval_id)
    answered = None if result is None else json_or_file(result, what="--result")

    async def work(client: Client) -> None:
        approval = await client.resolve(chosen, resolution.name, result=answered, reason=reason)
        _show_decision(Screen(), approval, as_json=as_json)

    _run(work)


@app.command()
def tools(*, as_json: Json = False) -> None:
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


@user_app.command("create")
def create_user(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    roles: Annotated[list[Role], typer.Option("--role", help="What the user may do; several are possible.")],
    as_json: Json = False,
) -> None:
    """Make a user and print the token, this once. In a pipe this prints the token alone."""

    async def work(client: Client) -> None:
        made = await client.create_user(name, roles)
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


@user_app.command("revoke")
def revoke_user(
    user_id: Annotated[str, typer.Argument(metavar="ID", help="A user's id.")], *, as_json: Json = False
) -> None:
    """Make a user's tokens worthless at once."""

    async def work(client: Client) -> None:
        user = await client.revoke_tokens(user_id)
        screen = Screen()
        if as_json:
            screen.json(user.as_json())
        else:
            screen.line(f"{user.id} {one_line(user.name)}: no token is accepted any more")

    _run(work)


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
    if run.state != "COMPLETED":
        raise RunNotCompleted(run.id, run.state, why_not_completed(run))


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
    else:
        screen.table((*STEP_COLUMNS, "id"), ((*step_row(step), step.id) for step in run.steps))


def _show_approval(screen: Screen, approval: Approval, *, first: bool) -> None:
    if screen.is_terminal:
        screen.show(Rule(style="dim"))
    elif not first:
        screen.line()
    for line in approval_lines(approval):
        screen.line(line)


def _show_decision(screen: Screen, approval: Approval, *, as_json: bool) -> None:
    if as_json:
        screen.json(approval.as_json())
        return
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


def _one_of(intent: str | None, plan: str | None) -> object:
    if (intent is None) == (plan is None):
        raise BadInput("give either an intent or --plan FILE.json")
    return None if plan is None else json_file(plan, what="the plan")


def _id(kind: str, given: str) -> str:
    prefix = _PREFIXES[kind]
    if not given.startswith(prefix):
        raise BadInput(f"{given!r} is no {kind}'s id: those begin with {prefix}")
    return given
