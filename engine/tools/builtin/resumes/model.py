"""What is read of a CV: the parts that JSON Resume has, in both of its generations, and the rest kept as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from engine.tools.builtin.resumes.reading import DATE, Reading

Text = Annotated[str, Field(max_length=10_000)]
Day = Annotated[str, Field(max_length=200), DATE]
"""A date: a year, a month or a day as JSON Resume writes it, or in words that can't be read as one."""
Texts = Annotated[list[Text], Field(max_length=200)]


def _title(name: str, _field: object) -> str:
    return name.replace("_", " ").capitalize()


class Part(BaseModel):
    """A part of a CV."""

    model_config = ConfigDict(
        extra="allow", alias_generator=to_camel, serialize_by_alias=True, field_title_generator=_title
    )

    formerly: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What fields were called in the older generation of the format, or are by mistake."""
    main: ClassVar[str] = "name"
    """The field that a mere text in its place stands for."""
    goes_on: ClassVar[bool] = False
    """Whether it still goes on when no end is said."""
    unprinted: ClassVar[frozenset[str]] = frozenset()
    """What may be said beside the fields without being missed in the text for people."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The form to write, lenient where more is read: nulls everywhere, numbers for texts, one for a list of one."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"] = {name: _lenient(each) for name, each in schema.get("properties", {}).items()}
        return schema


class Place(Part):
    """Where somebody lives."""

    main = "address"

    address: Text | None = None
    postal_code: Text | None = None
    city: Text | None = None
    region: Text | None = None
    country_code: Text | None = None


class Profile(Part):
    """An account somewhere else."""

    main = "url"

    network: Text | None = None
    username: Text | None = None
    url: Text | None = None


class Basics(Part):
    """Who it is."""

    formerly = {"url": ("website",), "image": ("picture",)}
    name: Annotated[str, Field(min_length=1, max_length=200)]
    label: Text | None = None
    image: Text | None = None
    email: Annotated[str, Field(max_length=254)] | None = None
    phone: Text | None = None
    url: Text | None = None
    summary: Text | None = None
    location: Place | None = None
    profiles: Annotated[list[Profile], Field(max_length=50)] = []


class Work(Part):
    """One position."""

    formerly = {"name": ("company",), "url": ("website",)}
    goes_on = True

    name: Text | None = None
    position: Text | None = None
    location: Text | None = None
    url: Text | None = None
    description: Text | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    summary: Text | None = None
    highlights: Texts = []


class Volunteer(Part):
    """Work for others, unpaid."""

    formerly = {"url": ("website",)}
    main = "organization"
    goes_on = True

    organization: Text | None = None
    position: Text | None = None
    url: Text | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    summary: Text | None = None
    highlights: Texts = []


class Education(Part):
    """One course of study."""

    formerly = {"score": ("gpa",), "url": ("website",)}
    main = "institution"

    institution: Text | None = None
    url: Text | None = None
    area: Text | None = None
    study_type: Text | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    score: Text | None = None
    courses: Texts = []


class Award(Part):
    """Something that was won."""

    main = "title"

    title: Text | None = None
    date: Day | None = None
    awarder: Text | None = None
    summary: Text | None = None


class Certificate(Part):
    """Something that was examined."""

    name: Text | None = None
    date: Day | None = None
    issuer: Text | None = None
    url: Text | None = None


class Publication(Part):
    """Something that was published."""

    formerly = {"url": ("website",)}
    name: Text | None = None
    publisher: Text | None = None
    release_date: Day | None = None
    url: Text | None = None
    summary: Text | None = None


class Skill(Part):
    """A group of skills."""

    name: Text | None = None
    level: Text | None = None
    keywords: Texts = []


class Language(Part):
    """A language spoken."""

    formerly = {"language": ("name",)}
    main = "language"

    language: Text | None = None
    fluency: Text | None = None


class Interest(Part):
    """Something that somebody likes."""

    name: Text | None = None
    keywords: Texts = []


class Reference(Part):
    """What somebody says of the person."""

    main = "reference"

    name: Text | None = None
    reference: Text | None = None


class Project(Part):
    """Something made."""

    formerly = {"url": ("website",)}
    name: Text | None = None
    description: Text | None = None
    highlights: Texts = []
    keywords: Texts = []
    start_date: Day | None = None
    end_date: Day | None = None
    url: Text | None = None
    roles: Texts = []
    entity: Text | None = None
    type: Text | None = None


class Resume(Part):
    """A whole CV; `basics.name` alone is required.

    It is read from what people's files hold: empty, null and blank mean unsaid, numbers stand for texts, dates come as
    people write them, and `left_out` says in a sentence each what could not be taken as it was.
    """

    formerly = {"certificates": ("certifications",)}
    unprinted = frozenset({"$schema", "meta"})

    basics: Basics
    work: Annotated[list[Work], Field(max_length=100)] = []
    volunteer: Annotated[list[Volunteer], Field(max_length=100)] = []
    education: Annotated[list[Education], Field(max_length=50)] = []
    awards: Annotated[list[Award], Field(max_length=100)] = []
    certificates: Annotated[list[Certificate], Field(max_length=100)] = []
    publications: Annotated[list[Publication], Field(max_length=200)] = []
    skills: Annotated[list[Skill], Field(max_length=100)] = []
    languages: Annotated[list[Language], Field(max_length=50)] = []
    interests: Annotated[list[Interest], Field(max_length=100)] = []
    references: Annotated[list[Reference], Field(max_length=100)] = []
    projects: Annotated[list[Project], Field(max_length=100)] = []

    _left_out: tuple[str, ...] = PrivateAttr(())

    @property
    def left_out(self) -> tuple[str, ...]:
        """What could not be read, or is not printed, and why: a sentence for each."""
        return self._left_out

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, handler: ModelWrapValidatorHandler[Resume]) -> Resume:
        if isinstance(value, Resume):
            return value
        reading = Reading()
        given = cast("dict[str, Any] | None", value) if isinstance(value, dict) else None
        resume = handler(value if given is None else reading.part(given, cls, ()))
        resume._left_out = reading.remarks  # noqa: SLF001 -- its own
        return resume


def as_json(resume: Resume) -> dict[str, Any]:
    """The CV as JSON Resume; what was not said stays unsaid."""
    # Arguments have every default written out, null and empty lists, which is no longer unset.
    return resume.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_defaults=True)


_TEXT: Final = ("string", "number", "null")


def _lenient(schema: dict[str, Any]) -> dict[str, Any]:
    """A field's schema that takes all that is read: the form stays, its bounds do not, as what is past them is cut."""
    branches = [each for each in schema.pop("anyOf", [schema]) if each.get("type") != "null"]
    said = {name: schema[name] for name in ("title", "description", "default") if name in schema}
    [form] = branches
    if form.get("type") == "string":
        return {**said, "type": list(_TEXT)}
    if form.get("type") == "array":
        items = {"type": list(_TEXT)} if "type" in form["items"] else {"anyOf": [form["items"], {"type": list(_TEXT)}]}
        return {**said, "type": ["array", *_TEXT], "items": items}
    return {**said, "anyOf": [{"$ref": form["$ref"]}, {"type": list(_TEXT)}]}
