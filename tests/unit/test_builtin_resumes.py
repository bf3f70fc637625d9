"""CVs as people's files hold them: what can be read is read, what can't is said, and all of it is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tools import ToolError, load_registry
from engine.tools.builtin.postings import postings_of
from engine.tools.builtin.resumes import OWN_FILE, Resume, as_json, as_markdown, own_resume, sample_resume
from engine.tools.builtin.resumes.dates import is_ongoing, read_date
from engine.values import fault_of

ANN: dict[str, Any] = {"name": "Ann Otter"}


def read(**parts: Any) -> Resume:
    return Resume.model_validate_json(json.dumps({"basics": ANN, **parts}), strict=True)


def of_file(folder: Path, content: bytes) -> Resume:
    (folder / OWN_FILE).write_bytes(content)
    resume = own_resume(folder)
    assert resume is not None
    return resume


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2023", "2023"),
        ("2023-09", "2023-09"),
        ("2023-09-24", "2023-09-24"),
        ("2023-9-24", "2023-09-24"),
        ("2023-9", "2023-09"),
        (" 2023/09/24 ", "2023-09-24"),
        ("2023.9", "2023-09"),
        ("2023-09-24T00:00:00.000Z", "2023-09-24"),
        ("2023-09-24T23:59:59+02:00", "2023-09-24"),
        ("2023-09-24 10:30", "2023-09-24"),
        ("20230924", "2023-09-24"),
        ("2023-00-00", "2023"),
        ("2023-09-00", "2023-09"),
        ("09/2023", "2023-09"),
        ("9.2023", "2023-09"),
        ("24.09.2023", "2023-09-24"),
        ("24/09/2023", "2023-09-24"),
        ("09/24/2023", "2023-09-24"),
        ("09-09-2023", "2023-09-09"),
        ("Sep 2023", "2023-09"),
        ("Sept. 2023", "2023-09"),
        ("September, 2023", "2023-09"),
        ("2023 sep", "2023-09"),
        ("24 September 2023", "2023-09-24"),
        ("September 24th, 2023", "2023-09-24"),
        ("1st May 2020", "2020-05-01"),
        ("04/09/2023", None),
        ("2023-13", None),
        ("2023-02-30", None),
        ("30 February 2023", None),
        ("2023-09-24 or so", None),
        ("0999", None),
        ("May", None),
        ("Summer 2019", None),
        ("May 2019 - June 2020", None),
        ("2019 - 2020", None),
        ("5 years", None),
        ("maybe 2019", None),
    ],
)
def test_dates_are_read_as_people_write_them_and_never_guessed(written, date):
    assert read_date(written) == date


@pytest.mark.parametrize(
    "word", ["Present", "present", " CURRENT ", "now", "Till  date", "ongoing.", "(current)", "heute"]
)
def test_an_end_that_has_not_come_is_known_by_its_words(word):
    assert is_ongoing(word)
    assert not is_ongoing(f"{word} 2019")


@pytest.mark.parametrize(
    ("part", "kept", "printed", "remarks"),
    [
        ({"work": [{"name": "Zoo", "startDate": "2020", "endDate": ""}]},
         {"work": [{"name": "Zoo", "startDate": "2020"}]}, "### Zoo (2020 – now)", []),
        ({"work": [{"name": "Zoo", "startDate": "2020", "endDate": "Present"}]},
         {"work": [{"name": "Zoo", "startDate": "2020"}]}, "### Zoo (2020 – now)", []),
        ({"work": [{"name": "Zoo", "startDate": "2020-9-1", "endDate": "2021-01-31T00:00:00Z"}]},
         {"work": [{"name": "Zoo", "startDate": "2020-09-01", "endDate": "2021-01-31"}]},
         "### Zoo (2020-09-01 – 2021-01-31)", []),
        ({"work": [{"name": "Zoo", "startDate": 2020, "endDate": "spring 2021"}]},
         {"work": [{"name": "Zoo", "startDate": "2020", "endDate": "spring 2021"}]}, "### Zoo (2020 – spring 2021)",
         ["CV: work.0.endDate “spring 2021” can't be read as a date; it stands as it was written"]),
        ({"education": [{"institution": "Uni", "startDate": "2020", "endDate": "Present"}]},
         {"education": [{"institution": "Uni", "startDate": "2020", "endDate": "Present"}]},
         "### Uni (2020 – now)", []),
        ({"education": [{"institution": "Uni", "endDate": "2020"}]},
         {"education": [{"institution": "Uni", "endDate": "2020"}]}, "### Uni (2020)", []),
        ({"work": [{"company": "Zoo", "website": "https://zoo.example", "position": "Keeper"}]},
         {"work": [{"name": "Zoo", "position": "Keeper", "url": "https://zoo.example"}]},
         "### Keeper, Zoo\n\nhttps://zoo.example", []),
        ({"work": [{"company": "Zoo", "name": "Zoo"}]}, {"work": [{"name": "Zoo"}]}, "### Zoo", []),
        ({"work": [{"company": "Zoo Ltd", "name": "Zoo"}]},
         {"work": [{"name": "Zoo", "company": "Zoo Ltd"}]}, "### Zoo",
         ["CV: JSON Resume has no work.0.company; kept in the JSON, not printed in the text"]),
        ({"work": None, "education": [], "skills": [None, {}, {"name": " "}], "languages": ""}, {}, "", []),
        ({"work": {"name": "Zoo", "highlights": None, "summary": None}}, {"work": [{"name": "Zoo"}]}, "### Zoo", []),
        ({"education": [{"institution": "Uni", "score": 3.8, "courses": ["A", "", None, 7]}]},
         {"education": [{"institution": "Uni", "score": "3.8", "courses": ["A", "7"]}]},
         "### Uni\n\nScore: 3.8\n\n- A\n- 7", []),
        ({"skills": [{"name": "DevOps"}]}, {"skills": [{"name": "DevOps"}]}, "- **DevOps**\n", []),
        ({"skills": [{"name": "DevOps", "level": "Master", "keywords": []}]},
         {"skills": [{"name": "DevOps", "level": "Master"}]}, "- **DevOps** (Master)\n", []),
        ({"skills": [{"keywords": ["Excel"]}]}, {"skills": [{"keywords": ["Excel"]}]}, "- Excel\n", []),
        ({"skills": ["Excel", "Word"]},
         {"skills": [{"name": "Excel"}, {"name": "Word"}]}, "- **Excel**\n- **Word**", []),
        ({"skills": [{"name": "Office", "keywords": "Excel\nWord"}]},
         {"skills": [{"name": "Office", "keywords": ["Excel", "Word"]}]}, "- **Office**: Excel, Word", []),
        ({"languages": ["French"]}, {"languages": [{"language": "French"}]}, "- French", []),
        ({"volunteer": [{"organization": "Shelter", "position": "Cook", "startDate": "2019", "website": "s.example",
                         "summary": "Soup.", "highlights": ["Fed 300."]}]},
         {"volunteer": [{"organization": "Shelter", "position": "Cook", "url": "s.example", "startDate": "2019",
                         "summary": "Soup.", "highlights": ["Fed 300."]}]},
         "## Volunteer work\n\n### Cook, Shelter (2019 – now)\n\ns.example\n\nSoup.\n\n- Fed 300.", []),
        ({"awards": [{"title": "Best", "date": "2014-11-1", "awarder": "Zoo", "summary": "For\nall."}]},
         {"awards": [{"title": "Best", "date": "2014-11-01", "awarder": "Zoo", "summary": "For\nall."}]},
         "## Awards\n\n- Best, Zoo, 2014-11-01: For all.", []),
        ({"certifications": [{"name": "CKA", "issuer": "CNCF", "date": "May 2021", "url": "c.example"}]},
         {"certificates": [{"name": "CKA", "issuer": "CNCF", "date": "2021-05", "url": "c.example"}]},
         "## Certificates\n\n- CKA, CNCF, 2021-05, c.example", []),
        ({"publications": [{"name": "Otters", "publisher": "P", "releaseDate": "2014", "website": "p.example"}]},
         {"publications": [{"name": "Otters", "publisher": "P", "releaseDate": "2014", "url": "p.example"}]},
         "## Publications\n\n- Otters, P, 2014, p.example", []),
        ({"interests": [{"name": "Wildlife", "keywords": ["Ferrets"]}]},
         {"interests": [{"name": "Wildlife", "keywords": ["Ferrets"]}]}, "## Interests\n\n- **Wildlife**: Ferrets", []),
        ({"references": [{"name": "Bo", "reference": "Ok"}]}, {"references": [{"name": "Bo", "reference": "Ok"}]},
         "## References\n\n- Bo: Ok", []),
        ({"projects": [{"name": "P", "roles": ["Lead"], "entity": "E", "type": "app", "keywords": ["k"], "url": "u"}]},
         {"projects": [{"name": "P", "keywords": ["k"], "url": "u", "roles": ["Lead"], "entity": "E", "type": "app"}]},
         "### P\n\nLead, E, app, u\n\nk", []),
        ({"work": [{"name": "Zoo", "position": False, "summary": {"a": {"b": "c"}}}]}, {"work": [{"name": "Zoo"}]},
         "### Zoo",
         ["CV: work.0.position was left out, as false is no text",
          "CV: work.0.summary was left out, as an object is no text"]),
        ({"skills": 7, "work": True}, {"skills": [{"name": "7"}]}, "- **7**",
         ["CV: work.0 was left out, as true is no text"]),
        ({"meta": {"v": 1}, "$schema": "s", "hobbies": ["x"]}, {"$schema": "s", "meta": {"v": 1}, "hobbies": ["x"]}, "",
         ["CV: JSON Resume has no hobbies; kept in the JSON, not printed in the text"]),
        ({"skills": [{"name": "x" * 10_001}]}, {"skills": [{"name": "x" * 9_999 + "…"}]}, "x…",
         ["CV: skills.0.name has 10001 characters, and the first 9999 were taken"]),
        ({"education": [{"area": "A"}] * 51}, {"education": [{"area": "A"}] * 50}, "### A",
         ["CV: education has 51 entries, and the first 50 were taken"]),
    ],
)  # fmt: skip
def test_what_people_write_is_read_kept_and_printed(part, kept, printed, remarks):
    resume = read(**part)

    assert as_json(resume) == {"basics": ANN, **kept}
    assert printed in as_markdown(resume)
    assert list(resume.left_out) == remarks


@pytest.mark.parametrize(
    ("basics", "kept", "heading"),
    [
        ({"picture": "a.png", "website": "a.example"}, {"image": "a.png", "url": "a.example"}, "a.example"),
        ({"location": {"postalCode": 10115, "city": "Berlin", "countryCode": "DE", "region": "", "address": "Park 1"}},
         {"location": {"address": "Park 1", "postalCode": "10115", "city": "Berlin", "countryCode": "DE"}},
         "Park 1, 10115 Berlin, DE"),
        ({"location": "Berlin"}, {"location": {"address": "Berlin"}}, "Berlin"),
        ({"location": ["Berlin", "DE"]}, {"location": {"address": "Berlin, DE"}}, "Berlin, DE"),
        ({"phone": 4930123, "email": ""}, {"phone": "4930123"}, "4930123"),
        ({"profiles": [{"network": "Code", "username": "ann"}, {"url": "c.example/ann", "username": "ann"}]},
         {"profiles": [{"network": "Code", "username": "ann"}, {"username": "ann", "url": "c.example/ann"}]},
         "Code, ann · c.example/ann"),
        ({"profiles": [{"network": "X", "username": "ann", "url": "x.example/7"}, "y.example"]},
         {"profiles": [{"network": "X", "username": "ann", "url": "x.example/7"}, {"url": "y.example"}]},
         "X, ann, x.example/7 · y.example"),
    ],
)  # fmt: skip
def test_who_it_is_is_read_and_printed_whole(basics, kept, heading):
    resume = read(basics={**ANN, **basics})

    assert as_json(resume) == {"basics": {**ANN, **kept}}
    assert as_markdown(resume) == f"# Ann Otter\n\n{heading}\n"
    assert resume.left_out == ()


def test_the_sample_is_read_without_a_remark_and_unchanged():
    shipped = json.loads((Path(__file__).parents[2] / "engine/tools/builtin/data/resume.json").read_bytes())

    assert as_json(sample_resume()) == shipped
    assert sample_resume().left_out == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_fault(tmp_path, encoding):
    resume = of_file(tmp_path, json.dumps({"basics": {"name": "Zoë"}}, ensure_ascii=False).encode(encoding))
    (tmp_path / "jobs.json").write_bytes('[{"id": "1", "title": "Köchin", "company": "Zoo"}]'.encode(encoding))

    assert resume.basics.name == "Zoë"
    assert [posting.title for posting in postings_of(tmp_path)] == ["Köchin"]


def test_what_no_database_keeps_is_replaced_or_left_out(tmp_path):
    content = b'{"basics": {"name": "A\\u0000n\\ud800n", "x": NaN, "y": 9007199254740993, "z": [{"\\ud800": 1}]}}'
    resume = of_file(tmp_path, content)

    assert fault_of(as_json(resume)) is None
    assert resume.basics.name == "A␀n?n"
    assert len(resume.left_out) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "resume.json is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"basics": ', "resume.json is no JSON: Expecting value: line 1 column 12 (char 11)"),
        (b"[]", "resume.json should be an object, as JSON Resume says"),
        (b"\xff\x00", "resume.json is no text in UTF-8"),
        (b"[" * 100_000, "resume.json is nested too deeply"),
        (b"{}", "resume.json can't be used: basics is missing"),
        (b'{"basics": {"label": "x"}}', "resume.json can't be used: basics.name is missing"),
        (b'{"basics": {"name": null}}', "resume.json can't be used: basics.name is missing"),
        (b'{"basics": {"name": [{}]}, "work": [{"name": "x"}]}', "resume.json can't be used: basics.name is missing"),
    ],
)
def test_what_is_no_cv_is_a_clear_error(tmp_path, content, message):
    with pytest.raises(ToolError) as refused:
        of_file(tmp_path, content)

    assert (refused.value.message, refused.value.retryable) == (message, False)


def test_a_cv_beside_a_reference_is_checked_as_leniently():
    cv = {
        "basics": {**ANN, "phone": 7},
        "work": None,
        "skills": ["Excel"],
        "education": [{"score": 3.8, "courses": None}],
    }
    submit = load_registry().get("job_submit")
    assert submit is not None

    assert submit.faults({"job": {"$jmespath": "a.job"}, "resume": cv}) == []


SCHEMA: dict[str, Any] = Resume.model_json_schema()
NAMES = sorted({name for part in SCHEMA["$defs"].values() for name in part["properties"]})
OLD_OR_UNKNOWN = ["company", "website", "picture", "gpa", "other"]
TEXT = st.one_of(
    st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["", " ", "Present", "2020-1", "May 2020", "x\ny", "a\x00b", "https://a.example"]),
)
SCALAR = st.one_of(TEXT, st.none(), st.booleans(), st.integers(-5, 3000), st.floats())
MESS = st.one_of(
    SCALAR, st.lists(SCALAR, max_size=3), st.dictionaries(TEXT, st.one_of(SCALAR, st.lists(SCALAR)), max_size=2)
)
PART = st.one_of(MESS, st.dictionaries(st.sampled_from([*NAMES, *OLD_OR_UNKNOWN]), MESS, max_size=6))
BASICS = st.dictionaries(st.sampled_from([*SCHEMA["$defs"]["Basics"]["properties"], *OLD_OR_UNKNOWN]), PART, max_size=6)
CV = st.builds(
    lambda parts, basics: {**parts, "basics": {**basics, "name": "Ann"}},
    st.dictionaries(
        st.sampled_from([*SCHEMA["properties"], "meta", "hobbies"]),
        st.one_of(PART, st.lists(PART, max_size=3)),
        max_size=5,
    ),
    BASICS,
)


def texts_of(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts in a value, with the names that lead to them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts_of(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner, path)
    elif isinstance(value, str):
        yield path, value


def is_known(path: tuple[str, ...]) -> bool:
    """Whether JSON Resume has such a field."""
    here = SCHEMA
    for name in path:
        if name not in here.get("properties", {}):
            return False
        field = here["properties"][name]
        forms = [field, *field.get("anyOf", ()), field.get("items", {}), *field.get("items", {}).get("anyOf", ())]
        refs = [form["$ref"].rpartition("/")[2] for form in forms if "$ref" in form]
        here = SCHEMA["$defs"][refs[0]] if refs else {}
    return True


@given(CV)
def test_any_cv_with_a_name_is_read_and_printed_whole(cv):
    resume = Resume.model_validate(cv)

    kept, markdown = as_json(resume), as_markdown(resume)
    again = Resume.model_validate(kept)

    assert fault_of(kept) is None
    line = " ".join(markdown.split())
    for path, text in texts_of(kept):
        if is_known(path) and path[-1] != "image":
            said = "now" if path[-1] == "endDate" and is_ongoing(text) else " ".join(text.split())
            assert said in line, (path, text)
    assert "****" not in markdown
    assert "**: \n" not in markdown
    assert "()" not in markdown or any("()" in text for _, text in texts_of(kept))
    # What was read is read again as it is, and nothing more is left out of it.
    assert as_json(again) == kept
    assert as_markdown(again) == markdown
    assert not [remark for remark in again.left_out if "left out" in remark]
