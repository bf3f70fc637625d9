"""The recipe book that is shipped, and what each recipe is fit for."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from engine.tools.builtin.folders import shipped
from engine.tools.builtin.quantities import is_unit
from engine.tools.builtin.words import words_of

Meal = Literal["breakfast", "lunch", "dinner"]
Diet = Literal["any", "vegetarian", "vegan", "pescatarian", "gluten_free", "dairy_free"]

_SEAFOOD: Final = frozenset({"fish", "shellfish"})
_NEVER_VEGETARIAN: Final = _SEAFOOD | {"meat", "rennet"}
AVOIDED: Final[Mapping[Diet, frozenset[str]]] = {
    "any": frozenset(),
    "vegetarian": _NEVER_VEGETARIAN,
    "vegan": _NEVER_VEGETARIAN | {"dairy", "egg", "honey"},
    "pescatarian": frozenset({"meat"}),
    "gluten_free": frozenset({"gluten"}),
    "dairy_free": frozenset({"dairy"}),
}
"""What an ingredient may not contain in a diet."""

_SAME: Final[Mapping[str, frozenset[str]]] = {
    "seafood": _SEAFOOD,
    "nut": frozenset({"nuts", "peanut"}),
    "milk": frozenset({"dairy"}),
    "lactose": frozenset({"dairy"}),
    "wheat": frozenset({"gluten"}),
}

_OTHER: Final[Mapping[str, str]] = {
    "coconut milk": "milk",
    "peanut butter": "butter",
    "sweet potato": "potato",
    "vegetable stock": "vegetable",
}
"""Names in which a word means something else: who wants no milk may eat coconut milk."""


def _known_unit(unit: str) -> str:
    if not is_unit(unit):
        raise ValueError(f"{unit!r} is no unit")
    return unit


class Ingredient(BaseModel):
    """Where something stands in the shop, and what eaters may have to avoid in it."""

    aisle: str
    contains: frozenset[str]


class Amount(BaseModel):
    """So much of an ingredient."""

    name: str
    quantity: Annotated[float, Field(gt=0)]
    unit: Annotated[str, AfterValidator(_known_unit)]

    def for_people(self, people: int, servings: int) -> Fraction:
        """The exact quantity for so many people of a recipe for so many servings."""
        return Fraction(str(self.quantity)) * people / servings


class Recipe(BaseModel):
    """How a dish is made for some people."""

    name: str
    meal: Meal
    cuisine: str
    servings: Annotated[int, Field(ge=1)]
    minutes: int
    ingredients: list[Amount]


class Book(BaseModel):
    """Recipes, and all that is in them."""

    ingredients: dict[str, Ingredient]
    recipes: list[Recipe]

    @model_validator(mode="after")
    def _is_complete(self) -> Book:
        for recipe in self.recipes:
            for amount in recipe.ingredients:
                if amount.name not in self.ingredients:
                    raise ValueError(f"{recipe.name} needs the unknown ingredient {amount.name!r}")
        return self

    def contains(self, recipe: Recipe) -> frozenset[str]:
        """What eaters may have to avoid in a dish."""
        return frozenset[str]().union(*(self.ingredients[amount.name].contains for amount in recipe.ingredients))

    def fitting(self, diet: Diet, exclude: list[str]) -> list[Recipe]:
        """The recipes for a diet without what is excluded: ingredients, groups ("nuts", "dairy"), or dishes."""
        return [
            recipe
            for recipe in self.recipes
            if not self.contains(recipe) & AVOIDED[diet]
            and not any(self._has(recipe, unwanted) for unwanted in exclude)
        ]

    def _has(self, recipe: Recipe, unwanted: str) -> bool:
        words = set(words_of(unwanted))
        if not words:
            return False
        groups = {word for group in self.contains(recipe) for word in words_of(group)}
        avoided = {word for each in words for same in _SAME.get(each, ()) for word in words_of(same)}
        names = [recipe.name, recipe.cuisine, *(amount.name for amount in recipe.ingredients)]
        said = [set(words_of(name)) - {_OTHER.get(name)} for name in names]
        return bool(groups & (words | avoided)) or any(words <= name for name in said)


@cache
def recipe_book() -> Book:
    """The shipped recipe book."""
    return Book.model_validate_json(shipped("recipes.json"))
