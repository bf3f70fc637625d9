import json
import re
import stat
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import VariableValues, get_variable_values

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console" / "graphiql"
EXAMPLES = SOURCES / "src" / "examples"
SCHEMA = ROOT / "schema" / "schema.graphql"


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    """The hook's module, loaded from its file as hatchling loads it."""
    pytest.importorskip("hatchling", reason="the build hook is tested where hatchling is: pip install hatchling")
    spec = spec_from_file_location("hatch_build", ROOT / "console" / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with console sources, and nothing on the path."""
    sources = tmp_path / "console" / "graphiql"
    (sources / "src").mkdir(parents=True)
    (sources / "package.json").write_text("{}")
    (sources / "src" / "main.jsx").write_text("export {}")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("LIFEOS_SKIP_CONSOLE", raising=False)
    return tmp_path


def hook(hatch_build: ModuleType, checkout: Path, target: str = "wheel") -> Any:
    return hatch_build.ConsoleBuildHook(str(checkout), {}, None, None, str(checkout / "dist"), target)


def command(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def node_that_bundles(checkout: Path) -> None:
    """A Node.js and npm that bundle a page: the source itself, left where the bundler is told to."""
    command(checkout, "npm", '[ "$1" = ci ] && [ "$NODE_ENV" = production ]')
    command(
        checkout,
        "node",
        '[ "$1" = --version ] && { echo v22.12.0; exit; }\n/bin/mkdir -p "$4" && /bin/cp src/main.jsx "$4/index.html"',
    )


def built(hatch_build: ModuleType, checkout: Path) -> Path:
    """The console's static folder with a page built from the present sources."""
    static = checkout / "console" / "static"
    static.mkdir()
    (static / "index.html").write_text("the page")
    (static / hatch_build.STAMP).write_text(hatch_build.digest(checkout / "console" / "graphiql"))
    return static


def test_the_digest_follows_names_and_contents(hatch_build: ModuleType, checkout: Path):
    sources = checkout / "console" / "graphiql"
    first = hatch_build.digest(sources)

    (sources / "src" / "main.jsx").write_text("export { }")
    edited = hatch_build.digest(sources)
    (sources / "src" / "main.jsx").rename(sources / "src" / "page.jsx")
    renamed = hatch_build.digest(sources)

    assert len({first, edited, renamed}) == 3


def test_what_npm_installs_is_no_source(hatch_build: ModuleType, checkout: Path):
    sources = checkout / "console" / "graphiql"
    before = hatch_build.digest(sources)

    (sources / "node_modules" / "vite").mkdir(parents=True)
    (sources / "node_modules" / "vite" / "package.json").write_text("{}")

    assert hatch_build.digest(sources) == before


def test_node_is_asked_for_only_where_there_is_none(hatch_build: ModuleType, checkout: Path):
    without = hook(hatch_build, checkout).dependencies()
    node_that_bundles(checkout)
    with_node = hook(hatch_build, checkout).dependencies()
    command(checkout, "node", "echo v20.18.1")
    with_old_node = hook(hatch_build, checkout).dependencies()
    command(checkout, "node", "exit 1")
    with_broken_node = hook(hatch_build, checkout).dependencies()

    assert without == [hatch_build.NODE_WHEEL]
    assert with_node == []
    assert with_old_node == [hatch_build.NODE_WHEEL]
    assert with_broken_node == [hatch_build.NODE_WHEEL]


@pytest.mark.parametrize("why", ["built already", "skipped", "sdist", "no sources"])
def test_where_nothing_is_to_be_built_nothing_is_asked_for_or_run(
    hatch_build: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, why: str
):
    if why == "built already":
        built(hatch_build, checkout)
    if why == "skipped":
        monkeypatch.setenv("LIFEOS_SKIP_CONSOLE", "1")
    if why == "no sources":
        (checkout / "console" / "graphiql").rename(checkout / "elsewhere")
    made = hook(hatch_build, checkout, target="sdist" if why == "sdist" else "wheel")

    made.initialize("standard", {})  # there is no Node.js: a build would fail

    assert made.dependencies() == []


def test_a_build_replaces_the_page_and_is_then_current(hatch_build: ModuleType, checkout: Path):
    static = built(hatch_build, checkout)
    (static / "old.js").write_text("gone after the next build")
    (checkout / "console" / "graphiql" / "src" / "main.jsx").write_text("new")
    node_that_bundles(checkout)

    hook(hatch_build, checkout).initialize("standard", {})

    assert (static / "index.html").read_text() == "new"
    assert not (static / "old.js").exists()
    assert hatch_build.is_current(checkout / "console" / "graphiql", static)


def test_an_editable_install_goes_on_without_a_page_and_says_so(
    hatch_build: ModuleType, checkout: Path, capfd: pytest.CaptureFixture[str]
):
    node_that_bundles(checkout)
    command(checkout, "npm", "exit 1")

    hook(hatch_build, checkout).initialize("editable", {})

    assert "The GraphiQL page was not built" in capfd.readouterr().err
    assert not (checkout / "console" / "static").exists()


def test_a_wheel_without_its_page_is_not_built_unless_one_asks_for_it(hatch_build: ModuleType, checkout: Path):
    node_that_bundles(checkout)
    command(checkout, "npm", "exit 1")

    with pytest.raises(SystemExit, match="With LIFEOS_SKIP_CONSOLE=1 the package is built without it"):
        hook(hatch_build, checkout).initialize("standard", {})


def test_a_failed_build_leaves_the_page_that_was_there(hatch_build: ModuleType, checkout: Path):
    static = built(hatch_build, checkout)
    (checkout / "console" / "graphiql" / "src" / "main.jsx").write_text("broken")
    node_that_bundles(checkout)
    command(checkout, "node", '[ "$1" = --version ] && echo v22.12.0')

    hook(hatch_build, checkout).initialize("editable", {})

    assert (static / "index.html").read_text() == "the page"
    assert not hatch_build.is_current(checkout / "console" / "graphiql", static)


def test_every_package_is_pinned_and_none_names_a_registry():
    package = json.loads((SOURCES / "package.json").read_text())
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    wanted = package["dependencies"] | package["devDependencies"]
    locked = {name: entry for name, entry in lock["packages"].items() if name}

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert not [name for name, entry in locked.items() if "resolved" in entry]
    assert not [name for name, entry in locked.items() if "integrity" not in entry]


@pytest.mark.skipif(not SCHEMA.exists(), reason="the schema is not printed yet: lifeos schema > schema/schema.graphql")
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.graphql")), ids=lambda path: path.stem)
def test_each_example_in_the_console_is_a_valid_operation(path: Path):
    schema = build_schema(SCHEMA.read_text())
    document = parse(path.read_text())
    variables = path.with_suffix(".json")

    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    values = json.loads(variables.read_text()) if variables.exists() else {}

    assert validate(schema, document) == []
    assert isinstance(get_variable_values(schema, operation.variable_definitions or (), values), VariableValues)
