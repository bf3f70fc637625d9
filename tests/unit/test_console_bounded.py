"""What is long is shown in part, and says so; what is short is shown as it is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.bounded import bounded
from console.plain import readable

TEXT = "\n".join(f"line {number}" for number in range(1, 61))


def test_what_fits_is_shown_whole() -> None:
    args = {"to": "Ada", "text": "Hello\nAda", "job": {"skills": ["SQL", "Python"]}}

    assert bounded(args, 10) == (readable(args), True)


def test_short_values_come_whole_and_texts_from_their_beginning() -> None:
    args = {"text": TEXT, "to": "ada@example.org", "amount": 50_000}

    lines, is_whole = bounded(args, 10)

    assert not is_whole
    assert lines == [
        "text:",
        "  │ line 1",
        "  │ line 2",
        "  │ line 3",
        "  │ line 4",
        "  … 56 more lines",
        'to: "ada@example.org"',
        "amount: 50000",
    ]


def test_of_an_object_that_is_long_each_value_is_named_and_counted() -> None:
    job = {
        "title": "Engineer",
        "salary": {"min": 58_000, "currency": "EUR"},
        "skills": ["SQL", "Python"],
        "text": TEXT,
        "places": [{"city": "Berlin", "text": TEXT}],
        "company": {"name": "Acme", "text": TEXT},
    }

    lines, is_whole = bounded({"job": job}, 12)

    assert not is_whole
    assert lines == [
        "job:",
        '  title: "Engineer"',
        '  salary: min: 58000, currency: "EUR"',
        '  skills: "SQL", "Python"',
        "  text: … (60 lines)",
        "  places: … (1 item, 62 lines)",
        '  company: "Acme" … (62 lines)',
    ]


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        (TEXT, "… 51 more lines"),
        ({f"k{number}": number for number in range(300)}, "… 290 more"),
        ([{"n": number} for number in range(300)], "… 291 more"),
        ("x" * 1000, '"' + "x" * 399 + " … (602 more characters)"),
    ],
)
def test_what_is_left_out_is_counted(value: Any, ends: str) -> None:
    lines, is_whole = bounded(value, 10)

    assert not is_whole
    assert lines[-1] == ends
    assert len(lines) <= 11


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20) | st.just(TEXT) | st.just("y" * 5000),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=12),
    max_leaves=40,
)


@settings(max_examples=60)
@given(JSON, st.integers(5, 20))
def test_it_is_whole_or_bounded_and_says_so(value: Any, most: int) -> None:
    lines, is_whole = bounded(value, most)

    if is_whole:
        assert lines == readable(value)
        assert len(lines) <= most
    else:
        assert lines != readable(value)
        assert len(lines) <= 3 * most + 1
    assert all(len(line) <= 520 and "\n" not in line for line in lines)
