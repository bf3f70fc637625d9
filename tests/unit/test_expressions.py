"""What can be said of an expression before there is any data."""

from __future__ import annotations

import pytest

from engine.expressions import Evaluation, ExpressionFault, compiled
from schema.errors import UserError
from schema.types.enums import ErrorCode

NO = "no JMESPath expression: "
FAULTY = {
    "zip(a, b)": "there is no JMESPath function zip(); there are abs, avg, ceil, contains,",
    "lenght(a)": "there is no JMESPath function lenght(); did you mean length()?",
    "Length(a)": "there is no JMESPath function Length(); did you mean length()?",
    "a || zip()": "there is no JMESPath function zip()",
    "map(&zip(@), a)": "there is no JMESPath function zip()",
    "a[?zip(b)]": "there is no JMESPath function zip()",
    "{x: zip(b)}": "there is no JMESPath function zip()",
    "[a, b.c[].zip(@)]": "there is no JMESPath function zip()",
    "length()": "the JMESPath function length() takes 1 argument, and this gives it 0",
    "length(a, b)": "the JMESPath function length() takes 1 argument, and this gives it 2",
    "join(', ')": "the JMESPath function join() takes 2 arguments, and this gives it 1",
    "not_null()": "the JMESPath function not_null() takes 1 or more arguments, and this gives it 0",
    "sort_by(a, &length())": "the JMESPath function length() takes 1 argument, and this gives it 0",
    "a[?length(b, c) > `1`]": "the JMESPath function length() takes 1 argument, and this gives it 2",
    "sort_by(a, b)": "sort_by() takes an expression reference (&…) as argument 2",
    "map(a, &b)": "map() takes an expression reference (&…) as argument 1",
    "length(&a)": "length() takes a value, and no expression reference (&…), as argument 1",
    "not_null(a, &b)": "not_null() takes a value, and no expression reference (&…), as argument 2",
    "&a": f"{NO}&… may only stand as an argument of a function",
    "a | &b": f"{NO}&… may only stand as an argument of a function",
    "a[::0]": f"{NO}the step of a slice can't be 0",
    "a..b": f"{NO}at character 3, '.' can't stand there",
    "a\n  .. b": f"{NO}at character 6, '.' can't stand there",
    "a.\n\nb c": f"{NO}at character 7, 'c' can't stand there",
    "a[": f"{NO}it ends where more should follow",
    "a.": f"{NO}it ends where more should follow",
    "a.'b": f"{NO}at character 3: Unclosed ' delimiter",
    "": f"{NO}Invalid JMESPath expression: cannot be empty.",
}


@pytest.mark.parametrize("expression", FAULTY)
def test_what_no_data_could_mend_is_said_before_there_is_any(expression: str) -> None:
    with pytest.raises(ExpressionFault) as fault:
        compiled(expression)

    assert FAULTY[expression] in str(fault.value)
    assert "^" not in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    "expression",
    [
        "length(a)",
        "sort_by(a, &b.c)",
        "map(&length(@), a)",
        "max_by(a, &to_number(b))",
        "merge(a, b, c)",
        "not_null(a, b, c, d)",
        "a[::-1]",
        "a[0:2:1]",
        "group[?contains(names, 'x')] | [0]",
        "join(', ', a[].b)",
    ],
)
def test_what_some_data_may_fit_is_let_pass(expression: str) -> None:
    compiled(expression)


def test_what_is_said_of_an_expression_keeps_its_letters_as_they_are() -> None:
    with pytest.raises(ExpressionFault) as fault:
        Evaluation({"a": "text"}).value_of("abs(a)")

    said = UserError(ErrorCode.INVALID_PLAN, str(fault.value)).message

    assert said.startswith("The expression abs(a) has no value: In function abs()")
