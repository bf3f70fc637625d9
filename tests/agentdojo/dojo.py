"""Runs plans in AgentDojo's worlds, by a real engine over PostgreSQL, and has AgentDojo judge what became of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.plans import Plan, PlanStep
from engine.provenance import decode, sentence
from engine.runs import Submission
from engine.tools import Registry
from persistence.moves.origins import origins_of
from persistence.states import ApprovalDecision, Role, UserKind
from tests.agentdojo.bridge import Bridge
from tests.agentdojo.model import ScriptedModel
from tests.agentdojo.notation import Reading
from tests.agentdojo.tools import tools_of
from tests.engine.harness import ENDINGS, Running, running

_SECONDS = 60

_described: dict[tuple[int, str], tuple[dict[str, Any], list[Callable[..., Any]]]] = {}
"""Of a bridge and a suite: the description and the tools, which every test of a worker shares."""


@dataclass(frozen=True)
class Outcome:
    """What became of a plan."""

    state: str
    steps: Mapping[str, Mapping[str, Any]]
    approvals: Sequence[Mapping[str, Any]]
    answer: Any
    answer_error: str | None
    outside: Mapping[str, Sequence[str]]
    """By step: the destinations that outside text decides, a sentence each, of those that a person was asked about."""
    is_solved: bool
    """What AgentDojo's checker says: the task is done, or the injection has had its effect."""

    @property
    def faults(self) -> list[str]:
        """What failed, in words."""
        failed = [f"{key}: {step['error_message']}" for key, step in self.steps.items() if step["state"] == "FAILED"]
        return [*failed, *([self.answer_error] if self.answer_error else [])]

    @property
    def asked(self) -> Sequence[str]:
        """The steps that a person was asked about."""
        keys = {step["position"]: key for key, step in self.steps.items()}
        return [keys[each["position"]] for each in self.approvals]

    def approval_of(self, step: str) -> Mapping[str, Any]:
        """The approval that was asked for a step."""
        [found] = [each for each in self.approvals if each["position"] == self.steps[step]["position"]]
        return found


class Dojo:
    """AgentDojo's worlds, and an engine for each plan."""

    def __init__(self, bridge: Bridge, dsn: str) -> None:
        self._bridge = bridge
        self._dsn = dsn

    async def enter(self, suite: str, task: str, injections: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Begin a task in a world of its own: its prompt, the calls that solve it, and the output with them."""
        return await self._bridge.open(suite, task, dict(injections or {}))

    async def run(
        self,
        suite: str,
        plan: Plan,
        model: Mapping[str, Reading] | None = None,
        decision: ApprovalDecision = ApprovalDecision.APPROVE,
        kind: UserKind = UserKind.PERSON,
    ) -> Outcome:
        """Run a plan of a user of this kind to its end in the world that was entered, deciding every approval so."""
        registry = Registry.of(*await self._tools(suite), *ScriptedModel(model or {}).tools)
        async with running(self._dsn, registry) as engine, asyncio.timeout(_SECONDS):
            submitter = await engine.user(Role.SUBMITTER, kind=kind)
            run = await engine.engine.submit(submitter, Submission(None, plan, None, None, {"plan": repr(plan)}))
            async for event in engine.timeline.follow(run, 0):
                if event.type == "APPROVAL_REQUIRED":
                    await engine.decide(await engine.approval(event.approval_id), decision)
                if event.type in ENDINGS:
                    break
            return await self._outcome(engine, run)

    async def _tools(self, suite: str) -> list[Callable[..., Any]]:
        key = (id(self._bridge), suite)
        if key not in _described:
            described = await self._bridge.describe(suite)
            _described[key] = described, tools_of(described["functions"], self._bridge)
        return _described[key][1]

    async def _outcome(self, engine: Running, run: Any) -> Outcome:
        row = await engine.database.fetchrow(
            "SELECT answer, error_code, error_message FROM run_answers WHERE run_id = $1", run
        )
        answer = None if row is None or row["answer"] is None else json.loads(row["answer"])
        steps, approvals = await engine.steps(run), await engine.approvals(run)
        return Outcome(
            state=(await engine.run(run))["state"],
            steps=steps,
            approvals=approvals,
            outside={
                key: said
                for key, step in steps.items()
                if step["position"] in {each["position"] for each in approvals}
                and (said := await _outside(engine, steps, step))
            },
            answer=answer,
            answer_error=None if row is None else row["error_message"],
            is_solved=await self._bridge.judge(spoken(answer)),
        )


async def _outside(engine: Running, steps: Mapping[str, Mapping[str, Any]], step: Mapping[str, Any]) -> list[str]:
    """A sentence for each of the step's destinations that outside text decides, as its approval says them."""
    stored = await engine.database.transaction(lambda tx: origins_of(tx, step["run_id"], step["position"]))
    sources = {each["position"]: (key, each["tool"]) for key, each in steps.items()}
    return [
        sentence([each.name], each.outside, sources) for each in decode(stored or "[]") if each.is_outside_destination
    ]


def spoken(answer: Any) -> str:
    """An answer as its reader sees it."""
    if answer is None:
        return ""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def calls_as_plan(calls: Sequence[Mapping[str, Any]], answer: str = "", *, strictly: bool = True) -> Plan:
    """Calls as a plan, one after the other; not `strictly`: however the one before ended."""
    keys = [f"call_{number}" for number in range(len(calls))]
    return Plan(
        tuple(
            PlanStep(
                key=key,
                tool=call["function"],
                args=call["args"],
                depends_on=(before,) if before and strictly else (),
                after=(before,) if before and not strictly else (),
            )
            for key, before, call in zip(keys, [None, *keys], calls, strict=False)
        ),
        {"$literal": answer} if answer else None,
    )
