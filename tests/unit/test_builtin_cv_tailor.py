from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tools import ArgsUnfit, Tool, ToolContext, load_registry, plain
from engine.tools.builtin.folders import user_folder
from engine.tools.builtin.postings import Posting, postings_of
from engine.tools.builtin.resumes import Resume, as_json, sample_resume
from engine.tools.builtin.tailoring import FEWEST_HIGHLIGHTS, MOST_HIGHLIGHTS, MOST_PROJECTS, tailor
from engine.values import fault_of

TOOL = load_registry().get("cv_tailor")
assert TOOL is not None
TAILOR: Tool = TOOL

JOB = {"id": "1", "title": "Gardener", "company": "Park", "skills": ["Pruning", "Roses", "French"]}
CV: dict[str, Any] = {
    "$schema": "https://example.org/schema.json",
    "basics": {"name": "Ann Otter", "image": "ann.png"},
    "work": [
        {
            "name": "Zoo",
            "startDate": "2020",
            "highlights": ["Fed lions.", "Cut costs.", "Pruning of 300 roses.", "Painted.", "Roses again."],
        },
        {"name": "Shop", "startDate": "2010", "endDate": "2019-12", "highlights": ["Sold a.", "Sold b.", "Sold c."]},
    ],
    "skills": [{"name": "Office", "keywords": ["Excel"]}, {"name": "Outdoors", "keywords": ["Mowing", "Pruning"]}],
    "languages": [{"language": "French", "fluency": "Native"}],
    "meta": {"version": "1"},
}


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return ToolContext("key", "run_1", "step_1", 1, "user_1", "tool", tmp_path)


@pytest.fixture
def run(ctx) -> Callable[..., Any]:
    async def call(**args: Any) -> Any:
        return await TAILOR.call(ctx, TAILOR.fit(args))

    return call


def leaves(value: object) -> set[object]:
    if isinstance(value, dict):
        return set().union(*map(leaves, value.values()))
    if isinstance(value, list):
        return set().union(*map(leaves, value))
    return {value}


async def test_what_answers_the_posting_comes_first_and_the_rest_is_shortened(run):
    result = await run(job=JOB, resume=CV)

    resume = result["resume"]
    assert resume["work"][0]["highlights"] == ["Pruning of 300 roses.", "Roses again."]
    assert resume["work"][1]["highlights"] == ["Sold a.", "Sold b."]
    assert [work["name"] for work in resume["work"]] == ["Zoo", "Shop"]
    assert resume["skills"] == [
        {"name": "Outdoors", "keywords": ["Pruning", "Mowing"]},
        {"name": "Office", "keywords": ["Excel"]},
    ]
    assert result["match"]["score"] == 1.0
    assert result["sample"] is False
    assert "projects" not in resume


async def test_what_is_not_read_is_kept(run):
    resume = (await run(job=JOB, resume=CV))["resume"]

    assert resume["$schema"] == CV["$schema"]
    assert resume["meta"] == CV["meta"]
    assert resume["basics"] == CV["basics"]


async def test_the_match_says_what_is_shown_where_and_what_is_missing(run):
    match = (await run(job={**JOB, "skills": ["Pruning", "Roses", "Chess"]}, resume=CV))["match"]

    assert match["score"] == 0.67
    assert match["matched"] == ["Pruning", "Roses"]
    assert match["missing"] == ["Chess"]
    assert "Pruning: listed under Outdoors." in match["explanation"]
    assert "Roses: shown at Zoo." in match["explanation"]


async def test_a_skill_inside_another_word_is_not_shown(run):
    cv = {"basics": {"name": "Ann"}, "skills": [{"name": "x", "keywords": ["JavaScript", "Django"]}]}

    assert (await run(job={**JOB, "skills": ["Java", "Go"]}, resume=cv))["match"]["matched"] == []


async def test_the_markdown_says_what_the_resume_says(run):
    markdown = (await run(job=JOB, resume=CV))["markdown"]

    assert markdown.startswith("# Ann Otter\n")
    assert "### Zoo (2020 – now)\n\n- Pruning of 300 roses.\n- Roses again.\n" in markdown
    assert "- **Outdoors**: Pruning, Mowing\n- **Office**: Excel" in markdown
    assert "- French, Native" in markdown


@given(st.sampled_from(postings_of(Path("/nowhere"))))
def test_nothing_is_ever_invented(posting):
    before = as_json(sample_resume())

    tailored, match = tailor(sample_resume(), posting)

    after = as_json(tailored)
    assert leaves(after) <= leaves(before)
    assert after["basics"] == before["basics"]
    assert len(after["work"]) == len(before["work"])
    assert len(after["projects"]) <= MOST_PROJECTS
    for work in after["work"]:
        assert FEWEST_HIGHLIGHTS <= len(work["highlights"]) <= MOST_HIGHLIGHTS
    assert set(match.matched) | set(match.missing) == set(posting.skills)
    assert 0 <= match.score <= 1


async def test_without_any_cv_a_sample_is_used_and_says_so(ctx, run):
    result = await run(job=JOB)

    assert result["sample"] is True
    assert "sample" in result["resume"]["basics"]["name"]
    assert "users/user_1/resume.json" in result["match"]["explanation"][0]
    assert ctx.notices.texts == [result["match"]["explanation"][0]]
    assert fault_of(plain(result)) is None


async def test_the_users_own_cv_is_used_before_the_sample(ctx, run):
    (user_folder(ctx) / "resume.json").write_text(json.dumps(CV))

    result = await run(job=JOB)

    assert result["sample"] is False
    assert result["resume"]["basics"]["name"] == "Ann Otter"


async def test_what_could_not_be_read_of_ones_own_cv_is_a_notice(ctx, run):
    (user_folder(ctx) / "resume.json").write_text(json.dumps({**CV, "work": [{"name": "Zoo", "startDate": "May"}]}))

    result = await run(job=JOB)

    assert "### Zoo (May – now)" in result["markdown"]
    assert ctx.notices.texts == ["CV: work.0.startDate “May” can't be read as a date; it stands as it was written"]


async def test_what_could_not_be_read_of_a_cv_that_is_given_is_a_notice_too(ctx, run):
    result = await run(job=JOB, resume={**CV, "skills": [True, "Pruning"], "work": None})

    assert result["resume"]["skills"] == [{"name": "Pruning"}]
    assert "work" not in result["resume"]
    assert ctx.notices.texts == ["CV: skills.0 was left out, as true is no text"]


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"job": {"id": "1", "title": "x"}}, ("job", "company")),
        ({"job": None}, ("job",)),
        ({"job": JOB, "resume": {}}, ("resume", "basics")),
        ({"job": JOB, "resume": {**CV, "basics": {"name": " "}}}, ("resume", "basics", "name")),
        ({"job": JOB, "resume": "CV"}, ("resume",)),
    ],
)
def test_unfit_arguments_are_named_at_their_path(args, path):
    with pytest.raises(ArgsUnfit) as unfit:
        TAILOR.fit(args)

    assert [fault.path for fault in unfit.value.faults] == [path]


def test_a_posting_without_skills_is_matched_by_its_title():
    resume = Resume.model_validate_json(json.dumps(CV))

    _, match = tailor(resume, Posting(id="1", title="Pruning of roses", company="Park"))

    assert match.matched == ["pruning", "rose"]
