"""The word that was probably meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nearest import MOST_HINTS, Hints, nearest

KNOWN = ("job_search", "job_submit", "cv_tailor", "calendar_create", "grocery_plan", "ID")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("job_serch", "job_search"),
        ("jobsearch", "job_search"),
        ("CV_Tailor", "cv_tailor"),
        ("id", "ID"),
        ("calender_create", "calendar_create"),
        ("rocket", None),
        ("", None),
        (3, None),
        (None, None),
        ("x" * 1_000_000, None),
    ],
)
def test_the_nearest_word_is_named_if_one_is_near(word: object, near: str | None) -> None:
    assert nearest(word, KNOWN) == near


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=20))
def test_what_is_named_is_always_known(word: str, known: list[str]) -> None:
    assert nearest(word, known) in {None, *known}


def test_only_the_first_words_of_an_input_are_looked_up() -> None:
    hints = Hints()

    said = [hints.near("job_serch", KNOWN) for _ in range(MOST_HINTS + 5)]

    assert said == ["; the nearest is 'job_search'"] * MOST_HINTS + [""] * 5
