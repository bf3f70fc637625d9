"""What import contracts can't see of the layers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATEMENT = re.compile(
    r"\s*(SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|WITH|LOCK|SET|BEGIN|NOTIFY|LISTEN|CREATE)\s+[\w*(\"$]"
)


def test_no_sql_stands_outside_of_persistence() -> None:
    files = [
        ROOT / "server.py",
        *(file for layer in ("engine", "schema", "console") for file in (ROOT / layer).rglob("*.py")),
    ]
    assert len(files) > 100

    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.value:.60}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value)
    ]

    assert found == []
