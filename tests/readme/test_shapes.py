"""The rule itself: an answer that is not as shown must be seen."""

from typing import Any

import pytest

from tests.readme.shapes import fits_json, fits_text


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("run_…", "run_01a2"),
        ("a\n…\nd", "a\nb\nc\nd"),
        ("a\n…\nd", "a\nd"),
        ("…\nd", "d"),
        ("a  \nb\n\n", "a\nb"),
        ("1 … 3\n…", "1 2 3\nand\nmore"),
    ],
)
def test_a_text_as_shown_fits(shown: str, said: str) -> None:
    assert fits_text(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [("run_…", "step_01a2"), ("a\n…\nd", "a\nb\nc"), ("a", "a\nb"), ("a\nb", "a"), ("", "a"), ("a.c", "abc")],
)
def test_another_text_does_not_fit(shown: str, said: str) -> None:
    assert not fits_text(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("…", {"any": 1}),
        ({"id": "run_…", "n": 1}, {"id": "run_1", "n": 1}),
        ({"id": 1, "…": "…"}, {"id": 1, "more": 2}),
        ([1, "…", 3], [1, 2, 2, 3]),
        ([1, "…"], [1]),
        (None, None),
    ],
)
def test_a_value_as_shown_fits(shown: Any, said: Any) -> None:
    assert fits_json(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"id": 1}, {"id": 1, "more": 2}),
        ({"id": 1, "more": 2}, {"id": 1}),
        ({"id": 1, "…": "…"}, {"more": 2}),
        ([1, "…", 3], [1, 2]),
        ([1], [1, 1]),
        (1, True),
        (1, 1.0),
        ("…a", None),
        (None, "null"),
    ],
)
def test_another_value_does_not_fit(shown: Any, said: Any) -> None:
    assert not fits_json(shown, said)
