"""How people ask for a tool, as data: what a tool declares, and a planner reads.

A tool of one's own needs no more than a sentence whose placeholders are its parameters:

    @tool(risk="L1", phrases=["send a postcard to {to}[ saying {text}]"])

Brackets hold what may be left out. What a parameter takes (a number, a date, one of a few words, a list,
text) is read from the tool's schema. A tool that needs more freedom declares a `Wording`: its verbs, its
nouns, what else may be said (`slots`), and a builder that turns what was said into steps.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise, product
from typing import Any, Final, Literal, Protocol

from persistence.states import Risk

Repeat = Literal["DAILY", "WEEKLY", "MONTHLY"]


class Phrase:
    """One way to ask for a tool: a `Template` or a `Wording`."""

    __slots__ = ()

    @staticmethod
    def parse(text: str) -> Template:
        """Read a template such as `send a postcard to {to}[ saying {text}]`; ValueError if it is none."""
        return Template(text)


class SpeakableTool(Protocol):
    """What a planner needs to know of a tool."""

    @property
    def name(self) -> str:
        """The tool's name, as a plan's steps call it."""
        ...

    @property
    def risk(self) -> Risk:
        """The tool's own risk."""
        ...

    @property
    def args_schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments."""
        ...

    @property
    def phrases(self) -> Sequence[Phrase | str]:
        """The ways to ask for it; a string is a template."""
        ...


# ── templates ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A parameter of the tool, where its value is said."""

    name: str


TemplatePart = str | Placeholder
_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")
_PART: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}|[^\s{},]+|,|[{}]")
_MOST_OPTIONAL: Final = 5


