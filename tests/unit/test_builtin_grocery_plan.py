from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidPlan
from engine.plans import Plan, PlanStep
from engine.settings import EngineSettings
from engine.tools import ArgsUnfit, Tool, ToolContext, ToolError, load_registry, plain
from engine.tools.builtin import groceries
from engine.tools.builtin.exclusions import ALLERGENS
from engine.tools.builtin.quantities import total
from engine.tools.builtin.recipes import AVOIDED, Book, Diet, recipe_book
from engine.validation import check_plan
from engine.values import fault_of
from persistence.states import Risk

TOOL = load_registry().get("grocery_plan")
assert TOOL is not None
PLAN: Tool = TOOL
BOOK = recipe_book()
RECIPES = {recipe.name: recipe for recipe in BOOK.recipes}

SMALL_BOOK: dict[str, Any] = {
    "ingredients": {
        "rice": {"aisle": "dry goods", "contains": []},
        "milk": {"aisle": "chilled", "contains": ["milk"]},
        "garlic": {"aisle": "fruit and vegetables", "contains": []},
        "salt": {"aisle": "dry goods", "contains": []},
    },
    "recipes": [
        {
            "name": "Rice",
            "meal": "dinner",
            "cuisine": "a",
            "servings": 4,
            "minutes": 10,
            "allergens": [],
            "ingredients": [
                {"name": "rice", "quantity": 0.8, "unit": "kg"},
                {"name": "garlic", "quantity": 3, "unit": "clove"},
                {"name": "salt", "quantity": 1, "unit": "tsp"},
            ],
        },
        {
            "name": "Rice pudding",
            "meal": "dinner",
            "cuisine": "b",
            "servings": 2,
            "minutes": 20,
            "allergens": ["milk"],
            "ingredients": [
                {"name": "rice", "quantity": 150, "unit": "g"},
                {"name": "milk", "quantity": 0.5, "unit": "l"},
                {"name": "salt", "quantity": 0.5, "unit": "tsp"},
            ],
        },
    ],
}


@pytest.fixture
def run(tmp_path) -> Callable[..., Any]:
    async def call(**args: Any) -> Any:
        ctx = ToolContext("key", "run_1", "step_1", 1, "user_1", "tool", tmp_path)
        return await PLAN.call(ctx, PLAN.fit(args))

    return call


def test_the_recipe_book_is_large_and_every_diet_has_every_meal():
    assert len(BOOK.recipes) >= 40
    assert len(RECIPES) == len(BOOK.recipes)
    assert {ingredient.aisle for ingredient in BOOK.ingredients.values()} <= set(groceries.AISLES)
    for diet in get_args(Diet):
        meals = Counter(recipe.meal for recipe in BOOK.fitting(diet, []))
        assert min(meals[meal] for meal in ("breakfast", "lunch", "dinner")) >= 4


async def test_a_small_menu_adds_up_by_hand(run, monkeypatch):
    monkeypatch.setattr(groceries, "recipe_book", lambda: Book.model_validate(SMALL_BOOK))

    result = await run(people=3, days=2)

    # For three people: 3/4 of 800 g and 3/2 of 150 g of rice, 9/4 cloves, 3/2 of 500 ml, 3/4 and 3/4 spoons.
    assert {course["recipe"] for course in result["menu"]} == {"Rice", "Rice pudding"}
    assert result["shopping"] == [
        {"aisle": "fruit and vegetables", "items": [{"name": "garlic", "quantity": 3, "unit": "clove"}]},
        {"aisle": "chilled", "items": [{"name": "milk", "quantity": 750, "unit": "ml"}]},
        {
            "aisle": "dry goods",
            "items": [
                {"name": "rice", "quantity": 825, "unit": "g"},
                {"name": "salt", "quantity": 2, "unit": "tsp"},
            ],
        },
    ]
    assert "# Menu for 3 people" in result["markdown"]
    assert "- [ ] rice: 825 g\n" in result["markdown"]


