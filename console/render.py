"""Runs, steps, events and approvals as lines and tables."""

from collections.abc import Sequence
from datetime import datetime
from difflib import ndiff
from typing import Any, Final, cast

from rich.text import Text

from console.bounded import bounded
from console.children import how_far
from console.models import Approval, Event, PlannedStep, PlanPreview, Run, Step
from console.plain import one_line, readable, visible
from console.screen import Cell

STEP_COLUMNS: Final = ("step", "tool", "risk", "state", "tries", "what")

_STATE_STYLES: Final = {
    "RUNNING": "bold cyan",
    "EXECUTING": "bold cyan",
    "PLANNING": "bold cyan",
    "SUCCEEDED": "green",
    "COMPLETED": "bold green",
    "APPROVED": "green",
    "FAILED": "bold red",
    "REJECTED": "red",
    "BLOCKED": "bold yellow",
    "WAITING_APPROVAL": "bold yellow",
    "REQUIRED": "bold yellow",
    "READY": "blue",
    "SKIPPED": "dim",
    "CANCELLED": "dim",
    "EXPIRED": "dim",
    "PENDING": "dim",
    "QUEUED": "dim",
}
_RISK_STYLES: Final = {"L2": "yellow", "L3": "bold red"}
_EVENT_STYLES: Final = (
    ("FAILED", "red"),
    ("DEAD_LETTERED", "red"),
    ("REJECTED", "red"),
    ("IN_DOUBT", "bold yellow"),
    ("REQUIRED", "bold yellow"),
    ("WAITING", "yellow"),
    ("BLOCKED", "yellow"),
    ("RETRYING", "yellow"),
    ("COMPLETE", "bold green"),
    ("SUCCEEDED", "green"),
    ("APPROVED", "green"),
    ("CANCELLED", "dim"),
    ("SKIPPED", "dim"),
)


def state(word: str) -> Text:
    """A state in its colour."""
    return Text(word, style=_STATE_STYLES.get(word, ""))


def risk(level: str) -> Text:
    """A risk level in its colour."""
    return Text(level, style=_RISK_STYLES.get(level, ""))


def event_line(event: Event) -> Text:
    """One event on one line: the time, its number, its type and what it says."""
    style = next((style for part, style in _EVENT_STYLES if part in event.type), "")
    return Text.assemble(
        (clock(event.created_at), "dim"),
        f" #{event.seq:<4}",
        (f"{event.type:<26}", style),
        f" {one_line(event.message)}",
    )


def run_line(run: Run) -> Text:
    """A run on one line: its id, its state and what it is about."""
    ended = f" ({run.outcome})" if run.outcome is not None and run.outcome != run.state else ""
    progress = run.progress
    counts = f" {progress.succeeded}/{progress.total}" if progress.total else ""
    return Text.assemble(run.id, " ", state(run.state), ended, counts, " ", one_line(run.intent or "(a plan)"))


def notice_lines(run: Run) -> list[Text]:
    """What a person should know of a run's outcome: its steps' notices, a line each, the same once."""
    return [Text.assemble(("Notice: ", "yellow"), one_line(notice)) for notice in dict.fromkeys(run.notices)]


def why_not_completed(run: Run) -> str | None:
    """What went wrong with a run, in a line: the error of its first failed step, else the run's own."""
    for step in run.steps:
        if step.state == "FAILED" and step.error is not None:
            return f"{step.key} ({step.id}) failed with {step.error.code}: {step.error.message}"
    return None if run.error is None else f"{run.error.code}: {run.error.message}"


def run_row(run: Run) -> Sequence[Cell]:
    """A run's cells in the list of runs."""
    counts = f"{run.progress.succeeded}/{run.progress.total}"
    outcome = run.outcome or ""
    return (run.id, state(run.state), outcome, risk(run.risk_level), counts, moment(run.created_at), _about(run.intent))


def step_row(step: Step) -> Sequence[Cell]:
    """A step's cells in a table of a run's steps."""
    tries = "" if step.attempt == 0 else f"{step.attempt}/{step.max_attempts or '∞'}"
    return (
        one_line(step.key) if step.index is None else f"  {one_line(step.key)}",
        one_line(step.tool),
        risk(step.risk_level),
        state(step.state),
        tries,
        one_line(step_note(step)),
    )


def step_note(step: Step) -> str:
    """Why a step is where it is, and how far its children are, if there is anything to say."""
    return "; ".join(filter(None, (how_far(step), _note(step))))


def _note(step: Step) -> str:
    if step.state in {"PENDING", "READY", "BLOCKED"}:
        asked = [approval.id for approval in step.approvals if approval.status == "REQUIRED"]
        return " ".join([step.waiting_for or "", *(f"({approval_id})" for approval_id in asked)]).strip()
    if step.error is not None:
        return f"{step.error.code}: {step.error.message}"
    return step.skip_reason or "; ".join(step.notices)


def step_lines(step: Step) -> list[str]:
    """Everything about one step: what it was given and what it answered."""
    after, ended = (", ".join(other.key for other in others) for others in (step.depends_on, step.after))
    lines = [f"{step.key}: {step.name} ({step.id})", f"  {step.tool} {step.risk_level} {step.state}"]
    lines += [f"  after: {after}"] if after else []
    lines += [f"  whatever becomes of: {ended}"] if ended else []
    lines += [f"  if {_expression(step.when)}"] if step.when is not None else []
    lines += [f"  for each of {_expression(step.for_each)}"] if step.for_each is not None else []
    note = step_note(step)
    lines += [f"  {one_line(note)}"] if note else []
    for label, value in (("args", step.resolved_args), ("result", step.result)):
        if value is not None:
            lines += [f"  {label}:", *(f"    {line}" for line in readable(value))]
    shown = [visible(line) for line in lines]
    for child in step.children.nodes:
        shown += [f"  {line}" for line in step_lines(child)]
    more = step.children.total_count - len(step.children.nodes)
    return [*shown, f"  … and {more:,} more children"] if more else shown


