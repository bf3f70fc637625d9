"""The API's own language: its rules, its scalars, and what clients out there rely on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from graphql import build_schema, is_specified_scalar_type
from graphql.type import GraphQLScalarType
from graphql.utilities import BreakingChangeType, find_breaking_changes

from tests.clients.programs import NODE, ROOT, npm_folder

SDL = (ROOT / "schema" / "schema.graphql").read_text()
RELEASED = (ROOT / "clients" / "released.graphql").read_text()


def complaints(sdl: str, folder: Path) -> list[str]:
    """The rules that the SDL breaks, one for each place."""
    tools = npm_folder(NODE)
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.graphql").write_text(sdl)
    command = [tools / "node_modules" / ".bin" / "eslint", "--config", tools / "eslint.config.js", "--format", "json"]
    done = subprocess.run([*command, "schema"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    [file] = json.loads(done.stdout)
    return [f"{found['ruleId']}: {found['message']} (line {found['line']})" for found in file["messages"]]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_sdl_breaks_no_rule(tmp_path: Path):
    assert complaints(SDL, tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_rules_bite(tmp_path: Path):
    faults = {
        '  """What they are called."""\n  name: String!': "  name: String!",
        "  COMPLETED\n": "  Completed\n",
        "    input: CancelRunInput!": "    run: CancelRunInput!",
        '  pageInfo: PageInfo!\n\n  """How many match, on all pages."""\n  totalCount: Int!\n}\n\n"""A run and': (
            '  page: PageInfo!\n}\n\n"""A run and'
        ),
        "  tool: String!\n": "  tool: String! @deprecated\n",
    }
    faulty = SDL
    for right, wrong in faults.items():
        assert right in faulty
        faulty = faulty.replace(right, wrong, 1)

    broken = {complaint.split(":")[0].removeprefix("@graphql-eslint/") for complaint in complaints(faulty, tmp_path)}

    assert broken >= {
        "require-description",
        "naming-convention",
        "input-name",
        "relay-connection-types",
        "require-deprecation-reason",
    }


def test_nothing_that_released_clients_rely_on_is_gone():
    assert [change.description for change in find_breaking_changes(build_schema(RELEASED), build_schema(SDL))] == []


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ('  """Why a person is asked, in a sentence."""\n  reason: String!\n', "", BreakingChangeType.FIELD_REMOVED),
        ("  CANCELLED\n", "  ENDED\n", BreakingChangeType.VALUE_REMOVED_FROM_ENUM),
        ("  idempotencyKey: String\n", "  idempotencyKey: String!\n", BreakingChangeType.FIELD_CHANGED_KIND),
        ("  message: String!\n", "  message: String\n", BreakingChangeType.FIELD_CHANGED_KIND),
    ],
)
def test_the_gate_against_breaking_changes_closes(right: str, wrong: str, kind: BreakingChangeType):
    assert right in SDL

    changes = find_breaking_changes(build_schema(RELEASED), build_schema(SDL.replace(right, wrong, 1)))

    assert kind in {change.type for change in changes}


def test_every_scalar_of_our_own_says_where_it_is_specified():
    own = [
        type_
        for type_ in build_schema(SDL).type_map.values()
        if isinstance(type_, GraphQLScalarType) and not is_specified_scalar_type(type_)
    ]

    assert {type_.name for type_ in own} == {"DateTime", "JSON"}
    assert [type_.name for type_ in own if not (type_.specified_by_url or "").startswith("https://")] == []
