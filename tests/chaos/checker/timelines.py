"""Timelines: without gaps, the same for all, seen whole and once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from persistence import ids
from tests.chaos.checker.seen import Seen, Violation, invariant, shown
from tests.chaos.history import Line
from tests.chaos.recovery import moment


@invariant("I11")
def timelines_have_no_gap(seen: Seen) -> Iterator[Violation]:
    """A run's events are 1..n, and n is what the run counts."""
    for run_id, run in seen.runs.items():
        numbers = [event["seq"] for event in seen.events[run_id]]
        if numbers != list(range(1, run["last_seq"] + 1)):
            yield Violation("I11", f"the events are {numbers[:60]}, and the run counts {run['last_seq']}", run_id)


@invariant("I13")
def everybody_sees_the_same(seen: Seen) -> Iterator[Violation]:
    """An event is the same for all subscribers, whenever and wherever they got it."""
    first: dict[tuple[str, int], Line] = {}
    kinds = {(run, event["seq"]): event for run, events in seen.events.items() for event in events}
    for follower in seen.raw["followers"]:
        run = str(ids.parse_as(ids.RUN, follower["run"]))
        for line in follower["received"]:
            other = first.setdefault((run, line["seq"]), line)
            stored = kinds.get((run, line["seq"]))
            if other["content"] != line["content"] or stored is None or stored["type"] != line["type"]:
                text = "a subscriber got another event than others, or than is stored"
                yield Violation("I13", text, run, line["seq"], shown(line, other, stored or {}))


@invariant("I14")
def time_goes_on(seen: Seen) -> Iterator[Violation]:
    """Times never decrease along a timeline."""
    for run, events in seen.events.items():
        for before, after in pairwise(events):
            if moment(before["created_at"]) > moment(after["created_at"]):
                yield Violation("I14", "time goes back", run, after["seq"], shown(before, after))


@invariant("I25")
def subscribers_get_everything_once(seen: Seen) -> Iterator[Violation]:
    """Over all its connections a subscriber gets 1, 2, 3 … up to the end."""
    for follower in seen.raw["followers"]:
        run = str(ids.parse_as(ids.RUN, follower["run"]))
        numbers = [line["seq"] for line in follower["received"]]
        if numbers != list(range(1, len(numbers) + 1)):
            wrong = next(place for place, number in enumerate(numbers, 1) if number != place)
            lines = shown(*follower["received"][max(0, wrong - 3) : wrong + 1])
            yield Violation("I25", f"a subscriber got {numbers[wrong - 1]} as number {wrong}", run, wrong, lines)
        last = follower["received"][-1]["type"] if follower["received"] else None
        is_end = last in {"WORKFLOW_COMPLETE", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED"}
        stored = seen.runs.get(run)
        if follower["refusals"]:
            yield Violation("I25", f"a subscriber was refused: {follower['refusals'][0][:300]}", run)
        elif stored is not None and stored["finished_at"] and not (follower["is_over"] and is_end):
            yield Violation("I25", f"a subscriber still waits after {last}, number {len(numbers)}", run)
