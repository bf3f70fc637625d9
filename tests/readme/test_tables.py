"""The pictures, tables and links of the pages, compared with what they are about."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Any

import httpx
import pytest
from pydantic_core import PydanticUndefined

from engine.risk import TABLE, is_gated
from persistence.moves.table import RUN_MOVES, STEP_MOVES
from persistence.states import Risk
from serving.settings import Settings
from tests.packaging.processes import Program
from tests.readme.markdown import PAGES, README, ROOT, anchors_of, blocks_of, links_of, table_after

MOST_LINES = 250
OTHER_PAGES = ("examples/README.md", "clients/README.md", "clients/python/README.md", "clients/typescript/README.md")
LINKED = PAGES | {name: (ROOT / name).read_text() for name in OTHER_PAGES}


def picture(name: str) -> str:
    (block,) = (block for text in PAGES.values() for block in blocks_of(text) if block.words == ("mermaid", name))
    return block.text


@pytest.mark.parametrize(("name", "moves"), [("steps", STEP_MOVES), ("runs", RUN_MOVES)])
def test_the_states_are_drawn_as_the_table_of_moves_has_them(
    name: str, moves: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    (first,) = {"steps": ["PENDING"], "runs": ["QUEUED"]}[name]
    expected = {("[*]", first), *((str(state), "[*]") for state, after in moves.items() if not after)}
    expected |= {(str(state), str(each)) for state, after in moves.items() for each in after}

    head, *lines = picture(name).splitlines()
    edges = [re.fullmatch(r" +(\S+) --> ([\w*\[\]]+)(: [^:;#]+)?", line) for line in lines]

    assert head == "stateDiagram-v2"
    assert all(edges), lines
    drawn = [(edge[1], edge[2]) for edge in edges if edge]
    assert set(drawn) == expected, "\n".join(f"    {a} --> {b}" for a, b in sorted(expected))
    assert len(drawn) == len(expected)


def test_the_layers_are_drawn_as_the_import_contract_has_them() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (
        each["layers"]
        for each in config["tool"]["importlinter"]["contracts"]
        if each["name"] == "Layers import downwards only"
    )

    arrows = [line.split("-->") for line in picture("layers").splitlines() if "-->" in line]
    drawn = [(_node(before), _node(after.split("|")[-1])) for before, after in arrows]

    assert drawn == list(pairwise(["clients", "server", *layers, "postgresql"]))


def _node(text: str) -> str:
    found = re.match(r"\s*(\w+)", text)
    assert found is not None
    return found[1]


def test_the_risk_table_is_the_one_that_the_engine_reads() -> None:
    default = Risk[Settings.model_fields["approve_from"].default]
    assert not any(is_gated(risk, default) for risk, level in TABLE.items() if not level.always_asks)

    assert table_after(PAGES["docs/states.md"], "Risk") == [
        [
            risk.name,
            level.words,
            "always" if level.always_asks else "if configured",
            f"{level.attempts}, or any number" if level.most_attempts is None else f"{level.most_attempts} at most",
        ]
        for risk, level in TABLE.items()
    ]


def test_the_settings_are_those_that_the_server_reads_with_their_defaults() -> None:
    shown = {row[0]: row[1] for row in table_after(PAGES["docs/settings.md"], "Settings")}

    assert shown == {name.upper(): _default(field.default) for name, field in Settings.model_fields.items()}


def _default(value: Any) -> str:
    if value is PydanticUndefined:  # the data folder, which is found at the start
        return "the platform's user data folder"
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def test_the_paths_answer_a_stranger_as_the_table_says(serving: Program) -> None:
    rows = table_after(PAGES["docs/operations.md"], "HTTP")

    answers = [[row[0], str(httpx.get(serving.url + row[0].replace("…", "x")).status_code)] for row in rows]

    assert answers == [[row[0], row[2]] for row in rows]


@pytest.mark.parametrize("page", LINKED)
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = set(re.findall(r"`((?:tests|examples|benchmarks|docs)/[\w./]+)`", LINKED[page]))

    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", LINKED)
def test_every_link_within_the_tree_leads_to_a_page_and_a_heading_that_are_there(page: str) -> None:
    for link in links_of(LINKED[page]):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target.read_text()), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links_of(PAGES[README])}

    assert set(PAGES) - {README} <= linked


def test_the_readme_is_read_in_one_go() -> None:
    assert len(PAGES[README].splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_is_there(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {*re.findall(r"`make ([\w-]+)", PAGES[page])} <= targets