@pytest.mark.parametrize(
    ("amounts", "bought"),
    [
        ([("1", "kg"), ("250", "g")], [(1.25, "kg")]),
        ([("0.1", "g")], [(1, "g")]),
        ([("999", "ml"), ("1", "ml")], [(1.0, "l")]),
        ([("1", "tbsp"), ("2", "tsp")], [(2, "tbsp")]),
        ([("2", "tsp")], [(2, "tsp")]),
        ([("2", "tbsp"), ("100", "ml")], [(130, "ml")]),
        ([("1", "piece"), ("2", "clove")], [(2, "clove"), (1, "piece")]),
        ([("1", "piece"), ("100", "g")], [(100, "g"), (1, "piece")]),
    ],
)
def test_amounts_add_up_by_unit(amounts, bought):
    assert total([(Fraction(number), unit) for number, unit in amounts]) == bought


@given(st.lists(st.sampled_from(["0.1", "0.2", "0.7", "33", "1e3"]), min_size=1, max_size=30))
def test_sums_are_exact_before_they_are_rounded_up(numbers):
    expected = sum(map(Fraction, numbers))

    ((bought, unit),) = total([(Fraction(number), "g") for number in numbers])

    grams = Fraction(str(bought)) * (1000 if unit == "kg" else 1)
    assert 0 <= grams - expected < 1


@pytest.mark.parametrize("diet", [diet for diet in get_args(Diet) if diet != "any"])
async def test_a_diet_holds_for_every_ingredient(run, diet):
    result = await run(diet=diet, days=14, meals_per_day=3)

    for course in result["menu"]:
        for amount in RECIPES[course["recipe"]].ingredients:
            assert not BOOK.ingredients[amount.name].contains & AVOIDED[diet]


@pytest.mark.parametrize(
    ("unwanted", "gone", "kept"),
    [
        ("mushrooms", "Mushroom risotto", "Red lentil dal"),
        ("Nuts", "Sweet potato and peanut stew", "Red lentil dal"),
        ("seafood", "Thai red prawn curry", "Chicken fried rice"),
        ("milk", "Fish pie", "Red lentil dal"),
        ("eggs", "Chicken fried rice", "Stir-fried tofu with broccoli"),
        ("moussaka", "Moussaka", "Greek salad with chickpeas"),
        ("indian", "Red lentil dal", "Fish pie"),
        ("coriander", "Fish tacos", "Moussaka"),
    ],
)
def test_what_is_excluded_is_in_no_recipe(unwanted, gone, kept):
    names = {recipe.name for recipe in BOOK.fitting("any", [unwanted])}

    assert gone not in names
    assert kept in names


# By words of names, so that a new ingredient without its allergens is noticed; what no word tells is listed by name.
ALLERGEN_WORDS = {
    "gluten": [
        *("bread", "breadcrumbs", "bulgur", "couscous", "flour", "lasagne", "oats", "barley"),
        *("penne", "spaghetti", "wheat", "sausages", "pitta"),
    ],
    "crustaceans": ["prawns"],
    "eggs": ["eggs"],
    "fish": ["anchovies", "cod", "salmon", "mackerel", "tuna"],
    "peanuts": ["peanut"],
    "soybeans": ["edamame", "soy", "tofu"],
    "milk": ["butter", "cream", "creme", "feta", "halloumi", "milk", "mozzarella", "parmesan", "ricotta", "yoghurt"],
    "nuts": ["almonds", "cashews", "walnuts"],
    "celery": ["celery", "stock"],
    "mustard": ["mustard"],
    "sesame": ["sesame", "tahini"],
    "sulphites": ["raisins", "sausages", "vinegar", "prawns", "mustard"],
    "lupin": [],
    "molluscs": [],
}
NOT_WHAT_THE_WORD_SAYS = {("coconut milk", "milk"), ("peanut butter", "milk")}
NOT_TOLD_BY_A_WORD = {
    ("red curry paste", "crustaceans"),
    ("soy sauce", "gluten"),
    ("curry powder", "mustard"),
    ("curry powder", "celery"),
}


