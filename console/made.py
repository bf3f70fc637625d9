"""The results of the built-in tools, in words and paths."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from console.bounded import bounded
from console.models import Run, Step
from console.plain import one_line, visible

_MOST_STEPS: Final = 50
_MOST_LINES: Final = 20


def made_lines(run: Run, *, data_dir: Path | None) -> list[str]:
    """A paragraph for each step that made something, in plan order; the run must have been read whole."""
    lines: list[str] = []
    for step in run.steps:
        result = _object(step.result)
        if step.state == "SUCCEEDED" and result:
            lines += [visible(line) for line in _of_step(step, result, data_dir)]
    return lines


def result_lines(run: Run) -> list[str]:
    """The result of each step, in plan order, as far as it fits; the run must have been read with its results."""
    having = [step for step in run.steps if step.result is not None]
    is_whole = len(having) <= _MOST_STEPS
    lines: list[str] = []
    for step in having[:_MOST_STEPS]:
        shown, all_of_it = list(_of_step(step, _object(step.result), None)), False
        if not shown:
            shown, all_of_it = bounded(step.result, _MOST_LINES)
        is_whole &= all_of_it
        lines += [one_line(f"{step.key}: {step.name}"), *(f"  {visible(line)}" for line in shown)]
    if len(having) > _MOST_STEPS:
        lines.append(f"… and the results of {len(having) - _MOST_STEPS:,} more steps")
    if not is_whole:
        lines.append(f"Results in part; all of each: lifeos show {run.id} --full")
    return lines


def _count(number: object, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _of_step(step: Step, result: dict[str, Any], data_dir: Path | None) -> Iterator[str]:
    # Results are read leniently: other tools may be called the same, and this is only said, not acted on.
    match step.tool:
        case "job_search":
            jobs = [_object(job) for job in _list(result.get("jobs"))]
            yield f"Found {_count(result.get('found', len(jobs)), 'job')}, and chose {'; '.join(map(_title, jobs))}"
        case "job_submit":
            yield f"Applied for {_title(_object(result.get('job')))}: {_path(result.get('package'), data_dir)}"
        case "calendar_create":
            events = [_object(event) for event in _list(result.get("events"))]
            yield f"Put {_count(len(events), 'event')} into {_path(result.get('calendar'), data_dir)}"
            for event in events:
                yield f"  {event.get('title')}: {event.get('start')} to {event.get('end')}"
            for note in _list(result.get("notes")):
                yield f"  {note}"
            yield f"  Calendar programs subscribe to {result.get('feed')} at the server's address"
        case "grocery_plan":
            meals = [_object(meal) for meal in _list(result.get("menu"))]
            yield f"Planned {_count(len(meals), 'meal')} for {result.get('people')}"
            for meal in meals:
                day = meal.get("date") or f"day {meal.get('day')}"
                yield f"  {day}, {meal.get('meal')}: {meal.get('recipe')}"
            yield "Shopping list"
            for aisle in map(_object, _list(result.get("shopping"))):
                yield f"  {aisle.get('aisle')}: {', '.join(map(_bought, _list(aisle.get('items'))))}"
        case _:
            pass


def _path(value: object, data_dir: Path | None) -> str:
    return f"{value} in the data folder" if data_dir is None else str(data_dir / str(value))


def _title(job: dict[str, Any]) -> str:
    return one_line(f"{job.get('title')} at {job.get('company')}")


def _bought(item: object) -> str:
    each = _object(item)
    return f"{each.get('name')} {each.get('quantity')} {each.get('unit')}"


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
