"""A history sorted for questions, what a check finds, and the register of all checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from persistence import ids
from tests.chaos.history import History, Line

Place = tuple[str, int]

TOOLS: Final = {"keyed", "plain", "gated", "gated_keyed"}
"""Those whose every call is in the ledger."""


@dataclass(frozen=True)
class Violation:
    """Something that must never be."""

    invariant: str
    text: str
    run: str | None = None
    seq: int | None = None
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = "".join([f" run {self.run}" if self.run else "", f" seq {self.seq}" if self.seq else ""])
        return "\n".join([f"{self.invariant}{where}: {self.text}", *(f"    {line}" for line in self.lines[:6])])


@dataclass
class Seen:
    """A history, sorted for questions."""

    raw: History
    runs: dict[str, Line] = field(default_factory=dict[str, Line])
    steps: dict[Place, Line] = field(default_factory=dict[Place, Line])
    directives: dict[Place, Line] = field(default_factory=dict[Place, Line])
    events: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    lives: dict[Place, list[Line]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[tuple[str, int, int], Line] = field(default_factory=dict[tuple[str, int, int], Line])
    approvals: dict[str, Line] = field(default_factory=dict[str, Line])
    entries: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    """The ledger's calls by execution key."""

    def __post_init__(self) -> None:
        self.runs = {run["id"]: run for run in self.raw["runs"]}
        self.steps = {(step["run_id"], step["position"]): step for step in self.raw["steps"]}
        self.directives = {(each["run_id"], each["position"]): each for each in self.raw["directives"]}
        for event in self.raw["events"]:
            self.events[event["run_id"]].append(event)
            if event["position"] is not None and event["type"].startswith("STEP_"):
                self.lives[event["run_id"], event["position"]].append(event)
        self.calls = {(call["run_id"], call["position"], call["attempt"]): call for call in self.raw["calls"]}
        self.approvals = {approval["id"]: approval for approval in self.raw["approvals"]}
        for line in self.raw["ledger"]:
            if line["op"] == "call":
                self.entries[line["key"]].append(line)

    def key(self, place: Place) -> str:
        """The step's execution key."""
        return ids.execution_key(UUID(place[0]), place[1])

    def lists(self, place: Place) -> bool:
        """Whether the step has a list, and its children are called in its place."""
        return bool(self.directives.get(place, {}).get("for_each"))

    def lives_with_attempts(self) -> list[tuple[Place, list[Line]]]:
        """The events of the steps that are called themselves: of a list, its children are."""
        return [(place, life) for place, life in self.lives.items() if not self.lists(place)]

    def called(self, place: Place) -> list[Line]:
        """The ledger's lines about the step."""
        return self.entries.get(self.key(place), [])

    def people(self, *what: str) -> list[Line]:
        """What was asked by one of these names."""
        return [line for line in self.raw["people"] if line["what"] in what]


Check = Callable[[Seen], Iterator[Violation]]
CHECKS: dict[str, Check] = {}


def invariant(name: str) -> Callable[[Check], Check]:
    """Register a check under the invariant's name; several may share one."""

    def register(check: Check) -> Check:
        CHECKS[f"{name} {getattr(check, '__name__', '')}"] = check
        return check

    return register


def shown(*lines: Line) -> tuple[str, ...]:
    """Lines as evidence."""
    return tuple(str({name: value for name, value in line.items() if value is not None})[:400] for line in lines)