def test_every_ingredient_has_the_allergens_that_its_name_tells():
    assert tuple(ALLERGEN_WORDS) == ALLERGENS
    for name, ingredient in BOOK.ingredients.items():
        told = {each for each, words in ALLERGEN_WORDS.items() if set(words) & set(name.split())}
        told -= {allergen for one, allergen in NOT_WHAT_THE_WORD_SAYS if one == name}
        told |= {allergen for one, allergen in NOT_TOLD_BY_A_WORD if one == name}
        assert ingredient.contains & set(ALLERGENS) == told, name


def test_every_recipe_declares_the_allergens_of_its_ingredients():
    for recipe in BOOK.recipes:
        in_it = {tag for amount in recipe.ingredients for tag in BOOK.ingredients[amount.name].contains}
        assert recipe.allergens == [allergen for allergen in ALLERGENS if allergen in in_it]


def test_a_book_whose_recipe_declares_other_allergens_is_refused():
    wrong = {**SMALL_BOOK, "recipes": [{**SMALL_BOOK["recipes"][1], "allergens": []}]}
    with pytest.raises(ValueError, match="declares other allergens"):
        Book.model_validate(wrong)
    with pytest.raises(ValueError, match="neither allergens nor groups"):
        Book.model_validate({"ingredients": {"x": {"aisle": "a", "contains": ["dariy"]}}, "recipes": []})


@pytest.mark.parametrize("allergen", ALLERGENS)
def test_without_an_allergen_no_recipe_has_it(allergen):
    assert all(allergen not in recipe.allergens for recipe in BOOK.fitting("any", [allergen]))


@pytest.mark.parametrize("ingredient", BOOK.ingredients)
def test_without_an_ingredient_no_recipe_has_it(ingredient):
    left = BOOK.fitting("any", [ingredient])

    assert ingredient not in {amount.name for recipe in left for amount in recipe.ingredients}


async def test_no_dairy_leaves_nothing_made_of_milk(run):
    result = await run(days=31, meals_per_day=3, exclude=["dairy"])

    bought = {item["name"] for aisle in result["shopping"] for item in aisle["items"]}
    made_of_milk = {"butter", "cream", "creme fraiche", "feta", "halloumi", "milk", "mozzarella", "parmesan"}
    assert not bought & (made_of_milk | {"ricotta", "yoghurt"})
    assert "coconut milk" in bought


@pytest.mark.parametrize(
    ("unwanted", "gone"),
    [
        ("pasta", {"spaghetti", "penne", "lasagne sheets"}),
        ("cheese", {"feta", "halloumi", "mozzarella", "parmesan", "ricotta"}),
        ("legumes", {"chickpeas", "red lentils", "kidney beans", "peas", "tofu"}),
        ("red meat", {"minced beef", "stewing beef", "minced lamb", "pork sausages", "beef stock"}),
        ("corn", {"polenta", "sweetcorn", "corn tortillas"}),
        ("peanut butter", {"peanut butter"}),
        ("coconut milk", {"coconut milk"}),
        ("zucchini", {"courgette"}),
        ("shrimp", {"prawns"}),
        ("olives", {"olives"}),
    ],
)
def test_a_group_is_more_than_the_word_in_a_name(unwanted, gone):
    left = {amount.name for recipe in BOOK.fitting("any", [unwanted]) for amount in recipe.ingredients}

    assert gone <= set(BOOK.ingredients)
    assert not gone & left
    assert "rice" in left
    assert "olive oil" in left


