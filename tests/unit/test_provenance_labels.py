"""What others decide of a value, by the expression that gives it: known before anything is read."""

from __future__ import annotations

import time
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from engine.expressions import compiled
from engine.provenance.labels import PLAN, Label, join
from engine.provenance.reading import read
from engine.provenance.roots import Root, joined
from engine.provenance.values import result_of
from engine.tools import Own, Tool, tool
from engine.tools.declaration import declared_tool
from persistence.states import Trust

OURS, CHOSEN, OUTSIDE = Trust


class Size(BaseModel):
    bytes: Annotated[int, Own]
    note: str = ""


class File(BaseModel):
    id: Annotated[str, Own]
    name: str
    owner: Annotated[str, Own] | None = None
    size: Size | None = None
    tags: list[Annotated[str, Own]] = []
    lines: list[str] = []
    totals: Annotated[dict[str, float], Own] = {}
    by_day: dict[str, Annotated[float, Own]] = {}
    parent: File | None = None


@tool("L0", reads_outside=True)
def folder() -> list[File]:
    """Reads files that others write."""
    raise NotImplementedError


@tool("L0", reads_outside=True)
def mail() -> dict[str, Any]:
    """Reads a mail."""
    raise NotImplementedError


@tool("L0")
def ours() -> list[File]:
    """Reads what nobody else writes."""
    raise NotImplementedError


def tool_of(function: object) -> Tool:
    found = declared_tool(function)
    assert found is not None
    return found


def label(expression: str, literals: Label = PLAN) -> Label:
    read_by = [folder, mail, ours]
    results = [
        result_of(each.own, PLAN, Label(OUTSIDE, (place,)) if each.reads_outside else PLAN)
        for place, each in enumerate(map(tool_of, read_by))
    ]
    place = {"folder": 0, "mail": 1, "ours": 2}
    root = Root(place, results, lambda: joined(range(3), results))
    return read(compiled(expression).parsed, root, literals).label


TRUST = {
    # Parts: an own field is ours, and what is below one; all else is what its reader says
    "mail": OUTSIDE,
    "mail.subject": OUTSIDE,
    "ours": OURS,
    "ours[0].name": OURS,
    "folder": OUTSIDE,
    "folder[0]": OUTSIDE,
    "folder[0].name": OUTSIDE,
    "folder[0].id": OURS,
    "folder[-1].owner": OURS,
    "folder[*].id": OURS,
    "folder[].id": OURS,
    "folder[1:].id": OURS,
    "folder[*].name": OUTSIDE,
    "folder[0].size": OUTSIDE,
    "folder[0].size.bytes": OURS,
    "folder[0].size.note": OUTSIDE,
    "folder[0].tags": OURS,
    "folder[0].tags[0]": OURS,
    "folder[*].tags[]": OURS,
    "folder[0].lines[0]": OUTSIDE,
    "folder[0].totals": OURS,
    "folder[0].totals.may": OURS,
    "folder[0].by_day": OUTSIDE,
    "folder[0].by_day.may": OURS,
    "folder[0].by_day.*": OURS,
    "folder[0].parent.parent.id": OURS,
    "folder[0].parent.parent.name": OUTSIDE,
    "folder[0].nothing_of_the_kind": OUTSIDE,
    "folder[0] | id": OURS,
    "folder[0].[id, size.bytes]": OURS,
    "folder[0].{a: id, b: name}": OUTSIDE,
    "folder[0].{a: id, b: name}.a": OURS,
    "folder[*].{a: id, b: name}[0].a": OURS,
    "folder[0].[id, name][0]": OURS,
    "folder[0].[id, name][1]": OUTSIDE,
    "{us: ours, them: mail}.us": OURS,
    "{us: ours, them: mail}.*": OUTSIDE,
    "@": OUTSIDE,
    "@.ours": OURS,
    # What selects
    "folder[?size.bytes > `10`].id": CHOSEN,
    "folder[?name == 'a'].id": CHOSEN,
    "folder[?name == 'a'].name": OUTSIDE,
    "folder[?name == 'a'] | [0].id": CHOSEN,
    "ours[?name == 'a'].name": OURS,
    "sort_by(folder, &id)[0].id": CHOSEN,
    "sort_by(folder, &name)[0].name": OUTSIDE,
    "sort_by(ours, &name)[0].name": OURS,
    "max_by(folder, &size.bytes).id": CHOSEN,
    "min_by(folder, &size.bytes).name": OUTSIDE,
    "unique_by(folder, &name)[*].id": CHOSEN,
    "group_by(folder, &name).a[0].id": CHOSEN,
    "group_by(folder, &name).a[0].name": OUTSIDE,
    "keys(group_by(folder, &id))": OUTSIDE,
    "keys(group_by(folder, &name))": OUTSIDE,
    "values(group_by(folder, &id))[0][0].id": CHOSEN,
    "let $w = mail.text in ours[?name == $w].id": CHOSEN,
    "let $w = mail.text in ours[?name == $w] | [0].name": CHOSEN,
    "let $w = ours[0].id in folder[?id == $w].id": CHOSEN,
    "let $w = mail.text in ours[0].id": OURS,
    "let $f = folder[0] in $f.id": OURS,
    "let $f = folder[0] in $f.name": OUTSIDE,
    "map(&id, folder)": OURS,
    "map(&name, folder)[0]": OUTSIDE,
    "reverse(folder)[0].id": OURS,
    "reverse(folder)[0].name": OUTSIDE,
    "reverse([ours[0].name, mail.subject])[0]": OUTSIDE,
    "reverse([ours[0].name, mail.subject])[1]": OURS,
    "values(folder[0].by_day)": OURS,
    # What is worked out
    "length(folder)": OUTSIDE,
    "length(ours)": OURS,
    "mail.total == `1`": OUTSIDE,
    "folder[0].size.bytes > `1`": OURS,
    "!mail": OUTSIDE,
    "join(', ', folder[*].id)": OURS,
    "join(', ', folder[*].name)": OUTSIDE,
    "join(mail.glue, folder[*].id)": OUTSIDE,
    "sum(folder[*].size.bytes)": OURS,
    "folder[0].size.bytes + `1`": OURS,
    "folder[0].size.bytes + mail.more": OUTSIDE,
    "-mail.more": OUTSIDE,
    "sort(folder[*].id)": OURS,
    "unique(folder[*].name)": OUTSIDE,
    "split(mail.text, ',')[0]": OUTSIDE,
    "keys(folder[0])": OUTSIDE,
    "merge(folder[0], ours[0]).id": OUTSIDE,
    # The highest of theirs
    "ours[0].name || mail.subject": OUTSIDE,
    "mail.subject || ours[0].name": OUTSIDE,
    "folder[0].id || 'none'": OURS,
    "mail.paid && 'yes'": OUTSIDE,
    "folder[0].id && 'yes'": OURS,
    "(folder[0] || ours[0]).id": CHOSEN,
    "(folder[0] || ours[0]).name": OUTSIDE,
    "default(folder[0].id, 'none')": OURS,
    "default(mail.subject, 'none')": OUTSIDE,
    "default(folder[0].id, mail.subject)": OUTSIDE,
    "not_null(folder[0].id, mail.subject)": OUTSIDE,
    # What looks at nothing
    "'text'": OURS,
    "`[1, 2]`": OURS,
}


