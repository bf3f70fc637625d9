"""What the built-in tools give is what their result schemas say, and no field of it is left out there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from engine.tools import ToolContext, load_registry, plain
from engine.tools.builtin.folders import user_folder
from engine.validation.shapes import OPEN, Listing, Record, Shape, of_result

TOOLS = load_registry()
JOB = {"id": "j1", "title": "Gärtner", "company": "Park", "apply_to": "jobs@park.example", "skills": ["Rosen"]}
CV = {
    "basics": {"name": "Ann Ötter", "email": "ann@otter.example", "location": "Ulm", "profiles": [{"network": "x"}]},
    "work": [{"company": "Park", "startDate": "May 2020", "highlights": ["Rosen", "Beete"]}],
    "skills": [{"name": "Gardening", "keywords": ["Rosen"]}],
    "meta": {"version": "v1"},
}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("job_search", {"query": "python backend", "count": 50}),
    ("job_search", {"query": "nothing of the kind"}),
    ("cv_tailor", {"job": JOB}),
    ("cv_tailor", {"job": JOB, "resume": CV}),
    ("job_submit", {"job": JOB, "resume": CV}),
    ("grocery_plan", {"days": 3, "meals_per_day": 3, "start": "2026-12-01"}),
    ("grocery_plan", {"people": 1, "days": 1}),
    ("calendar_create", {"title": "Gym", "starts": ["2026-12-01T07:00:00", "2026-12-02T07:00:00+01:00"]}),
]


async def result_of(name: str, args: dict[str, Any], data_dir: Path) -> Any:
    tool = TOOLS.get(name)
    assert tool is not None
    ctx = ToolContext("key", "run_1", "step_1", 1, "user_1", name, data_dir)
    return plain(await tool.call(ctx, tool.fit(args)))


def unknown_in(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """The fields of a value of which its shape says that they can't exist."""
    if OPEN in shape:
        return
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            found = [form.field(name) for form in shape if isinstance(form, Record)]
            if not any(each is not None for each in found):
                yield f"{path}.{name}"
            for each in found:
                yield from unknown_in(inner, each or (), f"{path}.{name}")
    elif isinstance(value, list):
        for form in shape:
            if isinstance(form, Listing):
                for inner in cast("list[Any]", value):
                    yield from unknown_in(inner, form.entries(), f"{path}[*]")


def test_every_built_in_tool_is_called_here_and_says_what_it_gives() -> None:
    assert {name for name, _ in CALLS} == set(TOOLS.names)
    for tool in TOOLS:
        assert tool.result_schema is not None
        Draft202012Validator.check_schema(tool.result_schema)


@pytest.mark.parametrize(("name", "args"), CALLS)
async def test_a_real_result_is_what_the_schema_says(name: str, args: dict[str, Any], tmp_path: Path) -> None:
    tool = TOOLS.get(name)
    assert tool is not None
    assert tool.result_schema is not None

    result = await result_of(name, args, tmp_path)

    assert list(Draft202012Validator(tool.result_schema).iter_errors(result)) == []
    assert list(unknown_in(result, of_result(tool))) == []


@pytest.mark.parametrize(("name", "args"), CALLS)
async def test_a_result_is_plain_json_as_it_is_returned(name: str, args: dict[str, Any], tmp_path: Path) -> None:
    tool = TOOLS.get(name)
    assert tool is not None
    ctx = ToolContext("key", "run_1", "step_1", 1, "user_1", name, tmp_path)

    returned = await tool.call(ctx, tool.fit(args))

    assert isinstance(returned, Mapping)
    assert plain(returned) is returned


async def test_what_a_posting_of_ones_own_says_beyond_its_fields_comes_along(tmp_path: Path) -> None:
    ctx = ToolContext("key", "run_1", "step_1", 1, "user_1", "job_search", tmp_path)
    (user_folder(ctx) / "jobs.json").write_text(json.dumps([{**JOB, "note": "call first"}]))

    result = await result_of("job_search", {"query": "Gärtner"}, tmp_path)

    assert result["jobs"][0]["note"] == "call first"
