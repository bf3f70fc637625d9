"""From clauses to a plan: unique keys, what waits for what, and arguments that fit the tools' schemas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import getitem
from typing import Any, Final, cast

from jsonschema import Draft202012Validator

from engine.phrases import (
    LONGEST_NAME,
    Draft,
    NothingOffered,
    Offer,
    Refusal,
    SpeakableTool,
    Template,
    Wording,
    with_remarks,
)
from engine.planner.rules.clauses import UNKNOWN, Clause, Fault
from engine.plans import PlanStep

_LONGEST_KEY: Final = 48
_REFERENCE: Final = "$jmespath"


def assemble(
    clauses: Sequence[Clause], faults: Sequence[Fault], tools: Mapping[str, SpeakableTool]
) -> tuple[tuple[PlanStep, ...], list[Fault]]:
    """The clauses' steps in order, and all that can't be planned, the given faults first.

    A clause that refers to one that failed is not named too: it may well be right.
    """
    draft = PlanDraft(tools)
    found = list(faults)
    stages: dict[int, int] = {}
    for clause in clauses:
        first = len(draft.steps)
        before = stages.setdefault(clause.stage, first)
        try:
            _build(clause, draft)
        except Refusal as refusal:
            if not (found and isinstance(refusal, NothingOffered)):
                found.append(Fault(refusal.part or clause.match.facts.text, refusal.reason))
        if clause.waits:
            draft.hold_back(first, before=before)
    return tuple(draft.steps), found


def _build(clause: Clause, draft: PlanDraft) -> None:
    tool, phrase, facts = clause.match.tool, clause.match.phrase, clause.match.facts
    if isinstance(phrase, Wording):
        phrase.build(facts, draft)
        if unused := facts.unused:
            raise Refusal(UNKNOWN, part=unused[0])
    elif isinstance(phrase, Template):
        name = facts.text[:1].upper() + facts.text[1:]
        draft.step(tool.name, key=tool.name, name=with_remarks(name, facts.remarks), args=facts.values)


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
        shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        self.steps.append(PlanStep(key, tool, name=shown, args=dict(args), depends_on=tuple(after)))
        return key

    def offer(self, kind: str, offer: Offer) -> None:
        """Let later clauses refer to things of this kind."""
        self.offers[kind] = offer

    def offered(self, kind: str) -> Offer | None:
        """What was offered of this kind last."""
        return self.offers.get(kind)

    def hold_back(self, first: int, *, before: int) -> None:
        """Let the steps from the place `first` on wait for all that stand before another place."""
        earlier, new = self.steps[:before], {step.key for step in self.steps[first:]}
        needed = {key for step in earlier for key in step.depends_on}
        ends = [step.key for step in earlier if step.key not in needed]
        for place, step in enumerate(self.steps[first:], start=first):
            if not new.intersection(step.depends_on):
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
    for error in Draft202012Validator(schema).iter_errors(dict(args)):  # pyright: ignore[reportUnknownMemberType] - the library's own types are partial
        if not _is_reference(args, list(error.absolute_path)):
            where = ".".join(str(place) for place in error.absolute_path)
            raise Refusal(f"{where}: {error.message}" if where else error.message)


def _is_reference(args: Any, path: Sequence[str | int]) -> bool:
    """Whether a reference stands at the path or above it."""
    for end in range(1, len(path) + 1):
        value = reduce(getitem, path[:end], args)
        if isinstance(value, Mapping) and _REFERENCE in value:
            return True
    return False