@dataclass(frozen=True, slots=True)
class Template(Phrase):
    """A sentence with placeholders; `variants` is it with and without each optional part, longest first."""

    text: str
    variants: tuple[tuple[TemplatePart, ...], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        variants = [_parts(text, whole=self.text) for text in _with_and_without(self.text)]
        object.__setattr__(self, "variants", tuple(sorted(variants, key=len, reverse=True)))

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of the parameters it may set."""
        return frozenset(part.name for parts in self.variants for part in parts if isinstance(part, Placeholder))


def _with_and_without(text: str) -> Iterable[str]:
    pieces = _OPTIONAL.split(text)
    optional = pieces[1::2]
    if any(bracket in piece for piece in pieces for bracket in "[]"):
        raise ValueError(f"unbalanced or nested brackets in the phrase {text!r}")
    if len(optional) > _MOST_OPTIONAL:
        raise ValueError(f"more than {_MOST_OPTIONAL} optional parts in the phrase {text!r}")
    for kept in product((True, False), repeat=len(optional)):
        chosen = [piece if keep else "" for piece, keep in zip(optional, kept, strict=True)]
        yield "".join(a + b for a, b in zip(pieces[0::2], [*chosen, ""], strict=True))


def _parts(text: str, *, whole: str) -> tuple[TemplatePart, ...]:
    parts: list[TemplatePart] = []
    for found in _PART.finditer(text):
        if found[0] in "{}":
            raise ValueError(f"a brace that is no placeholder in the phrase {whole!r}")
        if found[1]:
            parts.append(Placeholder(found[1]))
        elif word := found[0].casefold().strip(",.:;!?"):
            parts.append(word)
    names = [part.name for part in parts if isinstance(part, Placeholder)]
    if not parts or isinstance(parts[0], Placeholder):
        raise ValueError(f"the phrase {whole!r} has to begin with a word: that is how it is recognised")
    if len(set(names)) != len(names):
        raise ValueError(f"a placeholder stands twice in the phrase {whole!r}")
    if any(isinstance(a, Placeholder) and isinstance(b, Placeholder) for a, b in pairwise(parts)):
        raise ValueError(f"two placeholders with no word between them in the phrase {whole!r}")
    return tuple(parts)


# ── slots: what may be said beside verb and noun ───────────────────────────────────────────────────


class Slot:
    """Something that may be said in a clause, besides its verb and its noun."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Choice(Slot):
    """One of a few words or word groups, each with what it stands for."""

    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said(Slot):
    """One placeholder among fixed words: `for {number} people`, `over {money}`, `without {list}`.

    The value is an int, a str or a tuple of str; `{money}` is any amount, `{pay}` one that shows it (`$90,000`,
    `80k`). Text ends where anything else that the wording knows begins;
    it does not begin with one of `never`.
    """

    patterns: tuple[str, ...]
    never: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Count(Slot):
    """How many, before anything else: `2`, `a couple of`, `some`; a `Quantity`. With `articles`, `a` is one.

    Beside a `When` it says how many occasions there are to be.
    """

    articles: bool = False


@dataclass(frozen=True, slots=True)
class When(Slot):
    """Days, times, frequencies and durations, anywhere in the clause. The value is an `Occasions`."""


@dataclass(frozen=True, slots=True)
class Span(Slot):
    """A stretch of days: `for 5 days`, `next week`, `from Monday until Friday`. The value is a `Period`."""


@dataclass(frozen=True, slots=True)
class Which(Slot):
    """Some of what an earlier clause offered: `the best one`, `the top 2`, `them`; a `Selection`.

    `nouns` are what the items may be called: `the best job`.
    """

    nouns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """The words of a clause that are its topic: whatever is neither verb nor noun nor slot.

    With `heads`, they stand before one of these words, or begin with one of `leads`; without heads, anywhere,
    and a lead is left away.
    `joins` are the prepositions that a topic may go on with (`dinner with Ann`). `of_verb` are last words of verbs
    that belong to the topic all the same (`make an appointment`).
    """

    heads: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    joins: frozenset[str] = frozenset()
    of_verb: frozenset[str] = frozenset()


# ── what a builder is given ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that was said; `number` is None for `some`, `all` and their like."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Occasions:
    """Concrete starts, all in the future, in order; how long, and how they come again.

    `remarks` say what was taken where the words left it open: “16:00, as nothing was said of morning or afternoon”.
    With `movable`, the starts were chosen within what was said, and others near them would do as well.
    With `whole_days` each start is a midnight, and the day belongs to the occasion, whatever the zone.
    """

    starts: tuple[datetime, ...]
    duration_minutes: int | None = None
    repeat: Repeat | None = None
    repeat_until: date | None = None
    remarks: tuple[str, ...] = ()
    movable: bool = False
    whole_days: bool = False


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of days, as far as it was said."""

    start: date | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the things offered: `number` of them from `first` on (0-based); without a number, all.

    `exactly` is how many there are in all, where the words say so: two for `both`, one for `it`.
    """

    first: int = 0
    number: int | None = None
    exactly: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a clause offers to later ones: JMESPath expressions by role, and the steps they need."""

    refs: Mapping[str, str]
    after: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The things that a clause offers. `counted`: somebody said how many there are to be."""

    items: tuple[Item, ...]
    counted: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a clause says, by slot; `subject` is its topic, `said` each slot's own words.

    `remarks` say what was taken where the words left something open; an occasion has its own.
    """

    text: str
    subject: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    said: Mapping[str, str] = field(default_factory=dict[str, str])
    remarks: tuple[str, ...] = ()
    _asked: set[str] = field(default_factory=set[str], compare=False, repr=False)

    def get(self, slot: str) -> Any:
        """The slot's value; None when nothing of it was said."""
        self._asked.add(slot)
        return self.values.get(slot)

    @property
    def unused(self) -> tuple[str, ...]:
        """The words of slots that nobody asked for, but those that are only True: they add nothing."""
        return tuple(
            self.said.get(name, name)
            for name, value in self.values.items()
            if name not in self._asked and value is not True
        )


class Refusal(Exception):
    """A clause is understood and can't be planned; `part` names the words at fault, None the whole clause."""

    def __init__(self, reason: str, *, part: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.part = part


class NothingOffered(Refusal):
    """A clause refers to things that no clause before it offers."""


class Draft(ABC):
    """The plan as it grows, as a builder sees it."""

    @abstractmethod
    def step(self, tool: str, *, key: str, name: str, args: Mapping[str, Any], after: Sequence[str] = ()) -> str:
        """Add a step; returns its key, made unique in the plan."""

    @abstractmethod
    def offer(self, kind: str, offer: Offer) -> None:
        """Let later clauses refer to things of this kind."""

    @abstractmethod
    def offered(self, kind: str) -> Offer | None:
        """What was offered of this kind last."""


Builder = Callable[[Facts, Draft], None]


@dataclass(frozen=True, slots=True)
class Wording(Phrase):
    """Verbs, nouns and slots, in any order after the verb.

    One of `nouns`, if there are any, and every slot of `needs` have to be said; with `bare`, the verb may be
    missing. `example` is what people are shown as a thing that can be asked for. A tool that only writes down,
    like a calendar's, names in `writes_down` the slots by which people say so themselves (“to my calendar”): without
    one of them, a clause that asks for a deed outside (“book a hotel”) is refused rather than written down.
    """

    build: Builder
    verbs: tuple[str, ...]
    example: str
    nouns: tuple[str, ...] = ()
    slots: Mapping[str, Slot] = field(default_factory=dict[str, Slot])
    subject: Subject | None = None
    needs: Mapping[str, str] = field(default_factory=dict[str, str])
    bare: bool = False
    writes_down: tuple[str, ...] = ()


def as_phrases(phrases: Iterable[Phrase | str]) -> tuple[Phrase, ...]:
    """The phrases with every string read as a template; ValueError names one that is none."""
    return tuple(Phrase.parse(phrase) if isinstance(phrase, str) else phrase for phrase in phrases)


LONGEST_NAME: Final = 120
"""Of a step."""
_SHORTEST_BEFORE_REMARKS: Final = 40


def with_remarks(name: str, remarks: Sequence[str]) -> str:
    """A step's name that also says what was taken where the words left it open; the name gives way to that."""
    if not remarks:
        return name
    added = f" ({'; '.join(remarks)})"
    room = max(LONGEST_NAME - len(added), _SHORTEST_BEFORE_REMARKS)
    return f"{name if len(name) <= room else f'{name[: room - 1]}…'}{added}"
