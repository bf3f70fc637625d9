"""The connector `grocery_plan`: a menu for some days, and the shopping list that it needs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema
from typing_extensions import TypedDict

from engine.tools.builtin import phrases
from engine.tools.builtin.quantities import total
from engine.tools.builtin.recipes import Book, Diet, Meal, Recipe, recipe_book
from engine.tools.context import ToolContext
from engine.tools.declaration import tool
from engine.tools.errors import ToolError

MEALS: Final[Mapping[int, tuple[Meal, ...]]] = {
    1: ("dinner",),
    2: ("lunch", "dinner"),
    3: ("breakfast", "lunch", "dinner"),
}
AISLES: Final = (
    "fruit and vegetables",
    "bakery",
    "meat",
    "fish",
    "chilled",
    "dry goods",
    "tins and jars",
    "oils and spices",
    "frozen",
)
"""In the order in which one walks through the shop."""

_PLURALS: Final[Mapping[Meal, str]] = {"breakfast": "breakfasts", "lunch": "lunches", "dinner": "dinners"}

_NEAR: Final = 2
"""So many meals back, a menu avoids the same cuisine."""


def _known(text: str) -> str:
    exclusions = recipe_book().exclusions
    if text not in exclusions.known:
        raise ValueError(exclusions.refusal(text))
    return text


Unwanted = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": sorted(recipe_book().exclusions.known)})
]
"""What can be left out: one of a closed set of words."""


@dataclass(frozen=True, slots=True)
class Course:
    """One meal of the menu."""

    day: int
    date: str | None
    meal: Meal
    recipe: Recipe


class PlannedMeal(TypedDict):
    """One meal of the menu, as it is given; days count from 1."""

    day: int
    date: str | None
    meal: Meal
    recipe: str
    minutes: int


class Purchase(TypedDict):
    """So much to buy of one thing."""

    name: str
    quantity: float
    unit: str


class Aisle(TypedDict):
    """What to buy in one part of the shop."""

    aisle: str
    items: list[Purchase]


class GroceryPlan(TypedDict):
    """A menu, what to buy for it, and both as text."""

    people: int
    menu: list[PlannedMeal]
    shopping: list[Aisle]
    markdown: str


@tool(risk="L0", phrases=phrases.GROCERY_PLAN)
def grocery_plan(
    ctx: ToolContext,
    *,
    people: Annotated[int, Field(ge=1, le=50)] = 2,
    days: Annotated[int, Field(ge=1, le=31)] = 7,
    diet: Diet = "any",
    meals_per_day: Annotated[int, Field(ge=1, le=3)] = 1,
    exclude: Annotated[list[Unwanted], Field(max_length=50)] = [],  # noqa: B006 -- never changed
    start: date | None = None,
) -> GroceryPlan:
    """Plans meals from the recipe book, and adds up what to buy for them, by aisle.

    One meal a day is dinner, two add lunch, three breakfast. `exclude` names allergens, groups such as dairy,
    seafood or red meat, ingredients or dishes, and takes no word that the recipe book does not know. The same
    wishes give the same menu; another first day gives another.
    """
    if start is not None and (date.max - start).days < days - 1:
        raise ToolError(f"{days} days from {start} are beyond what calendars know", retryable=False)
    book = recipe_book()
    recipes = book.fitting(diet, exclude)
    courses = _menu(recipes, days, MEALS[meals_per_day], start)
    for notice in _repetitions(courses):
        ctx.notice(notice)
    shopping = _shopping(book, courses, people)
    return {
        "people": people,
        "menu": [
            {
                "day": each.day,
                "date": each.date,
                "meal": each.meal,
                "recipe": each.recipe.name,
                "minutes": each.recipe.minutes,
            }
            for each in courses
        ],
        "shopping": shopping,
        "markdown": _markdown(courses, shopping, people),
    }


def _menu(recipes: Sequence[Recipe], days: int, meals: Sequence[Meal], start: date | None) -> list[Course]:
    """A course for each meal: the least used recipe, of another cuisine than just before, in a shuffled order."""
    by_meal = {meal: _shuffled([each for each in recipes if each.meal == meal], start) for meal in meals}
    lacking = [meal for meal, choice in by_meal.items() if not choice]
    if lacking:
        raise ToolError(
            f"no recipe for {' and '.join(lacking)} fits this diet without what is excluded", retryable=False
        )
    used: Counter[str] = Counter()
    courses: list[Course] = []
    for day in range(days):
        for meal in meals:
            recent = {each.recipe.cuisine for each in courses[-_NEAR:]}
            recipe = min(by_meal[meal], key=lambda each: (used[each.name], each.cuisine in recent))
            used[recipe.name] += 1
            on = None if start is None else (start + timedelta(days=day)).isoformat()
            courses.append(Course(day + 1, on, meal, recipe))
    return courses


def _repetitions(courses: Sequence[Course]) -> list[str]:
    """A sentence for each meal that has fewer dishes than days: a menu takes every one that fits before any again."""
    dishes: dict[Meal, list[str]] = {}
    for each in courses:
        dishes.setdefault(each.meal, []).append(each.recipe.name)
    return [
        f"{len(different)} of {len(names)} {_PLURALS[meal]} found: "
        f"{'it comes' if len(different) == 1 else 'some come'} more than once"
        for meal, names in dishes.items()
        if len(different := set(names)) < len(names)
    ]


def _shuffled(recipes: Sequence[Recipe], start: date | None) -> list[Recipe]:
    """The recipes in an order that depends on the first day alone."""
    seed = "" if start is None else start.isoformat()
    return sorted(recipes, key=lambda each: hashlib.sha256(f"{seed}\n{each.name}".encode()).digest())


def _shopping(book: Book, courses: Sequence[Course], people: int) -> list[Aisle]:
    amounts: dict[str, list[tuple[Fraction, str]]] = {}
    for course in courses:
        for amount in course.recipe.ingredients:
            needed = amount.for_people(people, course.recipe.servings)
            amounts.setdefault(amount.name, []).append((needed, amount.unit))
    aisles: dict[str, list[Purchase]] = {aisle: [] for aisle in AISLES}
    for name in sorted(amounts):
        aisle = aisles[book.ingredients[name].aisle]
        aisle.extend({"name": name, "quantity": quantity, "unit": unit} for quantity, unit in total(amounts[name]))
    return [{"aisle": aisle, "items": items} for aisle, items in aisles.items() if items]


def _markdown(courses: Sequence[Course], shopping: Sequence[Aisle], people: int) -> str:
    menu = [
        f"- {each.date or f'Day {each.day}'}, {each.meal}: {each.recipe.name} ({each.recipe.minutes} minutes)"
        for each in courses
    ]
    lists = [
        f"## {aisle['aisle'].capitalize()}\n\n"
        + "\n".join(f"- [ ] {item['name']}: {item['quantity']:g} {item['unit']}" for item in aisle["items"])
        for aisle in shopping
    ]
    who = "1 person" if people == 1 else f"{people} people"
    return "\n\n".join([f"# Menu for {who}", "\n".join(menu), "# Shopping list", *lists]) + "\n"