def answer_lines(run: Run, *, most: int | None = None) -> list[str]:
    """A run's answer, all of it or in about `most` lines, or why it has none; nothing for most runs."""
    if run.answer_error is not None:
        return [one_line(f"No answer: {run.answer_error.message} ({run.answer_error.code})")]
    if run.answer is None:
        return []
    shown, all_of_it = (readable(run.answer), True) if most is None else bounded(run.answer, most)
    if isinstance(run.answer, str) and len(shown) == 1 and all_of_it:
        return [f"Answer: {one_line(run.answer)}"]
    if len(shown) == 1 and not isinstance(run.answer, dict | list):
        return [f"Answer: {shown[0]}"]
    lines = ["Answer:", *(f"  {visible(line)}" for line in shown)]
    return lines if all_of_it else [*lines, f"The answer in part; all of it: lifeos show {run.id} --full"]


def approval_lines(approval: Approval, *, most: int | None = None) -> list[str]:
    """An approval with exactly what would be sent: all of it, or in about `most` lines that say where the rest is."""
    lines = [
        f"{approval.id}  {approval.kind}  {approval.risk_level}  {approval.status}",
        f"run:     {approval.run.id}  {_about(approval.run.intent)}",
        f"step:    {one_line(approval.step.key)}  ({one_line(approval.step.name)})",
        f"tool:    {one_line(approval.step.tool)}",
        f"why:     {one_line(approval.reason)}",
        f"digest:  {approval.args_digest}",
    ]
    if approval.expires_at is not None:
        lines.append(f"expires: {moment(approval.expires_at)}")
    if approval.decided_by is not None:
        why = f": {one_line(approval.decision_reason)}" if approval.decision_reason else ""
        lines.append(f"decided: by {one_line(approval.decided_by.name)}{why}")
    is_whole = True
    for label, args in (("args:", approval.proposed_args), ("edited:", approval.edited_args)):
        if args is not None or label == "args:":
            shown, all_of_it = (readable(args), True) if most is None else bounded(args, most)
            lines += [label, *(f"  {line}" for line in shown)]
            is_whole &= all_of_it
    if not is_whole:
        lines.append(
            f"This is a part. Before you decide, see all that would be sent: lifeos approvals {approval.id} --full"
        )
    return lines


def edited_lines(approval: Approval, args: Any) -> list[str]:
    """What would be sent in place of an approval's arguments, all of it, and then what differs from them."""
    before, after = readable(approval.proposed_args), readable(args)
    changes = [line for line in ndiff(before, after) if line.startswith(("- ", "+ "))]
    return [
        f"{approval.id}: {one_line(approval.step.tool)} would be called with this instead:",
        *(f"  {line}" for line in after),
        "What was changed (- before, + now); what is left out gets the tool's default:",
        *(f"  {line}" for line in changes or ["nothing"]),
    ]


_RESOLVED: Final = {
    "HAPPENED": "it happened: the step is done, and is not called again",
    "DID_NOT_HAPPEN": "it did not happen: it is called again",
    "ABANDON": "given up: the step is left out, with all that depends on it",
}


def resolution_line(approval: Approval, resolution: str) -> str:
    """The effect of a resolution on the step."""
    by = f" by {one_line(approval.decided_by.name)}" if approval.decided_by is not None else ""
    step = f"{one_line(approval.step.key)} ({one_line(approval.step.tool)}) of {approval.run.id}"
    return f"Recorded{by}: {_RESOLVED[resolution]}. {step}"


def plan_lines(preview: PlanPreview) -> list[str]:
    """What would run, step by step."""
    lines: list[str] = []
    for step in preview.steps:
        gate = "  asks first" if step.requires_approval else ""
        after = f"  after {', '.join(step.depends_on)}" if step.depends_on else ""
        ended = f"  whatever becomes of {', '.join(step.after)}" if step.after else ""
        lines.append(f"{step.key}: {step.tool} {step.risk_level}{gate}{after}{ended}")
        lines += [f"  {line}" for line in _directive_lines(step)]
        lines += [f"    {line}" for line in readable(step.args)]
    if preview.answer is not None:
        lines += ["answers:", *(f"    {line}" for line in readable(preview.answer))]
    return lines


def _directive_lines(step: PlannedStep) -> list[str]:
    """What a step says of when it runs and how often."""
    lines: list[str] = []
    if step.when is not None:
        lines.append(f"if {_expression(step.when)}")
    if step.for_each is not None:
        most = f", at most {step.for_each_most}" if step.for_each_most is not None else ""
        parallel = f", {step.max_parallel} at once" if step.max_parallel is not None else ""
        tolerates = ", those that fail with their errors" if step.for_each_tolerates else ""
        lines.append(f"for each of {_expression(step.for_each)}{most}{parallel}{tolerates}")
    if step.delay_seconds:
        lines.append(f"{step.delay_seconds:g} seconds after it is ready")
    if step.not_before is not None:
        lines.append(f"not before {moment(step.not_before)}")
    return lines


def _expression(reference: Any) -> str:
    """The expression of a reference; whatever else is there, as it is."""
    entries = cast("dict[str, Any]", reference) if isinstance(reference, dict) else {}
    return one_line(str(entries.get("$jmespath", reference)))


def clock(when: datetime) -> str:
    """The time of day here."""
    return when.astimezone().strftime("%H:%M:%S")


def moment(when: datetime) -> str:
    """The date and time here."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M")


def _about(intent: str | None) -> str:
    return one_line(intent) if intent else "(a plan)"
