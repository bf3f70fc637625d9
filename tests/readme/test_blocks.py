"""Every block of the README and of the pages in docs, done as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.processes import PROGRAMS, environment, run
from tests.readme.markdown import PAGES, README, ROOT, Block, blocks_of
from tests.readme.packages import provide
from tests.readme.reader import Reader
from tests.readme.shapes import fits_text

pytestmark = pytest.mark.timeout(300)  # several real processes, one after another

BLOCKS = [block for page, text in PAGES.items() for block in blocks_of(text, page)]

IN_NODE = {"ts", "js", "js as", "js same"}
DONE = {"sh", "sh again", "sh serve", "graphql", "python", "python serve", "text answer", "json answer"} | IN_NODE
"""What a reader does or is shown, one section at a time."""

COMPARED = {"python file", "json file", "mermaid steps", "mermaid runs", "mermaid layers"}
"""Blocks that are compared with the program: here, and in test_tables."""

READ = {"json data", "json jobs", "json plan", "nginx"}
"""Blocks that other tests here read: test_expressions, test_tools, test_plans and test_proxy."""

TWO_COMMANDS = "Two commands"
SECTIONS = list(
    dict.fromkeys(
        (block.page, block.section) for block in BLOCKS if block.kind in DONE and block.section != TWO_COMMANDS
    )
)


def test_every_block_is_of_a_kind_that_some_test_runs() -> None:
    kinds = {block.kind for block in BLOCKS}

    assert kinds == DONE | COMPARED | READ | {"sh make"}
    assert len(SECTIONS) >= 10
    assert {(block.page, block.section) for block in BLOCKS if block.kind == "sh make"} == {(README, TWO_COMMANDS)}


@pytest.mark.parametrize("block", [block for block in BLOCKS if "file" in block.kind], ids=str)
def test_a_file_that_is_shown_is_the_file_in_the_tree(block: Block) -> None:
    name = block.words[1].removeprefix("file=")

    assert block.text == (ROOT / name).read_text()


def test_the_two_commands_are_targets_that_run_lifeos() -> None:
    (block,) = (block for block in BLOCKS if block.kind == "sh make")
    commands = [line.split("#")[0].split() for line in block.text.splitlines()]

    assert commands == [["make", "demo"], ["make", "serve"]]
    assert [recipe(command) for command in commands] == [[".venv/bin/lifeos", "demo"], [".venv/bin/lifeos", "serve"]]
    assert recipe(["make", "serve", "ARGS=--port 8001"]) == [".venv/bin/lifeos", "serve", "--port", "8001"]


def test_make_demo_shows_what_the_readme_shows(tmp_path: Path) -> None:
    (shown,) = (block for block in BLOCKS if block.section == TWO_COMMANDS and block.kind == "text answer")
    program, *args = recipe(["make", "demo", "YES=1"])

    ended = run([PROGRAMS / Path(program).name, *args], env=environment(tmp_path), cwd=tmp_path)

    assert (ended.status, ended.errors) == (0, "")
    assert fits_text(shown.text, ended.output), ended.output


def recipe(command: list[str]) -> list[str]:
    """What make would run, once everything is installed."""
    return run([*command, "--dry-run"], env=environment(ROOT), cwd=ROOT).output.splitlines()[-1].split()


@pytest.mark.parametrize(("page", "section"), SECTIONS, ids=[f"{page}: {section}" for page, section in SECTIONS])
def test_a_section_can_be_followed_to_the_letter(
    page: str,
    section: str,
    env: dict[str, str],
    home: Path,
    databases: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> None:
    blocks = [block for block in BLOCKS if (block.page, block.section) == (page, section) and block.kind in DONE]
    provide(blocks, home)
    starts_its_own = any(block.kind == "sh serve" for block in blocks)
    server = None if starts_its_own else request.getfixturevalue("serving")

    with Reader(home=home, env=env, database=databases, server=server) as reader:
        for block in blocks:
            reader.read(block)
