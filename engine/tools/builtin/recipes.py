"""The recipe book that is shipped, and what each recipe is fit for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache, cached_property
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from engine.tools.builtin.exclusions import ALLERGENS, GROUPS, Exclusion, Exclusions
from engine.tools.builtin.folders import shipped
from engine.tools.builtin.quantities import is_unit

Meal = Literal["breakfast", "lunch", "dinner"]
Diet = Literal["any", "vegetarian", "vegan", "pescatarian", "gluten_free", "dairy_free"]

_NEVER_VEGETARIAN: Final = frozenset({"fish", "crustaceans", "molluscs", "meat", "rennet"})
AVOIDED: Final[Mapping[Diet, frozenset[str]]] = {
    "any": frozenset(),
    "vegetarian": _NEVER_VEGETARIAN,
    "vegan": _NEVER_VEGETARIAN | {"milk", "eggs", "honey"},
    "pescatarian": frozenset({"meat"}),
    "gluten_free": frozenset({"gluten"}),
    "dairy_free": frozenset({"milk"}),
}
"""What an ingredient may not contain in a diet."""


def _known_unit(unit: str) -> str:
    if not is_unit(unit):
        raise ValueError(f"{unit!r} is no unit")
    return unit


def _known_tags(contains: frozenset[str]) -> frozenset[str]:
    if unknown := contains - GROUPS - set(ALLERGENS):
        raise ValueError(f"{', '.join(sorted(unknown))}: neither allergens nor groups")
    return contains


class Ingredient(BaseModel):
    """Where something stands in the shop, and what eaters may have to avoid in it: allergens and groups."""

    aisle: str
    contains: Annotated[frozenset[str], AfterValidator(_known_tags)]


class Amount(BaseModel):
    """So much of an ingredient."""

    name: str
    quantity: Annotated[float, Field(gt=0)]
    unit: Annotated[str, AfterValidator(_known_unit)]

    def for_people(self, people: int, servings: int) -> Fraction:
        """The exact quantity for so many people of a recipe for so many servings."""
        return Fraction(str(self.quantity)) * people / servings


class Recipe(BaseModel):
    """How a dish is made for some people, and which of the fourteen allergens it has."""

    name: str
    meal: Meal
    cuisine: str
    servings: Annotated[int, Field(ge=1)]
    minutes: int
    allergens: list[str]
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
            has = self.contains(recipe)
            if recipe.allergens != [allergen for allergen in ALLERGENS if allergen in has]:
                raise ValueError(f"{recipe.name} declares other allergens than its ingredients have")
        return self

    def contains(self, recipe: Recipe) -> frozenset[str]:
        """What eaters may have to avoid in a dish."""
        return frozenset[str]().union(*(self.ingredients[amount.name].contains for amount in recipe.ingredients))

    @cached_property
    def exclusions(self) -> Exclusions:
        """All that can be left out."""
        return Exclusions.of(
            self.ingredients, [name for recipe in self.recipes for name in (recipe.name, recipe.cuisine)]
        )

    def fitting(self, diet: Diet, exclude: Sequence[str]) -> list[Recipe]:
        """The recipes for a diet without what is excluded; ValueError names a word that is no exclusion."""
        unwanted = [self._exclusion(word) for word in exclude]
        return [
            recipe
            for recipe in self.recipes
            if not self.contains(recipe) & AVOIDED[diet] and not any(self._has(recipe, each) for each in unwanted)
        ]

    def _exclusion(self, word: str) -> Exclusion:
        spelling = self.exclusions.spelling(word)
        if spelling is None:
            raise ValueError(self.exclusions.refusal(word))
        return self.exclusions.known[spelling]

    def _has(self, recipe: Recipe, unwanted: Exclusion) -> bool:
        names = [recipe.name, recipe.cuisine, *(amount.name for amount in recipe.ingredients)]
        return bool(self.contains(recipe) & unwanted.contains) or any(map(unwanted.is_in, names))


@cache
def recipe_book() -> Book:
    """The shipped recipe book."""
    return Book.model_validate_json(shipped("recipes.json"))
