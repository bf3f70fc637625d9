"""Adds up quantities of groceries by unit: g with kg, ml with spoons, pieces with pieces. Exact."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from math import ceil
from typing import Any, Final, cast

COUNTED: Final = ("piece", "clove", "bunch", "slice", "stick", "head")
"""Units that are counted, each of its own kind: two cloves are no bunch."""

_DEFINITIONS: Final = (
    "gram = [mass] = g",
    "kilogram = 1000 * gram = kg",
    "millilitre = [volume] = ml",
    "litre = 1000 * millilitre = l",
    "teaspoon = 5 * millilitre = tsp",
    "tablespoon = 15 * millilitre = tbsp",
    *(f"{unit} = [{unit}s]" for unit in COUNTED),
)
_SHOWN: Final = {"[mass]": ("g", "kg"), "[volume]": ("ml", "l")}
"""The unit in which a kind is bought, and the one for a thousand of it."""

_SPOONS: Final = ("tsp", "tbsp")


def total(amounts: Iterable[tuple[Fraction, str]]) -> list[tuple[float, str]]:
    """The sums of amounts as one buys them: whole units, rounded up, one for each kind that can't be added.

    >>> total([(Fraction("0.8"), "kg"), (Fraction(300), "g"), (Fraction("0.5"), "piece")])
    [(1.1, 'kg'), (1, 'piece')]
    """
    units = _units()
    sums: dict[str, Any] = {}
    spoons: set[str] = set()
    others: set[str] = set()
    for number, unit in amounts:
        amount = units.Quantity(number, unit)
        kind = str(amount.dimensionality)
        sums[kind] = sums[kind] + amount if kind in sums else amount
        (spoons if unit in _SPOONS else others).add(kind)
    return [
        _in_spoons(amount) if kind in spoons - others else _bought(kind, amount)
        for kind, amount in sorted(sums.items())
    ]


def is_unit(unit: str) -> bool:
    """Whether recipes may use a unit."""
    return unit in _units()


def _in_spoons(amount: Any) -> tuple[float, str]:
    """What is only ever taken by the spoon is bought in jars; the spoons say whether one has enough."""
    small, large = _SPOONS
    spoons = cast("Fraction", amount.to(large).magnitude)
    return (ceil(spoons), large) if spoons >= 1 else (ceil(cast("Fraction", amount.to(small).magnitude)), small)


def _bought(kind: str, amount: Any) -> tuple[float, str]:
    if kind not in _SHOWN:
        return ceil(amount.magnitude), str(amount.units)
    small, large = _SHOWN[kind]
    whole = ceil(cast("Fraction", amount.to(small).magnitude))
    return (whole / 1000, large) if whole >= 1000 else (whole, small)


@cache
def _units() -> Any:
    """Our own few units: pint's list takes half a second to read, and has the United States' spoons."""
    import pint  # noqa: PLC0415 -- a quarter of a second that only a first menu should cost

    registry = cast("Any", pint.UnitRegistry)(None, non_int_type=Fraction)
    for definition in _DEFINITIONS:
        registry.define(definition)
    return registry
