"""From clauses to a plan: unique keys, what waits for what, and arguments that fit the tools' schemas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from jsonschema import Draft202012Validator

from engine.phrases import Draft, Facts, Offer, Refusal, SpeakableTool, Template, Wording
from engine.planner.clauses import Clause, Fault
from engine.plans import PlanStep

_LONGEST_KEY: Final = 48
_LONGEST_NAME: Final = 120
_REFERENCE: Final = "$jmespath"


def assemble(clauses: Sequence[Clause], tools: Mapping[str, SpeakableTool]) -> tuple[tuple[PlanStep, ...], list[Fault]]:
    """The clauses' steps in order, and the clauses that can't be planned with their reasons."""
    draft = PlanDraft(tools)
    faults: list[Fault] = []
    for clause in clauses:
        first = len(draft.steps)
        try:
            _build(clause, draft)
        except Refusal as refusal:
            faults.append(Fault(refusal.part or clause.match.facts.text, refusal.reason))
        if clause.waits:
            draft.hold_back(first)
    return tuple(draft.steps), faults


def _build(clause: Clause, draft: PlanDraft) -> None:
    match = clause.match
    if isinstance(match.phrase, Wording):
        match.phrase.build(match.facts, draft)
    elif isinstance(match.phrase, Template):
        name = match.facts.text
        draft.step(match.tool.name, key=match.tool.name, name=name[:1].upper() + name[1:], args=match.facts.values)


def key_of(text: str) -> str:
    """The text as a step's key: lower-case ASCII words joined by underscores, a valid JMESPath identifier."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_")[:_LONGEST_KEY].strip("_")
    return key if key[:1].isalpha() else f"step_{key}".strip("_")


@dataclass(slots=True)
class PlanDraft(Draft):
    """The plan as it grows."""

    tools: Mapping[str, SpeakableTool]
    steps: list[PlanStep] = field(default_factory=list[PlanStep])
    offers: dict[str, Offer] = field(default_factory=dict[str, Offer])
    keys: set[str] = field(default_factory=set[str])

    def step(self, tool: str, *, key: str, name: str, args: Mapping[str, Any], after: Sequence[str] = ()) -> str:
        """Add a step; returns its key, made unique in the plan."""
        declared = self.tools.get(tool)
        if declared is None:
            raise Refusal(f"needs the tool {tool}, which is not here")
        _check(args, declared)
        key = self._unique(key_of(key))
        shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        self.steps.append(PlanStep(key, tool, name=shown, args=dict(args), depends_on=tuple(after)))
        return key

    def offer(self, kind: str, offer: Offer) -> None:
        """Let later clauses refer to things of this kind."""
        self.offers[kind] = offer

    def offered(self, kind: str) -> Offer | None:
        """What was offered of this kind last."""
        return self.offers.get(kind)

    def hold_back(self, first: int) -> None:
        """Let the steps from a place on wait for all that stands before it."""
        needed = {key for step in self.steps[:first] for key in step.depends_on}
        ends = tuple(step.key for step in self.steps[:first] if step.key not in needed)
        for place, step in enumerate(self.steps[first:], start=first):
            within = any(key in {other.key for other in self.steps[first:]} for key in step.depends_on)
            if not within:
                waits_for = tuple(dict.fromkeys((*step.depends_on, *ends)))
                self.steps[place] = replace(step, depends_on=waits_for)

    def _unique(self, key: str) -> str:
        unique, number = key, 1
        while unique in self.keys:
            number += 1
            unique = f"{key}_{number}"
        self.keys.add(unique)
        return unique


def _check(args: Mapping[str, Any], tool: SpeakableTool) -> None:
    """Refuse what the tool's schema does not take; a reference fits anything until its value is known."""
    schema = cast("dict[str, Any]", tool.args_schema)
    for error in Draft202012Validator(schema).iter_errors(dict(args)):  # pyright: ignore[reportUnknownMemberType]
        value: Any = args
        is_reference = False
        for place in error.absolute_path:
            value = value[place]
            is_reference = is_reference or (isinstance(value, Mapping) and _REFERENCE in value)
        if not is_reference:
            where = ".".join(str(place) for place in error.absolute_path)
            raise Refusal(f"{where}: {error.message}" if where else error.message)
