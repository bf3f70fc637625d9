"""Every library that more is asked of than it promises is declared up to the versions that were tried."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
NAMES = sorted(
    path.stem.removeprefix("test_").replace("_", "-") for path in HERE.glob("test_*.py") if path.stem != "test_ceilings"
)
DISTRIBUTIONS = {"strawberry": "strawberry-graphql"}


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {each.name: each for each in map(Requirement, project["dependencies"])}


@pytest.mark.parametrize("name", [DISTRIBUTIONS.get(name, name) for name in NAMES])
def test_a_library_that_is_leaned_on_has_a_floor_and_a_ceiling(name: str):
    assert name in declared(), f"{name} is no declared dependency"
    specifier = declared()[name].specifier
    operators = {each.operator for each in specifier}

    assert ">=" in operators, f"{name}{specifier} says nothing of the oldest version that was tried"
    assert "<" in operators, f"{name}{specifier} takes versions that nobody has tried: what is leaned on may be gone"
    assert specifier.contains(version(name)), f"{name} {version(name)} is installed, and {specifier} is declared"


def test_a_ceiling_is_the_next_version_that_may_change_what_is_not_promised():
    for name in (DISTRIBUTIONS.get(name, name) for name in NAMES):
        requirement = declared()[name]
        ceiling = next(each.version for each in requirement.specifier if each.operator == "<")
        # While a library's first number is 0, its second one is what tells of changes.
        parts = 2 if version(name).startswith("0.") else 1
        floor = version(name).split(".")[:parts]
        assert ceiling.split(".")[: parts - 1] == floor[: parts - 1]
        assert int(ceiling.split(".")[-1]) >= int(floor[-1]), f"{name} <{ceiling}"


def test_what_is_imported_from_inside_a_library_has_its_file_here():
    """Modules with an underscore, of whichever library: their names are nobody's promise."""
    found = {
        line.split()[1].split(".")[0]
        for folder in ("schema", "engine", "persistence", "console")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("from ", "import ")) and "._" in line.split()[1]
    }

    assert found <= {name.replace("-", "_") for name in NAMES}, found
