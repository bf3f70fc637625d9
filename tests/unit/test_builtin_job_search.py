from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tools import ArgsUnfit, Tool, ToolContext, ToolError, load_registry, plain
from engine.tools.builtin.folders import user_folder
from engine.tools.builtin.postings import Posting, postings_of
from engine.tools.builtin.ranking import rank
from engine.values import check_json

TOOL = load_registry().get("job_search")
assert TOOL is not None
SEARCH: Tool = TOOL


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return ToolContext("key", "run_1", "step_1", 1, "user_1", "tool", tmp_path)


@pytest.fixture
def search(ctx) -> Callable[..., Any]:
    async def run(**args: Any) -> Any:
        return await SEARCH.call(ctx, SEARCH.fit(args))

    return run


def own(ctx: ToolContext, content: object) -> None:
    (user_folder(ctx) / "jobs.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_the_shipped_catalogue_is_large_varied_and_fictional(tmp_path):
    postings = postings_of(tmp_path)

    assert len(postings) >= 60
    assert len({posting.id for posting in postings}) == len(postings)
    assert len({posting.location for posting in postings}) >= 15
    assert len({posting.category for posting in postings}) >= 10
    assert sum(posting.remote for posting in postings) >= 10
    for posting in postings:
        assert posting.url
        assert posting.url.split("/")[2].endswith(".example")
        assert posting.apply_to
        assert posting.apply_to.endswith(".example")
        assert posting.salary
        assert posting.salary.min < posting.salary.max
        assert posting.skills
        assert posting.description
        assert posting.posted_at


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("backend jobs", "backend"),
        ("Back-End", "backend"),
        ("front end developer", "frontend"),
        ("some nursing jobs", "nurs"),
        ("postgres", "postgresql"),
        ("C++", "c++"),
        (".NET developer", ".net"),
        ("devops engineers", "devops"),
        ("teachers", "teacher"),
    ],
)
async def test_the_best_postings_are_about_what_was_asked(search, query, word):
    result = await search(query=query, count=3)

    assert result["jobs"]
    for job in result["jobs"]:
        assert word in f"{job['title']} {job['skills']} {job['description']}".lower()
        assert job["why"]


async def test_results_are_ordered_cut_counted_and_the_same_each_time(search):
    result = await search(query="python", count=4)

    scores = [job["score"] for job in result["jobs"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 4
    assert result["found"] > 4
    assert await search(query="python", count=4) == result
    assert check_json(plain(result), max_bytes=262_144, what="it")


async def test_every_filter_holds(search):
    result = await search(query="engineer", count=50, location="europe", remote=True, min_salary=90_000)

    assert result["jobs"]
    for job in result["jobs"]:
        assert "Europe" in job["location"]
        assert job["remote"]
        assert job["salary"]["max"] >= 90_000
    seniors = await search(query="developer", seniority="junior")
    assert seniors["jobs"]
    assert {job["seniority"] for job in seniors["jobs"]} == {"junior"}


async def test_a_place_in_the_query_prefers_it_and_is_not_enough_alone(search):
    result = await search(query="python in berlin")

    assert result["jobs"][0]["location"].startswith("Berlin")
    assert all("Python" in job["skills"] for job in result["jobs"])


async def test_what_no_posting_has_finds_nothing_and_is_named(search):
    assert await search(query="astronaut") == {"jobs": [], "found": 0, "unknown_words": ["astronaut"]}
    assert (await search(query="nurse at Initech"))["unknown_words"] == ["initech"]


async def test_a_query_that_says_nothing_finds_everything_newest_first(search):
    result = await search(query="any job", count=50)

    dates = [job["posted_at"] for job in result["jobs"]]
    assert result["found"] == len(postings_of(Path("/nowhere")))
    assert dates == sorted(dates, reverse=True)


async def test_a_users_own_postings_replace_the_shipped_ones(ctx, search):
    own(ctx, [{"id": "1", "title": "Lion tamer", "company": "Circus", "colour": "red"}])

    result = await search(query="lion")

    assert [job["title"] for job in result["jobs"]] == ["Lion tamer"]
    assert result["jobs"][0]["colour"] == "red"
    assert (await search(query="backend"))["found"] == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "the file: Invalid JSON"),
        ([{"id": "1", "title": "x"}], "0.company: Field required"),
        ([{"id": 1, "title": "x", "company": "y", "salary": {"min": "5"}}], "0.id"),
        ({}, "the file: Input should be a valid array"),
    ],
)
async def test_a_faulty_file_of_ones_own_is_a_clear_error_that_is_not_retried(ctx, search, content, says):
    own(ctx, content)

    with pytest.raises(ToolError, match=r"^jobs\.json ") as failed:
        await search(query="x")

    assert says in failed.value.message
    assert failed.value.retryable is False


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"query": "x", "count": 0},
        {"query": "x", "count": 51},
        {"query": "x" * 501},
        {"query": "x", "seniority": "boss"},
    ],
)
def test_arguments_are_bounded(args):
    with pytest.raises(ArgsUnfit):
        SEARCH.fit(args)


async def test_users_see_only_their_own_folder_whatever_their_id(tmp_path, search):
    for user in ("..", "../../etc", "a/b", "ä ö"):
        ctx = ToolContext("key", "run_1", "step_1", 1, user, "tool", tmp_path)

        folder = user_folder(ctx)

        assert folder.parent == tmp_path / "users"
        assert folder.resolve().parent == (tmp_path / "users").resolve()
        assert folder.stat().st_mode & 0o777 == 0o700


@given(st.text(max_size=40))
def test_no_query_breaks_the_ranking(query):
    postings = [Posting(id=str(n), title=title, company="C") for n, title in enumerate(["Nurse", "Python nurse"])]

    found, _ = rank(postings, query)

    assert len(found) <= 2


@pytest.mark.parametrize(
    ("there", "args", "said"),
    [
        (3, {"query": "backend", "count": 2}, []),
        (2, {"query": "backend", "count": 2}, []),
        (1, {"query": "backend", "count": 2}, ["1 of 2 found"]),
        (0, {"query": "backend", "count": 2}, ["0 of 2 found"]),
        (2, {"query": "backend kotlinn", "count": 2}, ["no posting has the word kotlinn"]),
        (1, {"query": "backend kotlinn", "count": 2}, ["1 of 2 found", "no posting has the word kotlinn"]),
        (1, {"query": "quark zebra", "count": 1}, ["0 of 1 found", "no posting has the words quark, zebra"]),
    ],
)
async def test_fewer_than_were_asked_for_and_words_that_nothing_has_are_said(ctx, search, there, args, said):
    own(ctx, [{"id": str(number), "title": "Backend engineer", "company": "Park"} for number in range(there)])

    await search(**args)

    assert ctx.notices.texts == said
