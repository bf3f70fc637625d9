"""What a run answers when it has ended. Pure."""

from __future__ import annotations

from typing import Any, Final

import orjson

from engine.references import Unresolvable, resolve
from engine.resolving import moment
from engine.values import UnfitValue, check_size, dotted, encode, storable
from persistence.moves.rounds.facts import Answer, Answering

UNRESOLVED: Final = "ANSWER_UNRESOLVED"
TOO_LARGE: Final = "ANSWER_TOO_LARGE"


def answer_of(asked: Answering, *, json_bytes: int) -> Answer:
    """The planned answer with what its references stand for, or why it has no value. Raises nothing of the data."""
    known: dict[str, Any] = orjson.loads(asked.known)
    try:
        found = resolve({"answer": orjson.loads(asked.planned)}, known, now=moment(asked.created_at))["answer"]
    except Unresolvable as error:
        return Answer(asked.run, None, UNRESOLVED, storable(f"{dotted(error.path)}: {error.message}"[:4000]))
    text = encode(found)
    try:
        check_size(text, max_bytes=json_bytes, what="the answer")
    except UnfitValue as error:
        return Answer(asked.run, None, TOO_LARGE, error.message)
    return Answer(asked.run, text.decode())
