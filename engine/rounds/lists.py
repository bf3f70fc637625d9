"""What becomes of a step with a list when its children have ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from persistence.moves.rounds.facts import ClosedParent, EndedChild
from persistence.moves.rounds.turn import Verdict
from persistence.states import StepState

ITEMS_FAILED: Final = "ITEMS_FAILED"
RESULT_TOO_LARGE: Final = "RESULT_TOO_LARGE"
LONGER: Final = 16
"""How many times as many bytes as another value a list may have, and a list's result."""
_MOST_NAMED: Final = 3


def closing(parent: ClosedParent, *, json_bytes: int) -> Verdict:
    """Its end: the entries with their results in the list's order, or why it has failed."""
    failed = [child for child in parent.children if child.state is StepState.FAILED]
    if failed and not parent.tolerates:
        return _failure(parent, ITEMS_FAILED, _named(failed, len(parent.children)))
    items: list[Any] = orjson.loads(parent.items)
    text = orjson.dumps([_entry(items[child.place], child) for child in parent.children]).decode()
    if len(text.encode()) > LONGER * json_bytes:
        message = f"the results of its {len(items)} entries have more than {LONGER * json_bytes} bytes together"
        return _failure(parent, RESULT_TOO_LARGE, message)
    return Verdict(parent.run, parent.position, StepState.SUCCEEDED, leaves=StepState.RUNNING, result=text)


def _entry(item: object, child: EndedChild) -> dict[str, object]:
    if child.state is StepState.SUCCEEDED:
        return {"item": item, "result": orjson.Fragment(child.result or "null")}
    entry: dict[str, object] = {"item": item, "result": None}
    if child.state is StepState.FAILED:
        return entry | {"error": {"code": child.error_code, "message": child.error_message}}
    return entry | {"skipReason": child.skip_reason}


def _named(failed: Iterable[EndedChild], entries: int) -> str:
    those = list(failed)
    named = "; ".join(f"[{child.place}] {child.error_message or child.error_code}" for child in those[:_MOST_NAMED])
    more = f"; and {len(those) - _MOST_NAMED} more" if len(those) > _MOST_NAMED else ""
    return f"{len(those)} of its {entries} entries failed: {named}{more}"[:4000]


def _failure(parent: ClosedParent, code: str, message: str) -> Verdict:
    return Verdict(
        parent.run,
        parent.position,
        StepState.FAILED,
        leaves=StepState.RUNNING,
        error_code=code,
        error_message=message,
    )
