# pyright: basic, reportMissingImports=false
"""The clients' followers against subscriptions that break as servers and networks do."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import PYTHON, run

sys.path.insert(0, str(PYTHON))

from lifeos_client import EventType, LifeOSError, TimelineEvent, Unavailable
from lifeos_client.follow import follow_timeline

LOST = Unavailable("closed with 1012")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_typescript_follower_holds_what_it_promises(frontends: Path):
    run(["node", "--test", "follow.test.js"], frontends)


def event(seq: int) -> TimelineEvent:
    return TimelineEvent.model_validate(
        {
            "cursor": f"c{seq}",
            "seq": seq,
            "type": "STEP_READY",
            "message": "",
            "metadata": {},
            "createdAt": datetime.now(UTC),
            "runId": "run_1",
            "stepId": None,
            "approvalId": None,
        }
    )


class Source:
    """Answers each subscription by its script, the last for ever, and keeps from where it was asked to go on."""

    def __init__(self, *scripts: tuple[list[int], Exception | None]) -> None:
        self.scripts = list(scripts)
        self.asked: list[str | None] = []
        self.left = 0

    async def timeline(self, run_id: str, after: str | None) -> AsyncGenerator[TimelineEvent]:
        self.asked.append(after)
        seqs, end = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for seq in seqs:
                yield event(seq)
            if end is not None:
                raise end
        finally:
            self.left += 1

    def follow(self, *, patience_seconds: float = 60, **more: Any) -> AsyncGenerator[TimelineEvent]:
        more.setdefault("on_lost", lambda _: None)
        return follow_timeline(self.timeline, "run_1", None, patience_seconds=patience_seconds, **more)


async def test_it_goes_on_from_the_last_event_and_tells_what_broke():
    source = Source(([1, 2], LOST), ([], LOST), ([3], None))
    lost: list[Unavailable] = []

    seen = [each.seq async for each in source.follow(on_lost=lost.append)]

    assert seen == [1, 2, 3]
    assert source.asked == [None, "c2", "c2"]
    assert lost == [LOST, LOST]


async def test_it_drops_what_comes_twice_and_asks_again_for_what_is_missing():
    source = Source(([1, 2, 2, 1, 4], None), ([2, 3, 4], None))

    assert [each.seq async for each in source.follow()] == [1, 2, 3, 4]
    assert source.asked == [None, "c2"]


async def test_it_raises_at_once_what_asking_again_can_not_change():
    source = Source(([1], LifeOSError("Forbidden", "UNAUTHENTICATED")))

    with pytest.raises(LifeOSError, match="Forbidden"):
        _ = [each async for each in source.follow()]
    assert len(source.asked) == 1


async def test_it_gives_up_when_an_outage_outlasts_the_patience():
    source = Source(([1], LOST), ([], LOST))

    with pytest.raises(Unavailable):
        _ = [each async for each in source.follow(patience_seconds=0.05)]
    assert len(source.asked) >= 2


async def test_leaving_it_ends_the_subscription():
    source = Source(([1, 2], None))
    events = source.follow()

    await anext(events)
    await events.aclose()

    assert source.left == 1


def test_a_value_that_a_newer_server_adds_to_an_enumeration_arrives_as_it_is():
    newer = TimelineEvent.model_validate({**event(1).model_dump(by_alias=True), "type": "STEP_PAUSED"})

    assert newer.type == "STEP_PAUSED"
    assert isinstance(newer.type, EventType)
    assert f"{newer.type}" == "STEP_PAUSED"
    assert "STEP_PAUSED" not in EventType.__members__
    assert EventType("STEP_READY") is EventType.STEP_READY