@pytest.mark.parametrize(("expression", "trust"), TRUST.items(), ids=list(TRUST))
def test_a_value_has_the_trust_of_what_it_is_and_of_what_selects_it(expression: str, trust: Trust) -> None:
    assert label(expression).trust is trust


@pytest.mark.parametrize(
    ("expression", "readers"),
    [
        ("folder[0].name", (0,)),
        ("[mail.subject, folder[0].name]", (0, 1)),
        ("folder[?name == 'a'].id", (0,)),
        ("let $w = mail.text in ours[?name == $w].id", (1,)),
        ("folder[0].id", ()),
        ("mail.text && ours[0].id", (1,)),
    ],
)
def test_a_label_names_the_readers_also_where_they_only_select(expression: str, readers: tuple[int, ...]) -> None:
    assert label(expression).readers == readers


@pytest.mark.parametrize(
    ("expression", "trust"),
    [
        ("'DE02'", OUTSIDE),
        ("ours[0].name", OURS),
        ("ours[?name == 'a'].id", CHOSEN),
        ("ours[?name == id].id", OURS),
        ("default(ours[0].name, 'x')", OUTSIDE),
    ],
)
def test_what_an_agent_writes_into_an_expression_is_outside(expression: str, trust: Trust) -> None:
    assert label(expression, Label(OUTSIDE)).trust is trust


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["folder", *["[@, @]"] * 90]),
        "|".join(["folder", *["[@, [0]]"] * 80, "[]" * 40]),
        "|".join(["folder", *["{a: @, b: @}"] * 45, *["*"] * 45]),
        "folder" + "[]" * 45,
        "|".join(["folder", *["[@ || @, @][]"] * 60]),
        "|".join(["folder", *["[?a]"] * 45, *["[@, @][?b]"] * 40]),
    ],
)
def test_no_expression_takes_long_to_look_through(expression: str) -> None:
    begun = time.process_time()

    assert label(expression).trust is OUTSIDE

    assert time.process_time() - begun < 1


def test_labels_join_to_the_higher_trust_and_all_readers() -> None:
    assert join(Label(CHOSEN, (1, 5)), Label(OUTSIDE, (0, 5))) == Label(OUTSIDE, (0, 1, 5))
    assert join(PLAN, Label(CHOSEN, (1,))) == Label(CHOSEN, (1,))
    assert join(Label(CHOSEN, (1,)), Label(OUTSIDE, ())) == Label(OUTSIDE, (1,))
