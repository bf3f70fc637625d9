"""The typed clients: what is committed is what the generators make, it compiles, and it follows runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.clients.programs import (
    PYTHON,
    ROOT,
    TYPESCRIPT,
    built_example,
    built_typescript,
    generator_environment,
    npm_folder,
    program,
    run,
)
from tests.clients.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

GENERATED = [Path("typescript/src/generated"), Path("python/lifeos_client/generated")]


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A copy of all that clients are generated from and with."""
    tools = {"typescript": npm_folder(TYPESCRIPT) / "node_modules", "python": generator_environment()}
    ignored = shutil.ignore_patterns("node_modules", ".venv", "dist", "__pycache__", ".*.lock")
    shutil.copytree(ROOT / "clients", tmp_path / "clients", ignore=ignored)
    (tmp_path / "schema").mkdir()
    shutil.copy(ROOT / "schema" / "schema.graphql", tmp_path / "schema")
    for language, installed in tools.items():
        (tmp_path / "clients" / language / installed.name).symlink_to(installed)
    return tmp_path


def test_what_is_committed_is_what_make_clients_generates(workshop: Path):
    run(["./generate.sh"], workshop / "clients")

    for folder in GENERATED:
        assert contents(workshop / "clients" / folder) == contents(ROOT / "clients" / folder), (
            "the schema or the operations have changed: run `make clients` and commit what it changes"
        )


def test_a_change_of_the_schema_shows_in_both_clients(workshop: Path):
    schema = workshop / "schema" / "schema.graphql"
    schema.write_text(schema.read_text().replace("WORKFLOW_CANCELLED", "WORKFLOW_ENDED_BY_HAND"))

    run(["./generate.sh"], workshop / "clients")

    for folder in GENERATED:
        assert contents(workshop / "clients" / folder) != contents(ROOT / "clients" / folder)


def test_the_typescript_client_and_its_example_compile_strictly():
    folder = built_typescript()

    run(["npx", "tsc", "--project", "tsconfig.json"], folder)


async def test_the_example_app_follows_a_run(server: Server):
    folder = built_example()

    async with program(["node", "example/dist/follow.js", "plan groceries"], folder, server.environment) as app:
        lines = await app.rest()

    assert "WORKFLOW_STARTED" in lines[0]
    assert any("WORKFLOW_COMPLETE" in line for line in lines)
    assert "SUCCEEDED" in lines[-1]


async def test_the_example_app_says_what_the_server_refuses(server: Server):
    folder = built_example()
    environment = {**server.environment, "LIFEOS_TOKEN": "not-a-token-of-anybody"}

    async with program(["node", "example/dist/follow.js", "plan groceries"], folder, environment) as app:
        assert await app.line() is None
        assert await app.process.wait() == 1
        assert (await app.transcript()).strip().startswith("UNAUTHENTICATED: ")


USER_IN_TYPESCRIPT = """
import { LifeOS } from 'lifeos-client';
const lifeos = new LifeOS({ url: process.env['LIFEOS_URL'] ?? '', token: process.env['LIFEOS_TOKEN'] });
const run = await lifeos.submit({ intent: 'plan groceries for 3 people' });
for await (const event of lifeos.followRun(run.id)) console.log(event.seq, event.type, event.message);
"""

USER_IN_PYTHON = """
import asyncio, os
from lifeos_client import LifeOS

async def main():
    async with LifeOS(os.environ["LIFEOS_URL"], os.environ["LIFEOS_TOKEN"]) as lifeos:
        run = await lifeos.submit("plan groceries for 3 people")
        async for event in lifeos.follow_run(run.id):
            print(event.seq, event.type, event.message)

asyncio.run(main())
"""


async def test_who_installs_the_typescript_package_follows_a_run_in_five_lines(server: Server, tmp_path: Path):
    tarball = run(
        ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(tmp_path)], built_typescript()
    ).split()[-1]
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "five.js").write_text(USER_IN_TYPESCRIPT)
    run(["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", f"./{tarball}"], tmp_path)

    async with program(["node", "five.js"], tmp_path, server.environment) as told:
        lines = await told.rest()

    assert lines[0].startswith("1 WORKFLOW_STARTED ")
    assert " WORKFLOW_COMPLETE " in lines[-1]
    assert not (tmp_path / "node_modules" / "lifeos-client" / "node_modules").exists()


async def test_who_installs_the_python_package_follows_a_run_in_five_lines(server: Server, tmp_path: Path):
    python = generator_environment() / "bin" / "python"
    source = shutil.copytree(PYTHON, tmp_path / "source", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    (tmp_path / "five.py").write_text(USER_IN_PYTHON)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--no-build-isolation", "--target", str(tmp_path / "site"), str(source)], tmp_path)
    environment = {**server.environment, "PYTHONPATH": str(tmp_path / "site")}

    async with program([python, "five.py"], tmp_path, environment) as told:
        lines = await told.rest()

    assert lines[0].startswith("1 WORKFLOW_STARTED ")
    assert " WORKFLOW_COMPLETE " in lines[-1]
    assert (tmp_path / "site" / "lifeos_client" / "py.typed").is_file()


async def test_the_python_client_sees_each_event_once_though_the_server_restarts(server: Server, tmp_path: Path):
    python = generator_environment() / "bin" / "python"
    gate = tmp_path / "gate"
    script = Path(__file__).parent / "python" / "follower.py"
    environment = {**server.environment, "PYTHONPATH": str(PYTHON), "GATE": str(gate)}

    async with program([python, script], tmp_path, environment) as told:
        run_id = await told.line()
        await told.until(lambda line: line.endswith("STEP_RUNNING"))
        await server.restart()
        gate.touch()
        *events, lost, state, refused, missing, rejected = (await told.rest())[1:]

    assert run_id is not None
    assert events == [f"{seq} {type_}" for seq, type_ in await server.recorded(run_id)]
    assert any(event.endswith("STEP_RETRYING") for event in events)
    assert int(lost.removeprefix("lost ")) >= 1
    assert (state, refused, missing) == ("COMPLETED", "UNAUTHENTICATED", "NOT_FOUND")
    assert rejected == "UNKNOWN_TOOL"


async def test_what_waits_for_a_person_is_decided_with_either_client(server: Server, tmp_path: Path):
    folder = built_typescript()
    python = generator_environment() / "bin" / "python"
    here = Path(__file__).parent
    runs = [await server.submit(plan={"steps": [{"key": "pay", "tool": "pay", "args": {"amount": 5}}]}) for _ in "12"]
    in_python = {**server.environment, "PYTHONPATH": str(PYTHON)}
    for run_id in runs:
        await server.until(run_id, "APPROVAL_REQUIRED")

    async with program([python, here / "python" / "decider.py", runs[0]], folder, in_python) as told:
        decided_in_python = await told.rest()
    async with program(["node", here / "node" / "decider.js", runs[1]], folder, server.environment) as told:
        decided_in_typescript = await told.rest()

    assert (
        decided_in_python == decided_in_typescript == ['REQUIRED {"amount":5}', "ARGS_CHANGED", "APPROVED", "COMPLETED"]
    )
