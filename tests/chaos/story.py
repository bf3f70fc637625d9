"""Small histories in which everything holds, to be spoilt: a submission of three steps, one of them asked about.

And one of a list: of its two entries one fails and is tolerated, a step is skipped by its condition, the run answers.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from persistence import ids
from tests.chaos.history import History, Line

RUN: Final = "00000000-0000-7000-8000-000000000001"
LISTED: Final = "00000000-0000-7000-8000-000000000002"
ANN: Final = "00000000-0000-7000-8000-0000000000a1"
CAT: Final = "00000000-0000-7000-8000-0000000000c1"
APPROVAL: Final = "00000000-0000-7000-8000-0000000000b1"
WORKER: Final = "00000000-0000-7000-8000-0000000000e1"
BEGIN: Final = 1_700_000_000.0


def at(seconds: float) -> str:
    """A moment of the story, as PostgreSQL writes it."""
    whole, part = divmod(seconds, 1)
    return f"2023-11-14T22:13:{20 + int(whole):02d}.{round(part * 1000):03d}+00:00"


def sound() -> History:
    """The story, anew: keyed `one` (tried twice), then gated `two`, then plain `three`, all done by second 9."""
    return {
        "users": [
            {"id": ANN, "name": "ann", "roles": ["SUBMITTER"]},
            {"id": CAT, "name": "cat", "roles": ["APPROVER"]},
        ],
        "runs": [
            {
                "id": RUN,
                "submitted_by": ANN,
                "state": "COMPLETED",
                "outcome": "CLEAN",
                "idempotency_key": "key-1",
                "last_seq": 17,
                "finished_at": at(9),
                **dict.fromkeys(("pending", "ready", "running", "blocked", "failed", "skipped", "cancelled"), 0),
                "succeeded": 3,
            }
        ],
        "steps": [
            _step(0, "one", "keyed", attempt=2, calls=2),
            _step(1, "two", "gated", gated=True, idempotent=False, depends_on=[0], digest="d2"),
            _step(2, "three", "plain", idempotent=False, depends_on=[1]),
        ],
        "directives": [],
        "answers": [],
        "approvals": [
            {
                "id": APPROVAL,
                "run_id": RUN,
                "position": 1,
                "execution": 1,
                "attempt": 0,
                "kind": "EXECUTE",
                "status": "APPROVED",
                "digest": "d2",
                "granted_digest": "d2",
                "created_at": at(3),
                "expires_at": at(30),
                "decided_by": CAT,
                "decided_at": at(4),
                "resolution": None,
            }
        ],
        "calls": [
            _call(0, 1, "keyed", "FAILED", 1),
            _call(0, 2, "keyed", "SUCCEEDED", 2),
            _call(1, 1, "gated", "SUCCEEDED", 5, approval_id=APPROVAL, digest="d2"),
            _call(2, 1, "plain", "SUCCEEDED", 7),
        ],
        "events": [
            {"run_id": RUN, "seq": seq, **event}
            for seq, event in enumerate(
                [
                    _event("WORKFLOW_STARTED", 0),
                    _event("WORKFLOW_PLANNED", 0),
                    _event("STEP_READY", 1, 0),
                    _event("STEP_RUNNING", 1, 0, attempt=1),
                    _event("STEP_RETRYING", 1.5, 0, attempt=1, reason="FAILED", nextAttemptAt=at(2)),
                    _event("STEP_RUNNING", 2, 0, attempt=2),
                    _event("STEP_SUCCEEDED", 3, 0, attempt=2),
                    _event("STEP_BLOCKED", 3, 1),
                    _event("APPROVAL_REQUIRED", 3, 1, APPROVAL),
                    _event("APPROVAL_APPROVED", 4, 1, APPROVAL, decidedBy=ids.user_id(UUID(CAT))),
                    _event("STEP_READY", 4, 1),
                    _event("STEP_RUNNING", 5, 1, attempt=1),
                    _event("STEP_SUCCEEDED", 6, 1, attempt=1),
                    _event("STEP_READY", 6, 2),
                    _event("STEP_RUNNING", 7, 2, attempt=1),
                    _event("STEP_SUCCEEDED", 9, 2, attempt=1),
                    _event("WORKFLOW_COMPLETE", 9),
                ],
                1,
            )
        ],
        "workers": [],
        "audit": [
            {"user_id": ANN, "subject": ids.run_id(UUID(RUN)), "outcome": "ACCEPTED"},
            {"user_id": CAT, "subject": ids.approval_id(UUID(APPROVAL)), "outcome": "ACCEPTED"},
        ],
        "sessions": [{"pid": 1, "application_name": "lifeos", "state": "idle", "old": False}],
        "locks": [],
        "ledger": [
            _entry(1, 0, 1, "keyed", 1.2, applied=False, refused="the service is down"),
            _entry(2, 0, 2, "keyed", 2.5, answer=1),
            _entry(3, 1, 1, "gated", 5.5, answer=2, digest="d2"),
            _entry(4, 2, 1, "plain", 8, answer=3),
        ],
        "people": [
            {
                "what": "submitWorkflow",
                "who": ids.user_id(UUID(ANN)),
                "key": "key-1",
                "body": "plan",
                "began": BEGIN,
                "ended": BEGIN + 0.1,
                "outcome": "ok",
                "answer": {"run": {"id": ids.run_id(UUID(RUN))}},
            },
            {
                "what": "decideApproval",
                "who": ids.user_id(UUID(CAT)),
                "approval": ids.approval_id(UUID(APPROVAL)),
                "decision": "APPROVE",
                "digest": "d2",
                "began": BEGIN + 4,
                "ended": BEGIN + 4.1,
                "outcome": "ok",
                "answer": {},
            },
        ],
        "followers": [
            {
                "run": ids.run_id(UUID(RUN)),
                "received": [
                    {"cursor": f"c{seq}", "seq": seq, "type": kind, "content": f"hash {seq}"}
                    for seq, kind in enumerate(_TYPES, 1)
                ],
                "connections": 2,
                "is_over": True,
                "refusals": [],
            }
        ],
        "faults": [
            {"kind": "kill worker", "began": BEGIN + 1, "ended": BEGIN + 2, "affected": [[RUN, 0, 1, BEGIN + 1]]}
        ],
        "endings": [{"name": "worker1", "pid": 7, "at": BEGIN + 1, "status": -9, "by": "SIGKILL"}],
        "logs": {"worker1": '{"event": "workers_lost", "level": "warning"}\n'},
    }


def listed() -> History:
    """The story, with another run: `each` has a list of two, `maybe` a condition, and `last` comes after both."""
    history = sound()
    counted = dict.fromkeys(("pending", "ready", "running", "blocked", "cancelled"), 0)
    history["runs"].append(
        {
            **history["runs"][0],
            **counted,
            "id": LISTED,
            "outcome": "PARTIAL",
            "idempotency_key": "key-2",
            "succeeded": 3,
            "failed": 1,
            "skipped": 1,
            "last_seq": 17,
        }
    )
    failed = {"state": "FAILED", "result": None, "error_code": "TOOL_ERROR", "error_message": "never"}
    entries = [
        {"item": "a", "result": {"answer": 4}},
        {"item": "b", "result": None, "error": {"code": "TOOL_ERROR", "message": "never"}},
    ]
    steps = [
        _step(0, "each", "keyed", attempt=0, calls=0, expands=True, result=entries),
        _step(1, "maybe", "keyed", attempt=0, calls=0, state="SKIPPED", skip_reason="CONDITION_FALSE", result=None),
        _step(2, "last", "keyed", result={"answer": 5}),
        _step(3, "each[0]", "keyed", parent=0, index=0, tolerated=True, result={"answer": 4}),
        _step(4, "each[1]", "keyed", parent=0, index=1, tolerated=True, **failed),
    ]
    history["steps"] += [{**step, "run_id": LISTED} for step in steps]
    directives: list[Line] = [
        {"position": 0, "for_each": "list", "tolerates": True, "items": ["a", "b"], "after": []},
        {"position": 1, "condition": "list", "for_each": None, "after": []},
        {"position": 2, "for_each": None, "after": [0, 1]},
    ]
    history["directives"] = [{"run_id": LISTED, "condition": None, **each} for each in directives]
    history["answers"] = [{"run_id": LISTED, "answer": 5, "error_code": None}]
    calls = [
        _call(2, 1, "keyed", "SUCCEEDED", 7),
        _call(3, 1, "keyed", "SUCCEEDED", 2),
        _call(4, 1, "keyed", "FAILED", 2),
    ]
    history["calls"] += [{**call, "run_id": LISTED} for call in calls]
    events = [
        _event("WORKFLOW_STARTED", 0),
        _event("WORKFLOW_PLANNED", 0),
        _event("STEP_RUNNING", 1, 0, children=2),
        _event("STEP_READY", 1, 3),
        _event("STEP_READY", 1, 4),
        _event("STEP_SKIPPED", 1, 1, reason="CONDITION_FALSE"),
        _event("STEP_RUNNING", 2, 3, attempt=1),
        _event("STEP_RUNNING", 2, 4, attempt=1),
        _event("STEP_FAILED", 3, 4, attempt=1),
        _event("STEP_SUCCEEDED", 5, 3, attempt=1),
        _event("STEP_SUCCEEDED", 5, 0, attempt=0),
        _event("STEP_READY", 5, 2),
        _event("STEP_RUNNING", 7, 2, attempt=1),
        _event("STEP_SUCCEEDED", 9, 2, attempt=1),
        _event("WORKFLOW_COMPLETE", 9),
    ]
    history["runs"][1]["last_seq"] = len(events)
    history["events"] += [{**event, "run_id": LISTED, "seq": seq} for seq, event in enumerate(events, 1)]
    entered = [
        _entry(5, 3, 1, "keyed", 2.5, answer=4),
        _entry(6, 4, 1, "keyed", 2.6, applied=False, refused="never"),
        _entry(7, 2, 1, "keyed", 7.5, answer=5),
    ]
    places = (3, 4, 2)
    history["ledger"] += [
        {**line, "run": ids.run_id(UUID(LISTED)), "key": ids.execution_key(UUID(LISTED), place)}
        for line, place in zip(entered, places, strict=True)
    ]
    history["audit"].append({"user_id": ANN, "subject": ids.run_id(UUID(LISTED)), "outcome": "ACCEPTED"})
    history["people"].append(
        {**history["people"][0], "key": "key-2", "answer": {"run": {"id": ids.run_id(UUID(LISTED))}}}
    )
    return history


_TYPES: Final = [
    "WORKFLOW_STARTED", "WORKFLOW_PLANNED", "STEP_READY", "STEP_RUNNING", "STEP_RETRYING", "STEP_RUNNING",
    "STEP_SUCCEEDED", "STEP_BLOCKED", "APPROVAL_REQUIRED", "APPROVAL_APPROVED", "STEP_READY", "STEP_RUNNING",
    "STEP_SUCCEEDED", "STEP_READY", "STEP_RUNNING", "STEP_SUCCEEDED", "WORKFLOW_COMPLETE",
]  # fmt: skip


def _step(position: int, key: str, tool: str, **more: Any) -> Line:
    return {
        "run_id": RUN,
        "position": position,
        "key": key,
        "tool": tool,
        "state": "SUCCEEDED",
        "gated": False,
        "idempotent": True,
        "depends_on": [],
        "parent": None,
        "index": None,
        "expands": False,
        "tolerated": False,
        "skip_reason": None,
        "digest": None,
        "result": {"answer": position + 1},
        "attempt": 1,
        "calls": 1,
        "losses": 0,
        "max_attempts": 3,
        "dead_lettered": False,
        **more,
    }


def _call(position: int, attempt: int, tool: str, status: str, second: float, **more: Any) -> Line:
    return {
        "run_id": RUN,
        "position": position,
        "attempt": attempt,
        "tool": tool,
        "status": status,
        "started_at": at(second),
        "approval_id": None,
        "digest": None,
        **more,
    }


def _event(kind: str, second: float, position: int | None = None, approval: str | None = None, **metadata: Any) -> Line:
    return {
        "type": kind,
        "position": position,
        "approval_id": approval,
        "metadata": metadata,
        "created_at": at(second),
    }


def _entry(line: int, position: int, attempt: int, tool: str, second: float, **more: Any) -> Line:
    return {
        "line": line,
        "at": BEGIN + second,
        "op": "call",
        "key": ids.execution_key(UUID(RUN), position),
        "run": ids.run_id(UUID(RUN)),
        "attempt": attempt,
        "tool": tool,
        "digest": "d",
        "honours": tool == "keyed",
        "applied": True,
        "refused": "",
        "answer": None,
        **more,
    }
