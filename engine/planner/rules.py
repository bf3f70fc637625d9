"""The built-in planner: rules, no model, the same answer every time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from engine.phrases import SpeakableTool
from engine.planner.assembling import assemble
from engine.planner.clauses import Fault, clauses_of
from engine.planner.context import PlanningContext, Unplannable
from engine.planner.speech import Speech
from engine.planner.tokens import Token, tokens_of
from engine.plans import Plan

MOST_WORDS: Final = 600
"""In one intent; a quoted text counts as one."""

_MOST_SUGGESTIONS: Final = 8


class RulePlanner:
    """Plans by the phrases that tools declare."""

    async def plan(self, intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
        """The plan that does all of the intent; Unplannable names every part that no tool can do."""
        return plan_by_rules(intent, tools, context)


def plan_by_rules(intent: str, tools: Iterable[SpeakableTool], context: PlanningContext) -> Plan:
    """The plan that does all of the intent. Pure: the same intent, tools and context give the same plan."""
    known = {tool.name: tool for tool in tools}
    speech = Speech.of(known.values())
    tokens = _tokens(intent)
    clauses, faults = clauses_of(tokens, speech, context.now)
    steps, faults = assemble(clauses, faults, known)
    if not faults and not steps:
        faults.append(Fault("", "There is nothing in it to do"))
    if not faults and len(steps) > context.max_steps:
        faults.append(Fault(intent, f"makes {len(steps)} steps; at most {context.max_steps} are allowed"))
    if faults:
        named = tuple((fault.part, fault.reason) for fault in sorted(faults, key=lambda f: _place(f, intent)))
        raise Unplannable(named, suggestions=_suggestions(speech))
    return Plan(steps)


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


def _suggestions(speech: Speech) -> tuple[str, ...]:
    """What can be asked for, one example of each phrase, as far as they fit in a message."""
    return tuple(f"“{example}”" for example in speech.examples[:_MOST_SUGGESTIONS])
