"""What people are shown is all there is, and nothing in it hides."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.plain import one_line, readable, visible

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve 日本 👩‍💻", "naïve 日本 👩‍💻"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31mred", "\\x9b31mred"),
        ("back\rover", "back\\x0dover"),
        ("bell\x07", "bell\\x07"),
        ("pay \u202e001\u202c euro", "pay \\u202e001\\u202c euro"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2066isolated\u2069", "\\u2066isolated\\u2069"),
        ("line\u2028separator", "line\\u2028separator"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("\udc80", "\\udc80"),
        ("blank\u3164", "blank\\u3164"),
    ],
)
def test_what_hides_or_reorders_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_is_shown_speaks_to_the_terminal(text: str) -> None:
    shown = visible(text)

    assert all(
        character.isprintable() or character in "\n\t\u200c\u200d "
        for character in shown
        if character > "~" and unicodedata.category(character) != "Zs"
    )
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_a_value_is_shown_whole_and_indented() -> None:
    value = {
        "to": "ada@example.org",
        "count": 2,
        "ratio": 1.5,
        "remote": True,
        "salary": None,
        "tags": ["a", "b"],
        "none": [],
        "nothing": {},
        "job": {"title": "Engineer", "days": [{"day": 1}, {"day": 2, "at": "noon"}]},
        "an odd: key": "x",
        "cv": "# Ada\n\n  Engineer\n",
    }

    assert readable(value) == [
        'to: "ada@example.org"',
        "count: 2",
        "ratio: 1.5",
        "remote: true",
        "salary: null",
        "tags:",
        '  - "a"',
        '  - "b"',
        "none: []",
        "nothing: {}",
        "job:",
        '  title: "Engineer"',
        "  days:",
        "    - day: 1",
        "    - day: 2",
        '      at: "noon"',
        '"an odd: key": "x"',
        "cv:",
        "  │ # Ada",
        "  │",
        "  │   Engineer",
        "  │",
    ]


@given(JSON, JSON)
def test_two_different_values_look_different(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=False) == json.dumps(other, sort_keys=False)

    assert (readable(one) == readable(other)) == same


@pytest.mark.parametrize("line", ["\x1b[2J", "\\x1b[2J", "\\\\x1b[2J"])
def test_an_escape_written_out_is_not_taken_for_one_that_was_escaped(line: str) -> None:
    others = {"\x1b[2J", "\\x1b[2J", "\\\\x1b[2J"} - {line}

    assert all(readable(f"{line}\n") != readable(f"{other}\n") for other in others)


@given(st.text(alphabet="a\n\\ │"))
@example("")
def test_every_line_of_a_text_is_shown(text: str) -> None:
    shown = readable({"text": text})

    if "\n" in text:
        lines = [line.removeprefix("  │").removeprefix(" ") for line in shown[1:]]
        assert lines == text.split("\n")
    else:
        assert shown == [f"text: {visible(json.dumps(text, ensure_ascii=False))}"]
