"""Forms of a verb: “sending”, “sent”, and the nouns that are made of it, like “cancellation”."""

from __future__ import annotations

import re
from typing import Final

_DOUBLES: Final = re.compile(r"[^aeiou]*[aeiou][bdglmnprt]|.*(?:mit|fer|cel|rol)")
"""Verbs that double their last letter: “ship”, “submit”, “cancel”."""
_IRREGULAR: Final = {"send": "sent", "buy": "bought", "pay": "paid", "sell": "sold"}


def gerunds(verb: str) -> frozenset[str]:
    """Its forms in -ing, in every spelling."""
    return frozenset(f"{stem}ing" for stem in _stems(verb))


def participles(verb: str) -> frozenset[str]:
    """Its forms in -ed, or the irregular one."""
    if verb in _IRREGULAR:
        return frozenset({_IRREGULAR[verb]})
    return frozenset(f"{stem}ed" for stem in _stems(verb))


def nouns(verb: str) -> frozenset[str]:
    """The nouns that its ending allows, whether or not they are in use: “deployment”, “submission”."""
    stem = verb.removesuffix("e")
    found = {f"{verb}ment", f"{stem}ation", f"{verb}al"}
    if verb.endswith("cel"):
        found |= {f"{verb}ation", f"{verb}lation"}
    if verb.endswith("mit"):
        found.add(f"{verb[:-1]}ssion")
    if verb.endswith("ate"):
        found.add(f"{stem}ion")
    if verb.endswith("scribe"):
        found.add(f"{verb[:-2]}ption")
    return frozenset(found) - {"postal"}


def _stems(verb: str) -> set[str]:
    """What an ending in a vowel is added to."""
    if verb.endswith("e"):
        return {verb[:-1]}
    if _DOUBLES.fullmatch(verb):
        return {verb, verb + verb[-1]}
    return {verb}
