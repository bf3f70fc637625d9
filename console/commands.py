"""The commands: how each is called. What they do is in `console.acts`, which takes a while to import."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from console.errors import BadInput
from console.exits import OneLineErrors
from console.jsonfiles import json_file, json_or_file
from console.later import Later

if TYPE_CHECKING:
    from console import acts
else:
    acts = Later("console.acts")

app = typer.Typer(
    name="lifeos",
    cls=OneLineErrors,
    help="Workflows that hold every high-risk step until a person has approved exactly what will be done.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Help in boxes takes as long to import as all else that the help needs.
    rich_markup_mode=None,
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - slow to import, for help too

        typer.echo(f"lifeos {version('lifeos')}")
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


user_app = typer.Typer(name="user", help="Users and their tokens.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(user_app)


class Decision(StrEnum):
    """A person's answer to an approval."""

    APPROVE = "approve"
    REJECT = "reject"


class Resolution(StrEnum):
    """How a call that is in doubt ended."""

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
    """The roles of users."""

    SUBMITTER = "SUBMITTER"
    APPROVER = "APPROVER"
    ADMIN = "ADMIN"


class UserKind(StrEnum):
    """Who is behind a token."""

    PERSON = "PERSON"
    SERVICE = "SERVICE"
    AGENT = "AGENT"


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
    """Start a run. In a pipe this prints the run's id. A sentence that can't be planned is status 3."""
    acts.submit(
        intent=intent,
        plan=_one_of(intent, plan),
        approve_from=approve_from,
        key=key,
        watch_it=watch_it,
        as_json=as_json,
    )


@app.command("watch")
def watch_command(
    run_id: RunId,
    *,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on from an event's cursor.")] = None,
    as_json: Json = False,
) -> None:
    """Follow a run to its end. The status is 0 if it completed, 3 if it failed, 4 if it was cancelled."""
    acts.follow(_id("run", run_id), after=after, as_json=as_json)


@app.command()
def runs(
    *,
    states: Annotated[list[RunState] | None, typer.Option("--state", help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    acts.runs(states=states or (), limit=limit, as_json=as_json)


@app.command()
def show(
    run_id: RunId,
    *,
    full: Annotated[bool, typer.Option("--full", help="With each step's arguments and result.")] = False,
    diagram: Annotated[bool, typer.Option("--diagram", help="Only the steps as a Mermaid flowchart.")] = False,
    as_json: Json = False,
) -> None:
    """Show a run, its steps, and what came of them."""
    acts.show(_id("run", run_id), full=full, diagram=diagram, as_json=as_json)


@app.command()
def cancel(run_id: RunId, *, reason: Reason = None, as_json: Json = False) -> None:
    """Cancel a run: what has not finished is not done."""
    acts.cancel(_id("run", run_id), reason=reason, as_json=as_json)


@app.command()
def retry(
    step_id: Annotated[str, typer.Argument(metavar="STEP", help="A step's id: step_…")],
    *,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Bring a failed step back, with what was skipped because of it."""
    acts.retry(_id("step", step_id), reason=reason, as_json=as_json)


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
    acts.preview(intent=intent, plan=_one_of(intent, plan), diagram=diagram, as_json=as_json)


@app.command()
def approvals(
    approval_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only this one, decided or not: appr_…")
    ] = None,
    *,
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only this run's.")] = None,
    full: Annotated[bool, typer.Option("--full", help="With all that would be sent, however long.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="How many; 20 without it.")] = None,
    as_json: Json = False,
) -> None:
    """List what waits for a decision, with what would be sent."""
    if approval_id is not None and run_id is not None:
        raise BadInput("give either an approval's ID or --run RUN")
    acts.approvals(
        approval_id=None if approval_id is None else _id("approval", approval_id),
        run_id=None if run_id is None else _id("run", run_id),
        full=full,
        limit=limit,
        as_json=as_json,
    )


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
    accept_outside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A destination that others decide, and that is accepted; several are possible."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send what was edited without showing it first.")] = False,
    as_json: Json = False,
) -> None:
    """Approve or reject what an approval asks. At a keyboard, what was edited is shown and asked about first."""
    chosen = _id("approval", approval_id)
    edited = None if edit is None else json_or_file(edit, what="--edit")
    acts.decide(
        chosen,
        decision.name,
        reason=reason,
        digest=digest,
        edited_args=edited,
        accept_outside=accept_outside or (),
        asks=not yes,
        as_json=as_json,
    )


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
    acts.resolve(chosen, resolution.name, result=answered, reason=reason, as_json=as_json)


@app.command()
def tools(*, as_json: Json = False) -> None:
    """List what steps can call."""
    acts.tools(as_json=as_json)


@user_app.command("create")
def create_user(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    roles: Annotated[list[Role], typer.Option("--role", help="What the user may do; several are possible.")],
    kind: Annotated[
        UserKind, typer.Option("--kind", help="Who is behind the token: an agent never decides, whatever its roles.")
    ] = UserKind.PERSON,
    as_json: Json = False,
) -> None:
    """Make a user and print the token, this once. In a pipe this prints the token alone."""
    acts.create_user(name, roles, kind, as_json=as_json)


@user_app.command("revoke")
def revoke_user(
    user: Annotated[str, typer.Argument(metavar="NAME", help="A user's name, or id: user_…")], *, as_json: Json = False
) -> None:
    """Make a user's tokens worthless at once."""
    acts.revoke_user(user, as_json=as_json)


def _one_of(intent: str | None, plan: str | None) -> object:
    if (intent is None) == (plan is None):
        raise BadInput("give either an intent or --plan FILE.json")
    return None if plan is None else json_file(plan, what="the plan")


def _id(kind: str, given: str) -> str:
    prefix = _PREFIXES[kind]
    if not given.startswith(prefix):
        raise BadInput(f"{given!r} is no {kind}'s id: those begin with {prefix}")
    return given
