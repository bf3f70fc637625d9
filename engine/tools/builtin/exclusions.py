"""What a menu can do without: a closed set of allergens, groups, and whatever a recipe book names.

A word that is not among them is refused: to leave it out in silence could make somebody ill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from engine.nearest import lookalikes
from engine.tools.builtin.words import words_of

ALLERGENS: Final = (
    "gluten", "crustaceans", "eggs", "fish", "peanuts", "soybeans", "milk", "nuts", "celery", "mustard", "sesame",
    "sulphites", "lupin", "molluscs",
)  # fmt: skip
"""The fourteen that European law has declared (Regulation 1169/2011, annex II)."""

GROUPS: Final = frozenset(
    {
        "meat", "beef", "pork", "lamb", "poultry", "chicken", "turkey", "rennet", "honey", "cheese", "cream", "pasta",
        "noodles", "bread", "beans", "legumes", "alliums", "citrus", "nightshades", "chilli", "corn",
    }
)  # fmt: skip
"""The other groups that ingredients belong to."""

_MEANINGS: Final[Mapping[str, str]] = {
    **{name: name for name in (*ALLERGENS, *sorted(GROUPS))},
    # One kind of an allergen is taken for all of it: a packet with one often has traces of another.
    "wheat": "gluten", "rye": "gluten", "spelt": "gluten", "cereals containing gluten": "gluten",
    "shellfish": "crustaceans molluscs", "seafood": "fish crustaceans molluscs",
    "sea food": "fish crustaceans molluscs",
    "shrimps": "crustaceans", "crabs": "crustaceans", "lobsters": "crustaceans", "crayfish": "crustaceans",
    "scampi": "crustaceans", "mollusks": "molluscs", "mussels": "molluscs", "clams": "molluscs", "oysters": "molluscs",
    "scallops": "molluscs", "squid": "molluscs", "calamari": "molluscs", "octopus": "molluscs",
    "groundnuts": "peanuts", "nuts": "nuts peanuts", "tree nuts": "nuts", "hazelnuts": "nuts", "pecans": "nuts",
    "pistachios": "nuts", "macadamias": "nuts", "macadamia nuts": "nuts", "brazil nuts": "nuts", "pine nuts": "nuts",
    "soy": "soybeans", "soya": "soybeans", "soya beans": "soybeans", "soy beans": "soybeans",
    "dairy": "milk", "dairy products": "milk", "lactose": "milk", "whey": "milk", "casein": "milk",
    "celeriac": "celery", "sesame seed": "sesame", "sulfites": "sulphites", "sulphur dioxide": "sulphites",
    "lupins": "lupin",
    "red meat": "beef pork lamb", "veal": "beef", "ham": "pork", "bacon": "pork", "mutton": "lamb", "duck": "poultry",
    "goose": "poultry", "animal products": "meat fish crustaceans molluscs milk eggs honey rennet",
    "pulses": "legumes", "chili": "chilli", "chile": "chilli", "chillies": "chilli", "chilies": "chilli",
    "maize": "corn", "citrus fruits": "citrus",
}  # fmt: skip
"""Words by the allergens and groups that they stand for."""

_ALIASES: Final[Mapping[str, str]] = {
    "aubergines": "aubergine", "eggplant": "aubergine", "eggplants": "aubergine", "zucchini": "courgette",
    "zucchinis": "courgette", "cilantro": "coriander", "scallions": "spring onion", "green onions": "spring onion",
    "bell peppers": "red pepper", "garbanzo beans": "chickpeas", "garbanzos": "chickpeas", "ground beef": "minced beef",
    "yogurt": "yoghurt", "yogurts": "yoghurt", "hummus": "houmous", "crème fraîche": "creme fraiche",
    "tomato paste": "tomato puree", "canola oil": "rapeseed oil", "barley": "pearl barley",
}  # fmt: skip
"""Other names of what a book calls by these."""

_OTHER: Final[Mapping[str, str]] = {
    "coconut milk": "milk",
    "olive oil": "olive",
    "peanut butter": "butter",
    "sweet potato": "potato",
    "vegetable stock": "vegetable",
}
"""Names in which a word means something else: who wants no milk may eat coconut milk."""

_SAYS_TOO_LITTLE: Final = frozenset(
    words_of(
        "and with on of red green black white fresh sweet spring cherry chopped minced stewing smoked wholemeal baked "
        "roast roasted stuffed fried stir toasted scrambled overnight tray bake greens fillet breast thighs flakes "
        "puree paste powder sauce stock sheets seeds mince vegetable vegetables fruit vegan butternut pearl olive "
        "con carne middle west eastern african kidney fraiche creme caesar breakfast lunch dinner"
    )
)
"""Words of names that alone name nothing."""


Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One thing to leave out: by what ingredients contain, and by the words of names."""

    contains: frozenset[str]
    words: frozenset[str]

    def is_in(self, name: str) -> bool:
        """Whether an ingredient's, a dish's or a cuisine's name names it."""
        return self.words <= set(words_of(name)) and self.words != frozenset({_OTHER.get(name, "")})


@dataclass(frozen=True, slots=True)
class Exclusions:
    """All that can be left out of a book's menus, by its spelling."""

    known: Mapping[str, Exclusion]
    _spellings: Mapping[Words, str]

    @classmethod
    def of(cls, ingredients: Iterable[str], others: Iterable[str]) -> Exclusions:
        """Those of a book: `others` are the names of its dishes and cuisines."""
        names = list(dict.fromkeys([*ingredients, *others]))
        alone = sorted({word for name in names for word in words_of(name)} - _SAYS_TOO_LITTLE)
        there = [set(words_of(name)) for name in names]
        aliases = {text: name for text, name in _ALIASES.items() if any(set(words_of(name)) <= one for one in there)}
        known: dict[str, Exclusion] = {}
        spellings: dict[Words, str] = {}
        for text in (*_MEANINGS, *map(str.casefold, names), *alone, *aliases):
            if words_of(text) not in spellings:
                spellings[words_of(text)] = text
                words = words_of(aliases.get(text, text))
                tags = _MEANINGS.get(spellings.get(words, text), "")
                known[text] = Exclusion(frozenset(tags.split()), frozenset(words))
        return cls(known, spellings)

    def spelling(self, text: str) -> str | None:
        """The text as it is known, whatever its case and number; None if it is not."""
        plain = " ".join(text.casefold().split())
        return plain if plain in self.known else self._spellings.get(words_of(text))

    def refusal(self, text: str) -> str:
        """Why a text can't be left out, with what is known and looks like it."""
        near = [f"“{each}”" for each in lookalikes(text, self.known)]
        hint = f"the nearest it knows: {', '.join(near)}" if near else "it knows allergens, kinds of meat, ingredients"
        return f"the recipe book knows no “{text}” to leave out; {hint}"
