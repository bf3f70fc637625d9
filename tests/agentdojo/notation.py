"""How the plans are written down, and how they become the engine's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.plans import Plan, PlanStep

Json = Any


@dataclass(frozen=True)
class Reading:
    """What a model finds in a text (`extract`), or writes about it (`write`), and words of the text that it goes by."""

    seen: str
    value: Json


@dataclass(frozen=True)
class Task:
    """A user's sentence as a plan: the steps as a client writes them, and what the run answers.

    `model` has the reading of each question and instruction that the plan puts to a model.
    """

    steps: tuple[Mapping[str, Json], ...]
    answer: Json = None
    model: Mapping[str, Reading] = field(default_factory=dict)

    def plan(self) -> Plan:
        """The engine's plan."""
        return Plan(tuple(map(_planned, self.steps)), self.answer)

    def without_answer(self) -> Plan:
        """The same, answering nothing."""
        return Plan(tuple(map(_planned, self.steps)))


def task(*steps: Mapping[str, Json], answer: Json = None, model: Mapping[str, Reading] | None = None) -> Task:
    """A task of these steps."""
    return Task(steps, answer, model or {})


def of(expression: str) -> Mapping[str, str]:
    """A reference to the results of steps."""
    return {"$jmespath": " ".join(expression.split())}


def step(
    key: str,
    tool: str,
    *needs: str,
    when: Json = None,
    each: Json = None,
    at_once: int | None = None,
    after: Sequence[str] = (),
    **args: Json,
) -> Mapping[str, Json]:
    """A step that depends on those of `needs`; `each`: one child for each entry of that list."""
    written = {"key": key, "tool": tool, "dependsOn": list(needs), "args": args, "after": list(after)}
    written |= {"when": when, "forEach": each, "maxParallel": at_once}
    return {name: value for name, value in written.items() if value not in (None, [], {})}


def extract(
    key: str, *needs: str, source: Json, question: str, schema: Mapping[str, Json], **more: Json
) -> Mapping[str, Json]:
    """A step in which a model without tools finds typed data in a text."""
    return step(key, "extract", *needs, **more, **{"from": source, "question": question, "schema": schema})


def write(key: str, *needs: str, source: Json, instruction: str, **more: Json) -> Mapping[str, Json]:
    """A step in which a model without tools writes a text about another."""
    return step(key, "write", *needs, **more, **{"from": source, "instruction": instruction})


def form(**fields: Mapping[str, Json]) -> Mapping[str, Json]:
    """The JSON Schema of an object with these fields, all of them required."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def texts_in(value: Json) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield name
            yield from texts_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from texts_in(entry)


def joined(*tasks: Task, answer: Json) -> Task:
    """Tasks in the order they are given: each waits for all steps of those before it, however they ended."""
    steps: list[Mapping[str, Json]] = []
    for each in tasks:
        before = [earlier["key"] for earlier in steps]
        for one in each.steps:
            waits = {"after": [*one.get("after", ()), *before]} if before and "dependsOn" not in one else {}
            steps.append({**one, **waits})
    return Task(tuple(steps), answer, {text: said for each in tasks for text, said in each.model.items()})


def _planned(written: Mapping[str, Json]) -> PlanStep:
    return PlanStep(
        key=written["key"],
        tool=written["tool"],
        args=written.get("args", {}),
        depends_on=tuple(written.get("dependsOn", ())),
        when=written.get("when"),
        after=tuple(written.get("after", ())),
        for_each=written.get("forEach"),
        max_parallel=written.get("maxParallel"),
    )
