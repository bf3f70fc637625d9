"""The load: people at the public API, who submit, decide, cancel, retry and look, and write down what they were told.

An answer that did not come, and UNAVAILABLE, are `unknown`: it may or may not have happened, and what can be repeated
is repeated, at any server.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx
import orjson

from tests.chaos import documents
from tests.chaos.fleet import ADMIN_TOKEN, Member, with_an_api
from tests.chaos.ledger import ask

Line = dict[str, Any]
PATIENCE_SECONDS: Final = 10.0
_MODES: Final = [
    *["ok"] * 8, *["slow"] * 3, "flaky", "flaky", "fail", "fatal", "hang", "hang after", "apply then fail",
    "apply then fail",
]  # fmt: skip
_INTENTS: Final = ["plan groceries", "schedule gym 2x this week", "plan groceries, schedule gym 3x this week"]


@dataclass(frozen=True)
class Person:
    """Who speaks."""

    id: str
    name: str
    token: str


@dataclass
class Api:
    """The servers, as seen from outside, and the log of all that was asked."""

    members: Sequence[Member]
    dice: random.Random
    log: list[Line] = field(default_factory=list[Line])
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE_SECONDS))

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def ask(
        self, who: Person, what: str, variables: Mapping[str, Any], *, server: Member | None = None, **facts: Any
    ) -> Line:
        """One request at one server; the line that the log has of it."""
        server = server or self.dice.choice(with_an_api(self.members))
        line: Line = {
            "n": next(self._numbers),
            "what": what,
            "who": who.id,
            "server": server.name,
            "began": time.time(),
            **facts,
        }
        self.log.append(line)
        try:
            answer = await self._http.post(
                f"{server.url}/graphql",
                json={"query": documents.DOCUMENTS[what], "variables": dict(variables)},
                headers={"Authorization": f"Bearer {who.token}"},
            )
            line |= _judged(answer, what)
        except httpx.HTTPError as error:
            line |= {"outcome": "unknown", "code": type(error).__name__}
        finally:
            line["ended"] = time.time()
            line.setdefault("outcome", "unknown")
        return line

    async def insist(self, who: Person, what: str, variables: Mapping[str, Any], *, until: float, **facts: Any) -> Line:
        """Ask again, at any server, until somebody knows (or it is `until` by the monotonic clock)."""
        tries = 0
        while True:
            line = await self.ask(who, what, variables, again=tries, **facts)
            tries += 1
            if line["outcome"] != "unknown" or time.monotonic() > until:
                return line
            await asyncio.sleep(self.dice.uniform(0.05, 0.4))


def _judged(answer: httpx.Response, what: str) -> Line:
    try:
        body = orjson.loads(answer.content)
        errors = body.get("errors")
        data = body.get("data")
    except (orjson.JSONDecodeError, AttributeError):
        return {"outcome": "unknown", "code": f"HTTP {answer.status_code}", "body": answer.text[:2000]}
    if errors:
        code = errors[0]["extensions"]["code"]
        outcome = "unknown" if code in {"UNAVAILABLE", "INTERNAL"} else "refused"
        return {"outcome": outcome, "code": code, "body": answer.text[:2000]}
    payload = data[what]
    if documents.DOCUMENTS[what].startswith("mutation") and payload["errors"]:
        return {"outcome": "refused", "code": payload["errors"][0]["code"], "body": answer.text[:2000]}
    return {"outcome": "ok", "answer": payload}


class Crowd:
    """Everybody at once."""

    def __init__(self, api: Api, dice: random.Random, ledger_port: int) -> None:
        self.api = api
        self.runs: list[str] = []
        self.follow: asyncio.Queue[str] = asyncio.Queue()
        self.submits = True
        self._dice = dice
        self._ledger = ledger_port
        self._keys = count(1)
        self._retried: dict[str, int] = {}
        self.admin = Person("", "admin", ADMIN_TOKEN)
        self.submitters: list[Person] = []
        self.deciders: list[Person] = []

    async def arrive(self) -> None:
        """Make the users."""
        line = await self.api.insist(self.admin, "viewer", {}, until=time.monotonic() + 30)
        self.admin = Person(line["answer"]["id"], "admin", ADMIN_TOKEN)
        for name in ("ann", "bob"):
            self.submitters.append(await self._user(name, "SUBMITTER"))
        for name in ("cat", "dan"):
            self.deciders.append(await self._user(name, "APPROVER"))

    async def _user(self, name: str, role: str) -> Person:
        made = (await self.api.ask(self.admin, "createUser", {"input": {"name": name, "roles": [role]}}))["answer"]
        return Person(made["user"]["id"], name, made["token"])

    # Submitting

    async def submit_on(self, who: Person, *, every_seconds: float) -> None:
        """Submit one thing after the other."""
        while self.submits:
            await self._submit(who)
            await asyncio.sleep(self._dice.expovariate(1 / every_seconds))

    async def _submit(self, who: Person) -> None:
        given: dict[str, Any] = {"idempotencyKey": f"key-{next(self._keys)}"}
        if self._dice.random() < 0.12:
            given["intent"] = self._dice.choice(_INTENTS)
        else:
            given["plan"] = self.plan()
        facts = {"key": given["idempotencyKey"], "body": orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode()}
        until = time.monotonic() + 90
        wanted = [self.api.insist(who, "submitWorkflow", {"input": given}, until=until, **facts)]
        if self._dice.random() < 0.2:  # a double click
            wanted.append(self.api.insist(who, "submitWorkflow", {"input": given}, until=until, **facts))
        lines = await asyncio.gather(*wanted)
        for line in lines:
            if line["outcome"] == "ok" and line["answer"]["run"]["id"] not in self.runs:
                self.runs.append(line["answer"]["run"]["id"])
                self.follow.put_nowait(line["answer"]["run"]["id"])
        if self._dice.random() < 0.1:  # the same key for something else
            other = {"idempotencyKey": given["idempotencyKey"], "plan": self.plan()}
            body = orjson.dumps(other, option=orjson.OPT_SORT_KEYS).decode()
            await self.api.ask(who, "submitWorkflow", {"input": other}, key=facts["key"], body=body)

    def poison(self) -> dict[str, Any]:
        """A plan whose one step ends every process that runs it."""
        plan = {"steps": [{"key": "poison", "tool": "keyed", "args": {"n": 0, "mode": "die"}}]}
        return {"idempotencyKey": f"key-{next(self._keys)}", "plan": plan}

    def plan(self) -> dict[str, Any]:
        """A plan of a common shape, at times with a list, a condition, a step that comes after both, and an answer."""
        if self._dice.random() < 0.75:
            return {"steps": self.steps()}
        tool = self._dice.choice(["keyed", "keyed", "plain", "gated_keyed"])
        each: dict[str, Any] = {
            "key": "each",
            "tool": tool,
            "dependsOn": ["s0"],
            "forEach": {"$jmespath": "[s0.answer, s0.key, s0.answer]"},
            "args": {"n": 1, "mode": self._dice.choice(_MODES), "take": {"$jmespath": "item"}},
            "forEachTolerates": self._dice.random() < 0.5,
        }
        if self._dice.random() < 0.5:
            each["maxParallel"] = self._dice.choice([1, 2])
        condition = self._dice.choice(["s0.answer", "!(s0.answer)"])
        steps = [
            {"key": "s0", "tool": "keyed", "args": {"n": 0, "mode": self._dice.choice(_MODES)}},
            each,
            {
                "key": "maybe",
                "tool": "keyed",
                "dependsOn": ["s0"],
                "when": {"$jmespath": condition},
                "args": {"n": 2},
                "delaySeconds": self._dice.choice([0, 0.5]),
            },
            {
                "key": "last",
                "tool": "keyed",
                "after": ["each", "maybe"],
                "args": {"n": 3, "take": {"$jmespath": "each[0].result.answer || maybe.answer"}},
            },
        ]
        return {"steps": steps, "answer": {"each": {"$jmespath": "each[].result.answer"}}}

    def steps(self) -> list[dict[str, Any]]:
        """A plan of a common shape: a chain, a fan, a diamond, with and without people asked."""
        shape = self._dice.choice(["chain", "chain", "fan", "diamond", "single", "gated", "gated"])
        shapes: dict[str, list[list[int]]] = {
            "single": [[]],
            "chain": [[], [0], [1], [2]],
            "fan": [[], [0], [0], [0], [0], [1, 2, 3, 4]],
            "diamond": [[], [0], [0], [1, 2]],
            "gated": [[], [0], [1]],
        }
        edges = shapes[shape]
        steps: list[dict[str, Any]] = []
        for place, after in enumerate(edges):
            tool = self._dice.choice(["keyed", "keyed", "plain"])
            if shape == "gated" and place == 1:
                tool = self._dice.choice(["gated", "gated_keyed"])
            args: dict[str, Any] = {"n": place, "mode": self._dice.choice(_MODES)}
            if after and self._dice.random() < 0.4:
                args["take"] = {"$jmespath": f"s{after[0]}.answer"}
            steps.append({"key": f"s{place}", "tool": tool, "args": args, "dependsOn": [f"s{each}" for each in after]})
        return steps

    # Deciding

    async def decide_on(self, who: Person) -> None:
        """Decide what waits, at times together with somebody else."""
        while True:
            line = await self.api.ask(who, "approvals", {})
            if line["outcome"] == "ok":
                waiting = line["answer"]["nodes"]
                line["answer"] = len(waiting)
                self._dice.shuffle(waiting)
                for approval in waiting[:8]:
                    with suppress(OSError):  # the ledger is away: later
                        await self._decide(who, approval)
            await asyncio.sleep(self._dice.uniform(0.1, 0.5))

    async def _decide(self, who: Person, approval: Mapping[str, Any]) -> None:
        facts: dict[str, Any] = {"approval": approval["id"], "run": approval["run"]["id"]}
        until = time.monotonic() + 60
        if approval["kind"] == "EXECUTE":
            decision = "APPROVE" if self._dice.random() < 0.85 else "REJECT"
            given = {"approvalId": approval["id"], "decision": decision, "argsDigest": approval["argsDigest"]}
            facts |= {"decision": decision, "digest": approval["argsDigest"]}
            await self.api.insist(who, "decideApproval", {"input": given}, until=until, **facts)
            return
        call = max(approval["step"]["toolCalls"], key=lambda each: each["attempt"])
        # A person looks at the other side, and sees to it that the call does not happen any more.
        found = await ask(self._ledger, op="void", key=call["executionKey"], attempt=call["attempt"])
        resolution = "HAPPENED" if found["applied"] else "DID_NOT_HAPPEN"
        if not found["applied"] and self._dice.random() < 0.1:
            resolution = "ABANDON"
        given = {"approvalId": approval["id"], "resolution": resolution}
        if found["applied"]:
            given["result"] = {"answer": found["answer"], "key": call["executionKey"]}
        facts |= {"decision": resolution}
        await self.api.insist(who, "resolveInDoubt", {"input": given}, until=until, **facts)

    # Cancelling and retrying

    async def cancel_on(self) -> None:
        """Cancel something now and then."""
        while self.submits:
            await asyncio.sleep(self._dice.uniform(1, 4))
            if self.runs:
                run = self._dice.choice(self.runs[-8:])
                given = {"runId": run, "reason": "changed my mind"}
                until = time.monotonic() + 60
                await self.api.insist(self.admin, "cancelRun", {"input": given}, until=until, run=run)

    async def retry_on(self) -> None:
        """Send dead letters back, each at most twice."""
        while self.submits:
            await asyncio.sleep(self._dice.uniform(1, 3))
            line = await self.api.ask(self.admin, "deadLetters", {})
            if line["outcome"] != "ok":
                continue
            dead = [each["id"] for each in line["answer"]["nodes"] if each["key"] != "poison"]
            line["answer"] = len(dead)
            for step in dead[:2]:
                self._retried[step] = self._retried.get(step, 0) + 1
                if self._retried[step] <= 2:
                    await self.api.ask(self.admin, "retryStep", {"input": {"stepId": step}}, step=step)
