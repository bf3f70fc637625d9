"""What expressions mean: the language's additions, each function by examples, and what hostile ones cost."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions import Evaluation, ExpressionFault, compiled, look, roots

JOBS = [
    {"title": "Backend", "city": "Berlin", "pay": 60, "tags": ["py", "sql"]},
    {"title": "Frontend", "city": None, "pay": 50.5, "tags": []},
    {"title": "Data", "city": "Berlin", "pay": 70, "tags": ["py"]},
]
DATA = {
    "jobs": JOBS,
    "a": 7,
    "b": 2,
    "text": " Ada Lovelace ",
    "none": None,
    "let": {"in": 1},
    "in": [1, 2],
    "o": {"x": 1, "y": 2},
}


def value(expression: str, data: Any = DATA) -> Any:
    return Evaluation(data).value_of(expression)


EXAMPLES: list[tuple[str, Any]] = [
    # let, variables, and names that stay names
    ("let $c = a in jobs[?pay > $c].title", ["Backend", "Frontend", "Data"]),
    ("let $x = a, $y = b in $x - $y", 5),
    ("let $x = `1` in let $x = `2`, $y = $x in [$x, $y]", [2, 1]),
    ("let $best = max_by(jobs, &pay) in jobs[?pay < $best.pay].title", ["Backend", "Frontend"]),
    ("let.in", 1),
    ("let $in = in in $in[0]", 1),
    ("let $x = in in *.x | [0]", 1),
    ("o.let", None),
    # arithmetic
    ("a + b", 9),
    ("a - b", 5),
    ("a-b", 5),
    ("a * b", 14),
    ("a / b", 3.5),
    ("`6` / `3`", 2),
    ("a % b", 1),
    ("`-7` % `3`", 2),
    ("`7` % `-3`", -2),
    ("-a + b", -5),
    ("a - b - `1`", 4),
    ("a + b * `2`", 11),
    ("(a + b) * `2`", 18),
    ("sum(jobs[*].pay) / length(jobs)", 60.166666666666664),
    ("a + b > `8` && a - b == `5`", True),
    ("jobs[?pay * `2` >= `120`].title", ["Backend", "Data"]),
    ("o.* | [0] + [1]", 3),
    ("in[-1]", 2),
    ("a >= b", True),
    # objects and lists
    ("items(o)", [["x", 1], ["y", 2]]),
    ("from_items(items(o))", {"x": 1, "y": 2}),
    ("from_items(`[]`)", {}),
    ("zip(in, jobs[*].title)", [[1, "Backend"], [2, "Frontend"]]),
    ("group_by(jobs, &city).Berlin[].title", ["Backend", "Data"]),
    ("keys(group_by(jobs, &city))", ["Berlin"]),
    ("group_by(`[]`, &city)", {}),
    ('unique(`[1, 1.0, true, "1", null, {"a": [1]}, {"a": [1.0]}]`)', [1, True, "1", None, {"a": [1]}]),
    ("unique_by(jobs, &city)[].title", ["Backend", "Frontend"]),
    ("default(none, a)", 7),
    ("default(`false`, a)", False),
    ("default('', 'x')", ""),
    # texts
    ("split('a, b, c', ', ')", ["a", "b", "c"]),
    ("split('a, b, c', ', ', `1`)", ["a", "b, c"]),
    ("split('abc', '')", ["a", "b", "c"]),
    ("split('abc', '', `1`)", ["a", "bc"]),
    ("split('', ',')", [""]),
    ("lower('ÄB')", "äb"),
    ("upper('äb')", "ÄB"),
    ("trim(text)", "Ada Lovelace"),
    ("trim('--x-', '-')", "x"),
    ("replace('a-b-c', '-', '+')", "a+b+c"),
    ("replace('a-b-c', '-', '', `1`)", "ab-c"),
    ("pad_left('7', `3`, '0')", "007"),
    ("pad_left('long', `2`)", "long"),
    ("pad_right('7', `3`)", "7  "),
    ("find_first('subject string', 'string')", 8),
    ("find_first('subject string', 'string', `9`)", None),
    ("find_first('subject string', 'string', `0`, `13`)", None),
    ("find_first('subject string', 'string', `-6`)", 8),
    ("find_first('x', '')", None),
    ("regex_first('Order 12-34', '([0-9]+)-[0-9]+')", "12"),
    ("regex_first('Order 12', '[0-9]+')", "12"),
    ("regex_first('none', '[0-9]+')", None),
    ("regex_all('a1b22', '[0-9]+')", ["1", "22"]),
    ("regex_all('none', '[0-9]+')", []),
    ("regex_all('ÄÖ', '.')", ["Ä", "Ö"]),
    # numbers
    ("round(`2.5`)", 3),
    ("round(`-2.5`)", -3),
    ("round(`2.345`, `2`)", 2.35),
    ("round(`1250`, `-2`)", 1300),
    # dates
    ("date_add('2026-01-31', `1`, 'month')", "2026-02-28"),
    ("date_add('2024-02-29', `1`, 'year')", "2025-02-28"),
    ("date_add('2026-03-01', `-1`, 'weeks')", "2026-02-22"),
    ("date_add('2026-01-31T10:00:00Z', `36`, 'hours')", "2026-02-01T22:00:00Z"),
    ("date_add('2026-01-31T10:00:00+02:00', `90`, 'minutes')", "2026-01-31T11:30:00+02:00"),
    ("date_add('2026-01-31T10:00', `1`, 'day')", "2026-02-01T10:00:00"),
    ("date_diff('2026-01-31', '2026-03-30', 'months')", 1),
    ("date_diff('2026-03-31', '2026-01-31', 'months')", -2),
    ("date_diff('2026-01-01', '2025-12-30', 'days')", -2),
    ("date_diff('2026-01-01T12:00:00Z', '2026-01-01T14:00:00+02:00', 'seconds')", 0),
    ("date_diff('2026-01-01T00:00:01', '2026-01-02', 'days')", 0),
    ("date_diff('2024-02-29', '2026-02-28', 'years')", 2),
    ("date_format('2026-03-01', '%d.%m.%Y')", "01.03.2026"),
    ("date_format('2026-03-01T18:05:00Z', '%A, %-d %B %Y at %H:%M%%')", "Sunday, 1 March 2026 at 18:05%"),
    ("date_parse('01.03.2026', '%d.%m.%Y')", "2026-03-01"),
    ("date_parse('1 Mar 2026 6:05 PM', '%d %b %Y %I:%M %p')", "2026-03-01T18:05:00"),
    ("date_parse('31.02.2026', '%d.%m.%Y')", None),
    ("date_parse('soon', '%d.%m.%Y')", None),
]


@pytest.mark.parametrize(("expression", "wanted"), EXAMPLES)
def test_an_expression_has_the_value_that_its_words_say(expression: str, wanted: Any) -> None:
    got = value(expression)

    assert json.dumps(got) == json.dumps(wanted)


WITHOUT_VALUE: list[tuple[str, str]] = [
    ("jobs[*].pay - `1`", "a list"),
    ("none + `1`", "null"),
    ("`true` + `1`", "true or false"),
    ("'1' + `1`", "a text"),
    ("a / `0`", "by zero"),
    ("a % `0`", "by zero"),
    ("`9007199254740991` + `1`", "2^53"),
    ("`1e308` * `10`", "too large"),
    ("from_items(`[[1, 2]]`)", "pairs"),
    ('from_items(`[["$secret", "X"]]`)', "$secret"),
    ('group_by(`[{"k": "$secret"}]`, &k)', "$secret"),
    ("group_by(jobs, &pay)", "a number"),
    ("split('a', ',', `-1`)", "0 or more"),
    ("split('a', ',', `1.5`)", "whole"),
    ("pad_left('a', `3`, 'xy')", "one character"),
    ("date_add('tomorrow', `1`, 'day')", "2026-03-31"),
    ("date_add('2026-01-31', `1`, 'fortnight')", "weeks"),
    ("date_add('2026-01-31', `1`, 'hour')", "without a time"),
    ("date_add('9999-12-31', `1`, 'day')", "9999"),
    ("date_diff('2026-01-01T00:00:00', '2026-01-01T00:00:00Z', 'days')", "offset"),
    ("date_format('2026-03-01', '%Q')", "%Q"),
    ("date_format('2026-03-01', 'x%')", "%%"),
    ("date_parse('1', '%d')", "a year"),
    ("date_parse('1', '%c')", "%c"),
    ("regex_first('a', none)", "string"),
]


@pytest.mark.parametrize(("expression", "said"), WITHOUT_VALUE)
def test_what_has_no_value_says_why(expression: str, said: str) -> None:
    with pytest.raises(ExpressionFault, match=None) as caught:
        value(expression)

    assert said in str(caught.value)


NONE_AT_ALL: list[tuple[str, str]] = [
    ("a b", "not expected here, at character 3: “b”"),
    ("1", "not expected here, at character 1: “1”"),
    ("a -1", "not expected here, at character 3: “-1”"),
    ("a = b", "not expected here, at character 3: “= b”"),
    ("a +\n\nb c", "at character 8: “c”"),
    ("'abc", "unclosed"),
    ("a ^ b", "at character 3: “^ b”"),
    ("", "it is empty"),
    ("$", "like $total"),
    ("$x", "$x"),
    ("let $x = a in $y", "$y"),
    ("[let $x = a in $x, $x]", "$x"),
    ("let $x = $x in $x", "$x"),
    ("let $x a in $x", "not expected here, at character 8: “a in $x”"),
    ("let $x = a", "ends too early"),
    ("a +", "ends too early"),
    ("[" * 1500, "nested too deep"),
    ("a + b ^ c", "at character 7: “^ c”"),
    ("zip()", "zip()"),
    ("trim()", "trim()"),
    ("trim('a', 'b', 'c')", "trim()"),
    ("tirm('a')", "trim"),
    ("regex_first(text, '(?=x)')", "RE2"),
    ("regex_all(text, '(')", "RE2"),
]


@pytest.mark.parametrize(("expression", "said"), NONE_AT_ALL)
def test_what_is_no_expression_is_refused_before_anything_runs(expression: str, said: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        compiled(expression)

    assert said in str(caught.value)


def test_the_keys_that_an_expression_looks_at_are_those_outside_of_its_variables() -> None:
    assert roots(compiled("let $x = a.b in jobs[?c > $x].d + e")) == {"a", "jobs", "e"}
    assert roots(compiled("let $x = a in $x.b")) == {"a"}
    assert roots(compiled("let $x = @ in $x.b")) is None


HOSTILE = [
    "pad_left('', `100000000000`)",
    "pad_right('x', `2000000`)",
    "replace(pad_left('', `100000`, 'a'), 'a', pad_left('', `1000`))",
    "replace(pad_left('', `1000`, 'a'), '', pad_left('', `2000`))",
    "split(pad_left('', `900000`), '')",
    "regex_all(pad_left('', `900000`, 'a'), 'a')",
    "join(pad_left('', `100000`), split(pad_left('', `1000`, ','), ','))",
    "let $a = pad_left('', `600000`) in [$a, $a]",
    "date_format('2026-03-01', pad_left('', `200000`, '%'))",
    "let $a = split(pad_left('', `4000`, ','), ',') in map(&zip($a, $a), $a)",
    "let $a = split(pad_left('', `4000`, ','), ',') in map(&unique($a), $a)",
]


@pytest.mark.parametrize("expression", HOSTILE)
def test_a_hostile_expression_is_ended_by_its_bounds(expression: str) -> None:
    with pytest.raises(ExpressionFault):
        value(expression)


def test_a_pattern_takes_time_in_proportion_to_the_text() -> None:
    assert value("regex_first(pad_left('!', `200000`, 'a'), '(a+)+$')") is None


@given(st.text(max_size=40), st.text(min_size=1, max_size=3))
def test_what_was_split_joins_to_the_same_text(text: str, separator: str) -> None:
    assert value("join(s, split(t, s))", {"t": text, "s": separator}) == text


@given(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000).filter(bool))
def test_division_and_remainder_belong_together(a: int, b: int) -> None:
    quotient, rest = value("[(a - a % b) / b, a % b]", {"a": a, "b": b})

    assert quotient * b + rest == a
    assert rest == 0 or math.copysign(1, rest) == math.copysign(1, b)


@given(st.dates(), st.integers(-2000, 2000), st.sampled_from(["days", "weeks"]))
def test_what_was_added_to_a_date_lies_between(day: Any, amount: int, unit: str) -> None:
    try:
        later = value("date_add(at, n, unit)", {"at": day.isoformat(), "n": amount, "unit": unit})
    except ExpressionFault:
        return  # outside of the calendar

    assert value("date_diff(a, b, unit)", {"a": day.isoformat(), "b": later, "unit": unit}) == amount


@pytest.mark.filterwarnings("ignore:deprecated string literal syntax")  # the library's, of a text like ``
@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_a_fault(text: str) -> None:
    with contextlib.suppress(ExpressionFault):
        value(text)


def test_a_message_about_an_expression_begins_with_words_of_ours() -> None:
    with pytest.raises(ExpressionFault) as caught:
        value("sum(text)")

    assert str(caught.value).startswith("the expression sum(text) has no value: ")


def test_now_is_the_moment_that_the_evaluation_is_given() -> None:
    evaluation = Evaluation({}, now="2026-11-29T09:00:00.000Z")

    assert evaluation.value_of("date_add(now(), `1`, 'hour')") == "2026-11-29T10:00:00Z"
    assert evaluation.value_of("now() == now()") is True


def test_now_has_no_value_outside_of_a_run() -> None:
    with pytest.raises(ExpressionFault) as caught:
        value("now()")

    assert "known in runs only" in str(caught.value)


def test_it_is_known_beforehand_whether_an_expression_calls_now() -> None:
    assert look("a[?at < now()].b").calls_now
    assert not any(look(expression).calls_now for expression in ("now", "a.now", "'now()'", "length(now)"))
