"""The ledger is the truth: what it answers is written before, and a key that is honoured has one effect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.history import book
from tests.chaos.ledger import Ledger

CALL: dict[str, Any] = {"op": "call", "key": "k", "attempt": 1, "honours": True, "applies": True}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "book")
    yield ledger
    ledger.close()


async def test_a_key_that_is_honoured_is_answered_like_the_first_time(ledger: Ledger, tmp_path: Path) -> None:
    first = await ledger.answer(CALL)
    again = await ledger.answer({**CALL, "attempt": 2})

    assert (first["answer"], first["applied"]) == (1, True)
    assert (again["answer"], again["applied"]) == (1, False)
    assert [line["applied"] for line in book(tmp_path / "book")] == [True, False]


async def test_a_key_that_is_not_honoured_has_an_effect_each_time(ledger: Ledger, tmp_path: Path) -> None:
    for attempt in (1, 2):
        await ledger.answer({**CALL, "attempt": attempt, "honours": False})

    assert [line["applied"] for line in book(tmp_path / "book")] == [True, True]


async def test_what_a_person_has_given_up_does_not_happen_any_more(ledger: Ledger) -> None:
    assert not (await ledger.answer({"op": "void", "key": "k", "attempt": 1}))["applied"]

    assert (await ledger.answer(CALL))["refused"]
    assert (await ledger.answer({**CALL, "attempt": 2}))["applied"]
    assert (await ledger.answer({"op": "void", "key": "k", "attempt": 2}))["applied"]


async def test_a_service_that_hangs_does_its_work_when_it_is_back(ledger: Ledger) -> None:
    await ledger.answer({"op": "outage", "how": "hang"})
    call = asyncio.create_task(ledger.answer(CALL))
    await asyncio.sleep(0)
    assert not call.done()

    await ledger.answer({"op": "outage", "how": ""})

    assert (await call)["applied"]
