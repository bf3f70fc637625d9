"""One plain term for each thing: words that were retired stand nowhere in what people read.

Comments, docstrings, names and messages of the product, its pages, its benchmarks and its clients are searched, and the
names of tests. A word is retired by a line in RETIRED, with the words to write instead.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RETIRED = {
    r"_?(un)?told": "sent, called, recorded, shown: the verb for what happens",
    r"_*strays?": "a running step without a task (orphan)",
    r"\w*newcomers?\w*": "users who have no running step (fairness)",
    r"_*hurr(y|ies|ied)": "debounce",
    r"(?-i:_?Place)": "a cursor's position, a step's key: its name",
    r"in earnest": "in production",
    r"whoever": "the user, the caller, the process: its name",
    r"who (asks|comes|looks|announces|opens|starts|is who)": "the user, the caller, the process: its name",
    r"what only time causes": "due retries, expired approvals and ended leases",
    r"what it is told": "its settings, its arguments: their name",
    r"is nothing that a tool can do": "no tool can do it",
    r"is an error at the start": "the program refuses to start",
    r"whose days and hours": "the time zone of",
    r"is none of its business": "passes through unchanged",
    r"of so many slots": "of every n slots",
    r"go(es)? on without a word": "say which message is missing",
    r"begins? anew": "starts again",
}
"""What is looked for, as a pattern of whole words in any case, and what to write instead."""

PLACES_IN_THE_WORLD = [
    "engine/tools/builtin/resumes/*",  # where somebody lives
    "clients/typescript/src/*",  # a name that the package has published
]

KEPT = [
    "alembic/versions/*",  # a migration that was released stays as it was
    "benchmarks/results/*",  # measurements as they were taken
    "clients/released.graphql",  # the API as it was released
    "clients/python/lifeos_client/generated/*",  # generated from the API
    "clients/typescript/src/generated/*",
    "*.lock",
    "*package-lock.json",
]

SEARCHED = re.compile(r".*\.(py|md|toml|ts|js|sh|graphql|json)|Makefile")
PATTERN = re.compile("|".join(rf"(?P<_{n}>(?<!\w){pattern}(?!\w))" for n, pattern in enumerate(RETIRED)), re.IGNORECASE)
INSTEAD = list(RETIRED.values())


def files() -> list[str]:
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in found.stdout.splitlines() if SEARCHED.fullmatch(name) and (ROOT / name).is_file()]


def searched() -> Iterator[str]:
    for name in files():
        if not any(fnmatch(name, kept) for kept in [*KEPT, "tests/*"]):
            yield name


def found_in(text: str, name: str = "") -> list[str]:
    said: list[str] = []
    may_say_place = any(fnmatch(name, each) for each in PLACES_IN_THE_WORLD)
    for match in PATTERN.finditer(text):
        if may_say_place and match[0] == "Place":
            continue
        number = int(str(match.lastgroup).removeprefix("_"))
        line = text.count("\n", 0, match.start()) + 1
        said.append(f"line {line}: “{match[0]}”; write instead: {INSTEAD[number]}")
    return said


def test_no_retired_word_stands_in_code_pages_or_messages() -> None:
    names = list(searched())

    found = [f"{name}, {each}" for name in names for each in found_in((ROOT / name).read_text(), name)]

    assert {"README.md", "docs/tools.md", "engine/engine.py", "persistence/states.py", "console/acts.py"} <= {*names}
    assert not found, "\n".join(found)


def test_no_test_is_named_with_a_retired_word() -> None:
    found: list[str] = []
    for name in files():
        if name.startswith("tests/") and name.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / name).read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    found += [f"{name}, {node.name}: {each}" for each in found_in(node.name.replace("_", " "))]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "a client is told so",
        "self._strays",
        "class Place:",
        "_claim_for_newcomers",
        "## In earnest",
        "Whoever it is",
        "unless that is\nwho asks",
        "A part of the intent is nothing that a tool can do.",
    ],
)
def test_a_retired_word_is_found(text: str) -> None:
    assert found_in(text)


@pytest.mark.parametrize(
    "text", ["the person who submitted it", "a toldo", "in its place", "betrays", "what a step needs"]
)
def test_plain_words_are_not(text: str) -> None:
    assert not found_in(text)
