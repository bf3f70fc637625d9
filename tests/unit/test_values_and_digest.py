from __future__ import annotations

import doctest
import hashlib
import importlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from engine import values
from engine.digest import args_digest, canonical
from engine.values import MAX_DEPTH, MAX_INTEGER, UnfitValue, check_json, fault_of

text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
)


def nested(levels: int) -> Any:
    value: Any = "core"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        ("a\x00b", (), "NUL"),
        ({"a": ["x", "\ud800"]}, ("a", 1), "surrogate"),
        ({"a": {"k\x00": 1}}, ("a",), "NUL"),
        ({"é\udfff": 1}, (), "surrogate"),
        ([float("nan")], (0,), "finite"),
        ({"x": float("-inf")}, ("x",), "finite"),
        ({"n": 2**53}, ("n",), "2^53"),
        ({"n": -(2**53)}, ("n",), "2^53"),
        ({1: "a"}, (), "not text"),
        ({"s": {1, 2}}, ("s",), "set"),
        ((1, 2), (), "tuple"),
        (b"bytes", (), "bytes"),
        (nested(MAX_DEPTH + 1), (0,) * MAX_DEPTH, "100 levels"),
        (nested(100_000), (0,) * MAX_DEPTH, "100 levels"),
    ],
)
def test_what_json_can_not_keep_is_a_fault_at_its_path(value, path, says):
    fault = fault_of(value)

    assert fault is not None
    assert fault.path == path
    assert says in fault.message


def test_the_largest_integer_and_the_deepest_list_still_fit():
    assert fault_of([MAX_INTEGER, -MAX_INTEGER, True, 0.1, "é😀", None]) is None
    assert fault_of(nested(MAX_DEPTH)) is None


def test_a_circular_value_is_a_fault_and_not_a_hang():
    circular: list[Any] = []
    circular += [circular, circular]

    assert fault_of(circular) is not None


def test_shared_structure_that_would_grow_without_bound_is_a_fault():
    value: Any = ["x"] * 10
    for _ in range(20):
        value = [value] * 10

    assert fault_of(value) is not None


@given(json_values)
def test_every_json_value_fits_and_is_encoded_as_itself(value):
    assert fault_of(value) is None
    assert json.loads(check_json(value, max_bytes=10**6, what="it")) == value


@given(
    st.recursive(
        scalars | st.text(max_size=3) | st.floats() | st.integers() | st.binary(max_size=2),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
        ),
    )
)
def test_the_fast_check_and_the_one_that_names_the_place_agree(value):
    assert values._is_fit(value) == (values._find_fault(value) is None)


def test_a_value_that_is_too_large_is_refused_with_its_size():
    assert check_json("é" * 10, max_bytes=22, what="the result") == '"éééééééééé"'.encode()
    with pytest.raises(UnfitValue, match="the result take 22 bytes as JSON, more than the 21 allowed"):
        check_json("é" * 10, max_bytes=21, what="the result")


@pytest.mark.parametrize(
    "module", ["engine.values", "engine.digest", "engine.tools.builtin.words", "engine.tools.builtin.quantities"]
)
def test_the_examples_in_the_documentation_hold(module):
    result = doctest.testmod(importlib.import_module(module))

    assert result.attempted
    assert not result.failed


# The two examples of RFC 8785, sections 3.2.2 and 3.2.3.
RFC_VALUES = r"""{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"""
RFC_VALUES_CANONICAL = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
)
RFC_KEYS = (
    r'{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",'
    r'"\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}'
)
RFC_KEYS_ORDER = [
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
]


def test_the_examples_of_rfc_8785_come_out_as_printed_there():
    assert canonical(json.loads(RFC_VALUES)).decode() == RFC_VALUES_CANONICAL
    assert list(json.loads(canonical(json.loads(RFC_KEYS))).values()) == RFC_KEYS_ORDER


@pytest.mark.parametrize(
    ("number", "written"),
    [(1.0, "1"), (-0.0, "0"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (5e-324, "5e-324"), (0.1, "0.1")],
)
def test_numbers_are_written_as_ecmascript_does(number, written):
    assert canonical([number]).decode() == f"[{written}]"


@given(json_values)
def test_the_fast_path_writes_what_the_reference_library_writes(value):
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(text, json_values, max_size=5))
def test_the_order_of_keys_and_a_trip_through_json_change_no_digest(args):
    again = json.loads(json.dumps(dict(reversed(args.items()))))

    assert args_digest("send", again) == args_digest("send", args)


def test_the_digest_is_the_sha256_that_anybody_can_compute():
    expected = hashlib.sha256(b'{"args":{"n":1,"to":"Ann"},"tool":"send"}').hexdigest()

    assert args_digest("send", {"to": "Ann", "n": 1}) == expected
    assert args_digest("send2", {"to": "Ann", "n": 1}) != expected
    assert args_digest("send", {"to": "Ann", "n": 2}) != expected
