"""The first moments of the command."""

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console import start
from console.commands import app

# Python tells of every import on the standard error, so that we know when it is in the middle of them.
COMMAND = [sys.executable, "-v", "-c", "from console.start import main; main()", "--help"]


def test_interrupted_while_it_is_imported_it_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "import_module", interrupted)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130


def test_a_signal_in_the_middle_of_the_imports_leaves_no_traceback() -> None:
    with subprocess.Popen(
        COMMAND, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "80"}
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "import 'strawberry'" in line or "strawberry/__init__" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest


def test_the_command_says_which_version_it_is() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"lifeos {version('lifeos')}\n")
