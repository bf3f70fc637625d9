"""The risk table, as data: who is asked, and how often a step may be tried. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from persistence.states import Risk


@dataclass(frozen=True, slots=True)
class RiskLevel:
    """What a level means. `asks`: None never by itself, True always; `most_attempts`: None for no bound."""

    words: str
    always_asks: bool
    attempts: int
    most_attempts: int | None


TABLE: Final = {
    Risk.L0: RiskLevel("a safe read or plan", always_asks=False, attempts=3, most_attempts=None),
    Risk.L1: RiskLevel("a low-risk write", always_asks=False, attempts=3, most_attempts=None),
    Risk.L2: RiskLevel("a medium-risk write", always_asks=False, attempts=3, most_attempts=None),
    Risk.L3: RiskLevel("a high-risk external write", always_asks=True, attempts=3, most_attempts=3),
}

WITHOUT_END: Final = 0
"""How a plan or a tool asks for attempts without a bound."""


MOST_ATTEMPTS: Final = 2**31 - 1
"""The most that a plan or a tool may ask for with an end: the largest that the API and the database can say."""


def effective(tool: Risk, plan: Risk | None) -> Risk:
    """The level that counts: a plan can raise the tool's own, never lower it.

    >>> effective(Risk.L3, Risk.L0)
    <Risk.L3: 3>
    """
    return tool if plan is None else max(tool, plan)


def threshold(policy: Risk, asked: Risk | None) -> Risk:
    """The lowest level at which a person is asked: the stricter of the server's policy and the run's wish."""
    return policy if asked is None else min(policy, asked)


def is_gated(risk: Risk, approve_from: Risk) -> bool:
    """Whether a person must approve the step before it runs."""
    return TABLE[risk].always_asks or risk >= approve_from


def gate_reason(tool: str, own: Risk, risk: Risk, approve_from: Risk, *, raised_by: str = "the plan") -> str:
    """Why a person is asked, in a sentence; `raised_by` is what made the risk higher than the tool's own, if it is."""
    raised = f"; {raised_by} raised it from {own.name}" if risk > own else ""
    what = f"{tool} is {TABLE[risk].words} ({risk.name}){raised}"
    if TABLE[risk].always_asks:
        return f"{what}, and no {risk.name} step runs without a person's approval."
    return f"{what}, and a person is asked from {approve_from.name} up."


def attempts(risk: Risk, tool: int | None, plan: int | None) -> int | None:
    """How many attempts a step has; None: without end.

    The plan's wish counts before the tool's; 0 asks for no bound; the level's own bound caps both.

    >>> attempts(Risk.L3, None, 10), attempts(Risk.L0, None, 0), attempts(Risk.L1, 5, None)
    (3, None, 5)
    """
    wanted = plan if plan is not None else tool if tool is not None else TABLE[risk].attempts
    most = TABLE[risk].most_attempts
    if wanted == WITHOUT_END:
        return most
    return wanted if most is None else min(wanted, most)
