"""What an edit cleans: exactly the paths whose value it changed, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from engine.provenance import Origin, edited_origins
from engine.provenance.destinations import Destinations
from persistence.states import OriginKind, Trust

OUTSIDE, PLAN = Trust.OUTSIDE, Trust.PLAN
MAIL = Origin(("mail",), OriginKind.RESULT, OUTSIDE, "bill", (0,), (0,), destination=True)
TEXT = Origin(("text",), OriginKind.PLAN, PLAN)
NAMES = ("mail.to", "mail.cc")
BEFORE: dict[str, Any] = {"to": "x", "cc": ["y", "z"], "body": "b"}
PROPOSED: dict[str, Any] = {"mail": BEFORE, "text": "t"}


def edited(**mail: Any) -> dict[str, tuple[OriginKind, Trust, bool]]:
    after = {**PROPOSED, "mail": {**BEFORE, **mail}}
    found = edited_origins([MAIL, TEXT], PROPOSED, after, NAMES)
    return {each.name: (each.kind, each.trust, each.destination) for each in found}


UNTOUCHED = {"mail": (OriginKind.RESULT, OUTSIDE, True), "text": (OriginKind.PLAN, PLAN, False)}
EDIT = OriginKind.EDIT, PLAN


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, UNTOUCHED),
        ({"to": "x"}, UNTOUCHED),
        # The other destination is still theirs
        ({"to": "Ann"}, {**UNTOUCHED, "mail.to": (*EDIT, True)}),
        ({"body": "mine"}, {**UNTOUCHED, "mail.body": (*EDIT, False)}),
        ({"cc": ["y", "Ann"]}, {**UNTOUCHED, "mail.cc.1": (*EDIT, True)}),
        ({"cc": ["Ann"]}, {**UNTOUCHED, "mail.cc": (*EDIT, True)}),
        # Both are the person's: what is left of the mail is no destination
        (
            {"to": "Ann", "cc": ["Ann", "Bob"]},
            {
                "mail": (OriginKind.RESULT, OUTSIDE, False),
                "text": UNTOUCHED["text"],
                "mail.to": (*EDIT, True),
                "mail.cc": (*EDIT, True),
            },
        ),
        ({"to": "Ann", "cc": [], "body": ""}, {"text": UNTOUCHED["text"], "mail": (*EDIT, True)}),
        ({"bcc": "Ann"}, {**UNTOUCHED, "mail.bcc": (*EDIT, False)}),
    ],
)
def test_an_edit_cleans_the_paths_whose_value_it_changed(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert edited(**changes) == expected


@pytest.mark.parametrize(
    ("before", "after", "is_new"), [(1, 1.0, False), (1, True, True), (0, None, True), ("1", 1, True), ([], {}, True)]
)
def test_values_are_the_same_when_their_json_is(before: Any, after: Any, *, is_new: bool) -> None:
    one = Origin(("value",), OriginKind.RESULT, OUTSIDE, "x", (0,), (0,))

    [found] = edited_origins([one], {"value": before}, {"value": after}, ())

    assert (found.kind is OriginKind.EDIT) is is_new


def test_without_its_tool_an_outside_destination_stays_one() -> None:
    after = {**PROPOSED, "text": "mine"}

    found = edited_origins([MAIL, TEXT], PROPOSED, after, ())

    assert [each.name for each in found if each.is_outside_destination] == ["mail"]


@pytest.mark.parametrize(
    ("path", "others", "holds"),
    [
        (("to",), (), True),
        (("to", 0), (), True),
        (("to", "name"), (), True),
        (("text",), (), False),
        (("guests",), (), True),
        (("guests", 3), (), True),
        (("guests", "3", "address"), (), True),
        (("guests", 3, "name"), (), False),
        (("mail",), (("mail", "to"),), False),
        (("mail",), (("mail", "body"),), True),
        (("mail", "to", "host"), (), True),
        (("guests",), (("guests", "0", "address"),), True),
        ((), (), True),
    ],
)
def test_everything_below_a_destination_is_one_and_what_has_one_inside(path: Any, others: Any, *, holds: bool) -> None:
    assert Destinations(["to", "guests.address", "mail.to"]).hold(path, [path, *others]) is holds
