"""What can be said of an expression before there is any data."""

from __future__ import annotations

import pytest

from engine.expressions import Evaluation, ExpressionFault, compiled
from schema.api.types.enums import ErrorCode
from schema.api.types.errors import UserError

NO = "no JMESPath expression: "
FAULTY = {
    "lenght(a)": "there is no function lenght(); the nearest is length()",
    "Length(a)": "there is no function Length(); the nearest is length()",
    "xyz(a)": "there is no function xyz()",
    "a || xyz()": "there is no function xyz()",
    "map(&xyz(@), a)": "there is no function xyz()",
    "a[?xyz(b)]": "there is no function xyz()",
    "{x: xyz(b)}": "there is no function xyz()",
    "[a, b.c[].xyz(@)]": "there is no function xyz()",
    "let $x = xyz(a) in $x": "there is no function xyz()",
    "length()": "length() takes 1 argument, and has 0",
    "length(a, b)": "length() takes 1 argument, and has 2",
    "join(', ')": "join() takes 2 arguments, and has 1",
    "not_null()": "not_null() takes 1 or more arguments, and has 0",
    "sort_by(a, &length())": "length() takes 1 argument, and has 0",
    "a[?length(b, c) > `1`]": "length() takes 1 argument, and has 2",
    "sort_by(a, b)": "sort_by() takes an expression reference (&…) as argument 2",
    "map(a, &b)": "map() takes an expression reference (&…) as argument 1",
    "length(&a)": "length() takes a value, and no expression reference (&…), as argument 1",
    "not_null(a, &b)": "not_null() takes a value, and no expression reference (&…), as argument 2",
    "&a": f"{NO}&… may only stand as an argument of a function",
    "a | &b": f"{NO}&… may only stand as an argument of a function",
    "a[::0]": f"{NO}the step of a slice can't be 0",
    "a..b": f"{NO}this is not expected here, at character 3: “.b”",
    "a\n  .. b": f"{NO}this is not expected here, at character 6: “. b”",
    "a.\n\nb c": f"{NO}this is not expected here, at character 7: “c”",
    "a[": f"{NO}it ends too early",
    "a.": f"{NO}it ends too early",
    "a.'b": f"{NO}unclosed ' delimiter, at character 3: “'b”",
    "": f"{NO}it is empty",
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


@pytest.mark.parametrize("expression", ["join(a)", "sort_by(a, b)", "length(a, b)"])
def test_the_name_of_a_function_keeps_its_letters_when_a_client_reads_it(expression: str) -> None:
    with pytest.raises(ExpressionFault) as fault:
        compiled(expression)

    said = UserError(ErrorCode.INVALID_PLAN, str(fault.value)).message

    assert said.startswith(f"{expression.partition('(')[0]}() takes ")
