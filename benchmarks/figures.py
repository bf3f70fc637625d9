"""What a measurement gives: figures with all their samples, ratios of what was taken in turn, and targets."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

NOISY_CORES: Final = 0.3
"""A sample taken while others used more of the machine than this is marked."""


@dataclass(slots=True)
class Figure:
    """One quantity, measured several times.

    `foreign` are the cores that everybody else on the machine used while each sample was taken (0 to the number of
    cores), `stolen` what the hypervisor took.
    """

    name: str
    unit: str
    samples: list[float] = field(default_factory=list[float])
    foreign: list[float] = field(default_factory=list[float])
    stolen: list[float] = field(default_factory=list[float])
    note: str = ""

    def add(self, value: float, load: Load | None = None) -> None:
        """One more sample, with what else the machine did meanwhile."""
        self.samples.append(value)
        if load is not None:
            self.foreign.append(load.foreign_cores)
            self.stolen.append(load.stolen_cores)

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return statistics.median(self.samples)

    @property
    def is_noisy(self) -> bool:
        """Whether others used a good part of the machine during any sample."""
        return any(cores > NOISY_CORES for cores in (*self.foreign, *self.stolen))

    def as_json(self) -> dict[str, Any]:
        """The figure as it is kept."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": _short(self.median),
            "min": _short(min(self.samples)),
            "max": _short(max(self.samples)),
            "samples": [_short(each) for each in self.samples],
            "foreign_cores": [round(each, 2) for each in self.foreign],
            "stolen_cores": [round(each, 2) for each in self.stolen],
            "noisy": self.is_noisy,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Load:
    """What the machine did while something was measured, in cores: our own processes, others, the hypervisor."""

    seconds: float
    own_cores: float
    foreign_cores: float
    stolen_cores: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one figure stands to another, sample by sample, as they were taken in turn."""

    name: str
    samples: tuple[float, ...]

    @classmethod
    def of(cls, name: str, one: Figure, other: Figure) -> Ratio:
        """The ratio of `one` to `other`."""
        return cls(name, tuple(a / b for a, b in zip(one.samples, other.samples, strict=False) if b))

    @property
    def median(self) -> float:
        """The middle of the ratios."""
        return statistics.median(self.samples)

    def as_json(self) -> dict[str, Any]:
        """The ratio as it is kept."""
        return {
            "name": self.name,
            "median": _short(self.median),
            "min": _short(min(self.samples)),
            "max": _short(max(self.samples)),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """One demand and whether it holds; None where this run can't say."""

    text: str
    value: float | None
    met: bool | None

    @classmethod
    def at_least(cls, text: str, value: float | None, limit: float) -> Target:
        """A target that more is better for."""
        return cls(text, value, None if value is None else value >= limit)

    @classmethod
    def at_most(cls, text: str, value: float | None, limit: float) -> Target:
        """A target that less is better for."""
        return cls(text, value, None if value is None else value <= limit)

    def as_json(self) -> dict[str, Any]:
        """The target as it is kept."""
        return {"text": self.text, "value": None if self.value is None else _short(self.value), "met": self.met}


@dataclass(slots=True)
class Row:
    """One line of the table of targets."""

    number: int
    title: str
    figures: list[Figure] = field(default_factory=list[Figure])
    ratios: list[Ratio] = field(default_factory=list[Ratio])
    targets: list[Target] = field(default_factory=list[Target])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None

    def figure(self, name: str, unit: str, samples: Iterable[float] = (), *, load: Load | None = None) -> Figure:
        """A new figure of this row; `load` is what accompanied all of the samples together."""
        made = Figure(name, unit)
        for sample in samples:
            made.add(sample)
        if load is not None:
            made.foreign.append(load.foreign_cores)
            made.stolen.append(load.stolen_cores)
        self.figures.append(made)
        return made

    def ratio(self, name: str, one: Figure, other: Figure) -> Ratio:
        """A new ratio of this row."""
        made = Ratio.of(name, one, other)
        self.ratios.append(made)
        return made

    def as_json(self) -> dict[str, Any]:
        """The row as it is kept."""
        return {
            "number": self.number,
            "title": self.title,
            "figures": [each.as_json() for each in self.figures if each.samples],
            "ratios": [each.as_json() for each in self.ratios if each.samples],
            "targets": [each.as_json() for each in self.targets],
            "facts": self.facts,
            "error": self.error,
        }


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that is at least as large as so many percent of them.

    >>> percentile([1, 2, 3, 4], 50)
    2
    """
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _short(value: float) -> float:
    """Four digits are more than any of this is good for."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, max(0, 3 - math.floor(math.log10(abs(value)))))
