"""What import contracts can't see of the layers."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATEMENT = re.compile(
    r"\s*(SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|WITH|LOCK|SET|BEGIN|NOTIFY|LISTEN|CREATE)\s+[\w*(\"$]"
)


def test_no_sql_stands_outside_of_persistence() -> None:
    files = [
        ROOT / "server.py",
        *(file for layer in ("engine", "schema", "serving", "console") for file in (ROOT / layer).rglob("*.py")),
    ]
    assert len(files) > 100

    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.value:.60}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value)
    ]

    assert found == []


def test_the_module_at_the_top_stands_on_serving_and_the_console_alone() -> None:
    # An import contract has packages for its roots, and this is a module.
    used = {name.partition(".")[0] for name in imported_by(ROOT / "server.py")}

    assert used - sys.stdlib_module_names == {"serving", "console"}


def test_the_embedded_postgresql_uses_nothing_else_of_persistence() -> None:
    files = list((ROOT / "persistence" / "embedded").rglob("*.py"))
    used = {name for file in files for name in imported_by(file) if name.partition(".")[0] == "persistence"}

    assert used
    assert {name for name in used if not name.startswith("persistence.embedded.")} == set()


def imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
