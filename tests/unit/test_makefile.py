"""What `make` installs for whom."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def recipe(target: str) -> str:
    """Every command of a target, as if nothing had been installed yet."""
    command = ["make", "--dry-run", "--always-make", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["install", "demo", "serve", "schema"])
def test_running_the_program_installs_the_program_alone(target: str) -> None:
    said = recipe(target)

    assert "--editable ." in said
    assert "--group" not in said


@pytest.mark.parametrize("target", ["test", "test-slow", "check", "bench", "chaos", "fuzz"])
def test_testing_it_brings_the_tools_after_the_program(target: str) -> None:
    said = recipe(target)

    assert 0 < said.index("--editable .") < said.index("--group dev")