@pytest.mark.parametrize(
    ("unwanted", "near"), [("penuts", "“peanuts”"), ("dary", "“dairy”"), ("unicorns", ""), ("red", ""), ("", "")]
)
def test_an_exclusion_that_is_not_known_is_refused_at_its_path(tmp_path, unwanted, near):
    step = PlanStep("menu", "grocery_plan", args={"days": 5, "exclude": ["nuts", unwanted]})

    with pytest.raises(InvalidPlan) as refused:
        check_plan(Plan((step,)), load_registry(), EngineSettings(tmp_path), approve_from=Risk.L3)

    (fault,) = refused.value.faults
    assert fault.path == ("plan", "steps", 0, "args", "exclude", 1)
    assert f"knows no “{unwanted}”" in fault.message
    assert near in fault.message


def test_an_exclusion_that_is_not_known_is_refused_beside_what_is_not_known_yet():
    (fault,) = PLAN.faults({"people": {"$jmespath": "a.b"}, "exclude": ["nuts", "penuts"]})

    assert fault.path == ("exclude", 1)
    assert "'peanuts'" in fault.message
    assert len(fault.message) < 200


async def test_a_menu_varies_and_is_the_same_for_the_same_wishes(run):
    result = await run(days=14, start="2026-03-02")

    recipes = [course["recipe"] for course in result["menu"]]
    assert len(set(recipes)) == 14
    cuisines = [RECIPES[name].cuisine for name in recipes]
    assert all(a != b for a, b in pairwise(cuisines[:7]))
    assert await run(days=14, start="2026-03-02") == result
    assert [course["recipe"] for course in (await run(days=14, start="2026-03-09"))["menu"]] != recipes


async def test_the_menu_names_days_dates_and_meals(run):
    result = await run(days=2, meals_per_day=2, start="2026-02-28")

    assert [(course["day"], course["date"], course["meal"]) for course in result["menu"]] == [
        (1, "2026-02-28", "lunch"),
        (1, "2026-02-28", "dinner"),
        (2, "2026-03-01", "lunch"),
        (2, "2026-03-01", "dinner"),
    ]
    assert (await run(days=1))["menu"][0]["date"] is None


async def test_a_month_repeats_no_recipe_before_all_were_cooked(run):
    result = await run(days=31, diet="vegan")

    counts = Counter(course["recipe"] for course in result["menu"])
    assert max(counts.values()) - min(counts.values()) <= 1
    assert fault_of(plain(result)) is None


async def test_wishes_that_leave_nothing_are_a_clear_error(run):
    with pytest.raises(ToolError, match="no recipe for dinner fits") as failed:
        await run(diet="vegan", exclude=["rice", "onion", "garlic", "olive oil"])

    assert failed.value.retryable is False


@pytest.mark.parametrize(
    "args",
    [
        {"people": 0},
        {"people": 51},
        {"days": 0},
        {"days": 32},
        {"meals_per_day": 4},
        {"diet": "paleo"},
        {"exclude": "nuts"},
        {"exclude": ["x" * 101]},
        {"start": "Monday"},
    ],
)
def test_arguments_are_bounded(args):
    with pytest.raises(ArgsUnfit):
        PLAN.fit(args)


async def test_a_plan_beyond_the_end_of_time_is_a_clear_error(run):
    assert (await run(days=1, start=str(date.max)))["menu"][0]["date"] == "9999-12-31"
    with pytest.raises(ToolError, match="beyond what calendars know") as failed:
        await run(days=2, start=str(date.max))

    assert failed.value.retryable is False


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"days": 2}, []),
        ({"days": 3}, ["2 of 3 dinners found: some come more than once"]),
        ({"days": 1, "exclude": ["dairy"]}, []),
        ({"days": 2, "exclude": ["dairy"]}, ["1 of 2 dinners found: it comes more than once"]),
    ],
)
async def test_fewer_dishes_than_days_are_said(tmp_path, monkeypatch, args, said):
    monkeypatch.setattr(groceries, "recipe_book", lambda: Book.model_validate(SMALL_BOOK))
    ctx = ToolContext("key", "run_1", "step_1", 1, "user_1", "tool", tmp_path)

    result = await PLAN.call(ctx, PLAN.fit(args))

    assert len(result["menu"]) == args["days"]
    assert ctx.notices.texts == said
