"""Which of the things that can be asked for to show to somebody who was not understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.nearest import lookalikes
from engine.phrases import SpeakableTool, Template
from engine.planner.rules.speech import IndexedWording, Speech
from engine.planner.rules.tokens import plain, tokens_of
from engine.planner.rules.words import FILLERS, JOINS, RELATIONS, WEAK_WORDS

_MOST: Final = 2
_MOST_WORDS: Final = 60
_SAY_LITTLE: Final = FILLERS | JOINS | RELATIONS | WEAK_WORDS


def fitting_examples(speech: Speech, intent: str) -> tuple[str, ...]:
    """The examples whose words fit the sentence best, of different tools where none fits better than another."""
    said = {token.word for token in tokens_of(intent, most=_MOST_WORDS)} - _SAY_LITTLE
    scored: list[tuple[int, int, int, str]] = []
    seen: dict[str, int] = {}
    for place, (tool, entry) in enumerate(speech.entries):
        if text := entry.text if isinstance(entry, Template) else entry.wording.example:
            score = _score(said, set(_words_of(tool, entry)))
            nth = seen[tool.name] = seen.get(tool.name, -1) + 1
            scored.append((-score, nth, place, text))
    chosen = dict.fromkeys(text for *_, text in sorted(scored))
    return tuple(f"“{text}”" for text in list(chosen)[:_MOST])


def _score(said: set[str], known: set[str]) -> int:
    """A word counts twice when it is known, and once when it looks like a known one."""
    same = said & known
    alike = sum(bool(lookalikes(word, known, most=1)) for word in said - same if len(word) > 3)
    return 2 * len(same) + alike


def _words_of(tool: SpeakableTool, entry: IndexedWording | Template) -> Iterator[str]:
    """The words that speak of the tool: its phrase's fixed ones, and those of its example."""
    texts = [tool.name.replace("_", " ")]
    if isinstance(entry, Template):
        texts += [part for parts in entry.variants for part in parts if isinstance(part, str)]
    else:
        texts += [*entry.wording.verbs, *entry.wording.nouns, entry.wording.example]
    for text in texts:
        yield from (plain(word) for word in text.split() if plain(word) not in _SAY_LITTLE)
