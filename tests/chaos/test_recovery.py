"""How long things took to go on, read from a history in which that is known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.history import History
from tests.chaos.recovery import markdown, recoveries, together
from tests.chaos.story import BEGIN, RUN, at, sound


def struck(kind: str, began: float, ended: float, *affected: Any) -> History:
    history = sound()
    history["followers"] = []
    history["faults"] = [
        {"kind": kind, "began": BEGIN + began, "ended": BEGIN + ended, "affected": [list(each) for each in affected]}
    ]
    return history


def seconds(history: History) -> list[float]:
    (row,) = recoveries(history).values()
    return row["seconds"]


def test_what_a_victim_ran_counts_until_it_moves() -> None:
    history = struck("kill worker", 7.5, 7.6, (RUN, 2, 1, BEGIN + 7.5))

    assert seconds(history) == [1.5]


def test_what_was_ready_counts_until_it_runs() -> None:
    assert seconds(struck("cut links", 5.9, 6.1)) == [1.0]


def test_while_nothing_can_go_on_it_counts_from_the_end() -> None:
    history = struck("postgres fast restart", 5.9, 6.8)

    assert seconds(history) == [pytest.approx(0.2)]


def test_what_nobody_heard_of_counts_until_it_is_heard() -> None:
    history = struck("no notifications", 8.5, 9.5)
    line = {"seq": 1, "type": "", "content": "", "cursor": "", "connection": 1}
    history["followers"] = [
        {
            "run": "",
            "received": [
                {**line, "createdAt": at(8.0), "at": BEGIN + 8.1},
                {**line, "createdAt": at(9.0), "at": BEGIN + 9.4},
                # Told again over another connection: nobody waited for it.
                {**line, "createdAt": at(9.1), "at": BEGIN + 12, "connection": 2},
            ],
        }
    ]

    assert seconds(history) == [pytest.approx(0.4)]


def test_a_fault_that_held_up_nothing_is_not_measured() -> None:
    assert seconds(struck("cut links", 20, 21)) == []


def test_trials_are_put_together_into_one_table() -> None:
    one: dict[str, dict[str, Any]] = {"kill worker": {"faults": 2, "seconds": [1.0, 2.0]}}
    other: dict[str, dict[str, Any]] = {
        "kill worker": {"faults": 1, "seconds": [4.0]},
        "poison": {"faults": 1, "seconds": []},
    }

    assert markdown(together([one, other])).splitlines()[2:] == [
        "| kill worker | 3 | 3 | 2.00 | 4.00 |",
        "| poison | 1 | 0 | – | – |",
    ]
