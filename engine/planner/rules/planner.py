"""The built-in planner: rules, no model, the same answer every time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.phrases import SpeakableTool
from engine.planner.context import PlanningContext, Unplannable
from engine.planner.rules.assembling import assemble
from engine.planner.rules.clauses import Fault, clauses_of
from engine.planner.rules.entries import entries_for
from engine.planner.rules.examples import fitting_examples
from engine.planner.rules.speech import Speech
from engine.planner.rules.tokens import Token, tokens_of
from engine.plans import Plan, PlanStep

MOST_WORDS: Final = 600
"""In one intent; a quoted text counts as one."""

_MOST_ENTRIES: Final = 3
_LONGEST_ENTRY: Final = 300
"""So many deeds of one sentence, and of so many characters, are said anew as entries of a calendar."""


class RulePlanner:
    """Plans by the phrases that tools declare."""

    async def plan(self, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
        """The plan that does all of the intent; Unplannable names every part that no tool can do."""
        return plan_by_rules(intent, tools, context)


def plan_by_rules(intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
    """The plan that does all of the intent. Pure: the same intent, tools and context give the same plan."""
    known = {tool.name: tool for tool in tools}
    speech = Speech.of(known.values())
    steps, faults = _steps_of(intent, speech, known, context)
    if not faults and not steps:
        faults.append(Fault("", "There is nothing in it to do"))
    if not faults and len(steps) > context.max_steps:
        faults.append(Fault(intent, f"makes {len(steps)} steps; at most {context.max_steps} are allowed"))
    if faults:
        ordered = sorted(faults, key=lambda fault: _place(fault, intent))
        named = _with_entries(ordered, speech, known, context)
        says_all = all(reason != fault.reason for (_, reason), fault in zip(named, ordered, strict=True))
        raise Unplannable(named, suggestions=() if says_all else fitting_examples(speech, intent))
    return Plan(steps)


def _steps_of(
    intent: str, speech: Speech, tools: Mapping[str, SpeakableTool], context: PlanningContext
) -> tuple[tuple[PlanStep, ...], list[Fault]]:
    clauses, faults = clauses_of(_tokens(intent), speech, context.now)
    return assemble(clauses, faults, tools)


def _with_entries(
    faults: Sequence[Fault], speech: Speech, tools: Mapping[str, SpeakableTool], context: PlanningContext
) -> tuple[tuple[str, str], ...]:
    """The faults, the first deeds outside among them with a sentence that enters them into a calendar instead."""
    named: list[tuple[str, str]] = []
    left = _MOST_ENTRIES
    for fault in faults:
        reason = fault.reason
        if fault.is_outside and left:
            left -= 1
            entries = _entries(fault)
            fitting = (lead for lead in entries if _plans(lead[1], speech, tools, context))
            if entry := next(fitting, None):
                reason += f"; I can put it into your calendar {entry[0]}: {entry[1]}"
        named.append((fault.part, reason))
    return tuple(named)


def _entries(fault: Fault) -> list[tuple[str, str]]:
    return entries_for(_tokens(fault.part)) if len(fault.part) <= _LONGEST_ENTRY else []


def _plans(sentence: str, speech: Speech, tools: Mapping[str, SpeakableTool], context: PlanningContext) -> bool:
    try:
        steps, faults = _steps_of(sentence, speech, tools, context)
    except Unplannable:
        return False
    return len(steps) == 1 and not faults


def _tokens(intent: str) -> tuple[Token, ...]:
    text = unicodedata.normalize("NFC", intent)
    for letter in text:
        if unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\t\n\r":
            raise Unplannable(((repr(letter), "a character that is no text"),))
    tokens = tokens_of(text, most=MOST_WORDS + 1)
    if len(tokens) > MOST_WORDS:
        part = text[tokens[MOST_WORDS].start :]
        raise Unplannable(((part, f"more than {MOST_WORDS} words at once"),))
    return tokens


def _place(fault: Fault, intent: str) -> int:
    return intent.find(fault.part)
