"""The first moments of the command."""

import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console import processes, start
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
        [sys.executable, "-c", CODE, "schema"],
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


HEAVY = {
    *("alembic", "asyncpg", "graphql", "httpx", "icalendar", "jsonschema", "pint", "prometheus_client", "pydantic"),
    *("pydantic_settings", "rich", "sqlalchemy", "starlette", "strawberry", "structlog", "uvicorn", "websockets"),
    *("server", "serving", "schema", "engine", "persistence"),
}
"""What takes its time to import, and what help has no use for."""

HELP = """
import sys
from console.start import main
try:
    main()
except SystemExit as ended:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
    raise
"""


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["submit", "--help"], ["serve", "--help"]])
def test_help_imports_nothing_that_takes_its_time(args: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELP, *args], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )

    assert ended.stdout.startswith(("Usage: ", "lifeos "))
    # Typer itself asks pydantic how to show a command's choices.
    assert set(ended.stderr.split()) & HEAVY <= ({"pydantic"} if len(args) > 1 else set())


@pytest.mark.parametrize(("args", "of"), [([], "lifeos"), (["user"], "lifeos user")])
def test_without_a_command_the_help_is_shown_and_the_missing_part_is_named(args: list[str], of: str) -> None:
    said = CliRunner().invoke(app, args, prog_name="lifeos")

    assert said.exit_code == 2
    assert said.stdout.startswith(f"Usage: {of} [OPTIONS] COMMAND")
    assert said.stderr == f"lifeos: a command is missing (see {of} --help)\n"


def test_the_help_says_each_command_in_a_whole_sentence() -> None:
    said = CliRunner().invoke(processes.app, ["--help"], prog_name="lifeos").stdout

    assert {"submit", "serve", "worker", "migrate", "schema", "demo", "user"} <= set(said.split())
    assert "..." not in said.replace("[ARGS]...", "")
