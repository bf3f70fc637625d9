"""A CV for people to read: everything that it says, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.tools.builtin.resumes.dates import is_ongoing
from engine.tools.builtin.resumes.model import (
    Award,
    Basics,
    Certificate,
    Education,
    Interest,
    Place,
    Profile,
    Project,
    Publication,
    Reference,
    Resume,
    Skill,
    Volunteer,
    Work,
)


def as_markdown(resume: Resume) -> str:
    """The CV for people to read: all that it says but its picture and what JSON Resume does not know."""
    return "\n\n".join([*_heading(resume.basics), *_sections(resume)]) + "\n"


def _heading(basics: Basics) -> list[str]:
    contact = [basics.email, basics.phone, basics.url, _place(basics.location), *map(_profile, basics.profiles)]
    said = [f"# {_line(basics.name)}", f"**{_line(basics.label)}**" if basics.label else ""]
    said += [" · ".join(_line(each) for each in contact if each), basics.summary or ""]
    return [each for each in said if each]


def _place(place: Place | None) -> str:
    if place is None:
        return ""
    city = " ".join(_line(each) for each in (place.postal_code, place.city) if each)
    return _joined([place.address, city, place.region, place.country_code])


def _profile(profile: Profile) -> str:
    user = None if profile.url and profile.username and profile.username in profile.url else profile.username
    network = None if profile.url and profile.network and not user else profile.network
    return _joined([network, user, profile.url])


def _sections(resume: Resume) -> list[str]:
    lists = {
        "Skills": map(_skill, resume.skills),
        "Certificates": map(_certificate, resume.certificates),
        "Awards": map(_award, resume.awards),
        "Publications": map(_publication, resume.publications),
        "Languages": (_point(_joined([each.language, each.fluency])) for each in resume.languages),
        "Interests": map(_interest, resume.interests),
        "References": map(_reference, resume.references),
    }
    entries = {
        "Work": map(_work, resume.work),
        "Projects": map(_project, resume.projects),
        "Education": map(_education, resume.education),
        "Volunteer work": map(_volunteer, resume.volunteer),
    }
    order = (
        "Skills", "Work", "Projects", "Education", "Certificates", "Awards", "Publications", "Volunteer work",
        "Languages", "Interests", "References",
    )  # fmt: skip
    found = {title: "\n".join(filter(None, points)) for title, points in lists.items()}
    found |= {title: "\n\n".join(filter(None, parts)) for title, parts in entries.items()}
    return [f"## {title}\n\n{found[title]}" for title in order if found[title]]


def _skill(skill: Skill) -> str:
    name = f"**{_line(skill.name)}**" if skill.name else ""
    level = _line(skill.level or "")
    head = f"{name} ({level})" if name and level else name or level
    return _point(head, _joined(skill.keywords))


def _interest(interest: Interest) -> str:
    return _point(f"**{_line(interest.name)}**" if interest.name else "", _joined(interest.keywords))


def _certificate(certificate: Certificate) -> str:
    return _point(_joined([certificate.name, certificate.issuer, certificate.date, certificate.url]))


def _award(award: Award) -> str:
    return _point(_joined([award.title, award.awarder, award.date]), award.summary)


def _publication(each: Publication) -> str:
    return _point(_joined([each.name, each.publisher, each.release_date, each.url]), each.summary)


def _reference(reference: Reference) -> str:
    return _point(_line(reference.name or ""), reference.reference)


def _work(work: Work) -> str:
    return _entry(
        [work.position, work.name],
        _time(work.start_date, work.end_date, runs=True),
        _joined([work.location, work.url]),
        work.description,
        work.summary,
        points=work.highlights,
    )


def _volunteer(work: Volunteer) -> str:
    when = _time(work.start_date, work.end_date, runs=True)
    return _entry([work.position, work.organization], when, work.url, work.summary, points=work.highlights)


def _project(project: Project) -> str:
    return _entry(
        [project.name],
        _time(project.start_date, project.end_date, runs=False),
        _joined([*project.roles, project.entity, project.type, project.url]),
        project.description,
        points=project.highlights,
        last=_joined(project.keywords),
    )


def _education(education: Education) -> str:
    return _entry(
        [education.study_type, education.area, education.institution],
        _time(education.start_date, education.end_date, runs=False),
        f"Score: {_line(education.score)}" if education.score else None,
        education.url,
        points=education.courses,
    )


def _entry(
    title: Sequence[str | None], when: str, *texts: str | None, points: Sequence[str] = (), last: str = ""
) -> str:
    """A heading and what belongs under it; without a title, the time is one."""
    head = _joined(title)
    parts = [f"### {head} ({when})" if head and when else f"### {head or when}" if head or when else ""]
    parts += [text or "" for text in texts]
    parts += ["\n".join(_point(_line(point)) for point in points), last]
    return "\n\n".join(filter(None, parts))


def _point(head: str, text: str | None = None) -> str:
    said = ": ".join(filter(None, (head, _line(text or ""))))
    return said and f"- {said}"


def _time(start: str | None, end: str | None, *, runs: bool) -> str:
    """A stretch of time; without an end, work goes on, and other things have one date."""
    goes_on = is_ongoing(end) if end else runs
    if start and (end or goes_on):
        return f"{_line(start)} – {'now' if goes_on else _line(end or '')}"
    return _line(start or ("now" if goes_on and end else end) or "")


def _joined(parts: Iterable[str | None]) -> str:
    return ", ".join(line for part in parts if part and (line := _line(part)))


def _line(text: str) -> str:
    return " ".join(text.split())
