"""The first moments of the command."""

import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console import start
from console.commands import app

# A finder that finds nothing: when it is asked for the library, the imports are in full swing, and stay there.
CODE = """
import signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began us in the background may have it ignored

class Waiting:
    def find_spec(self, name, path=None, target=None):
        if name == "strawberry":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Waiting())
from console.start import main
main()
"""


def test_interrupted_while_it_is_imported_it_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "import_module", interrupted)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130


def test_a_signal_in_the_middle_of_the_imports_leaves_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CODE, "--help"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate()
    assert said == ("", "")
    assert process.returncode == 130


def test_the_command_says_which_version_it_is() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"lifeos {version('lifeos')}\n")
