"""The schedule of faults follows from the seed alone."""

from __future__ import annotations

from collections import Counter

from tests.chaos.nemesis import FAULTS, schedule


def test_a_seed_gives_one_schedule() -> None:
    kinds = list(FAULTS)

    assert schedule(7, 300, kinds) == schedule(7, 300, kinds[::-1]) != schedule(8, 300, kinds)


def test_every_kind_strikes_before_any_strikes_again() -> None:
    strikes = schedule(7, 1800, list(FAULTS))

    assert {strike.kind for strike in strikes[: len(FAULTS)]} == set(FAULTS)
    counted = Counter(strike.kind for strike in strikes)
    assert max(counted.values()) - min(counted.values()) <= 1


def test_there_are_at_least_twelve_kinds() -> None:
    assert len(FAULTS) >= 12
