"""The built-in tools' levels say what the tools do: L0 reads, L1 writes what is one's own, L3 goes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.tools import ToolContext, load_registry
from engine.tools.builtin.resumes import as_json, sample_resume
from persistence.states import Risk

TOOLS = load_registry()
JOB = {"id": "1", "title": "Gardener", "company": "Park", "apply_to": "jobs@park.example"}
CALLS: dict[str, dict[str, Any]] = {
    "calendar_create": {"title": "Gym", "starts": ["2030-03-02T18:00:00+01:00"]},
    "cv_tailor": {"job": JOB},
    "grocery_plan": {},
    "job_search": {"query": "gardener"},
    "job_submit": {"job": JOB, "resume": as_json(sample_resume())},
}


def is_written(folder: Path) -> bool:
    return any(folder.iterdir())


@pytest.mark.parametrize("name", CALLS)
async def test_a_tool_writes_files_only_above_the_level_of_reads(tmp_path: Path, name: str):
    tool = TOOLS.get(name)
    assert tool is not None

    await tool.call(ToolContext("key", "run_1", "step_1", 1, "user_1", name, tmp_path), tool.fit(CALLS[name]))

    assert is_written(tmp_path) is (tool.risk > Risk.L0)
