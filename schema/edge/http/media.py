"""Which media type a request would like its answer in."""

from functools import lru_cache
from typing import Final

__all__ = ["EVENT_STREAM", "GRAPHQL_RESPONSE", "JSON_TYPE", "accepted", "wants_page"]

JSON_TYPE: Final = "application/json"
GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
EVENT_STREAM: Final = "text/event-stream"

_ANSWERS: Final = (JSON_TYPE, GRAPHQL_RESPONSE, EVENT_STREAM)
_LONGEST: Final = 1000


@lru_cache(maxsize=16)
def accepted(accept: str | None) -> tuple[str, ...]:
    """The media types that we speak and the client takes, best first; plain JSON if it takes none.

    Equal weights count in the order in which they stand. A wildcard means JSON:
    who takes anything is most likely used to that.
    """
    wanted: list[str] = []
    for media_type in _by_weight(accept):
        if media_type in ("*/*", "application/*"):
            media_type = JSON_TYPE  # noqa: PLW2901 - what the wildcard stands for
        wanted += [answer for answer in _ANSWERS if answer == media_type and answer not in wanted]
    return tuple(wanted) or (JSON_TYPE,)


def wants_page(accept: str | None) -> bool:
    """Whether a browser asks for a page: HTML is named, and before anything that we answer operations in."""
    for media_type in _by_weight(accept):
        if media_type in ("text/html", "application/xhtml+xml"):
            return True
        if media_type in _ANSWERS:
            return False
    return False


def _by_weight(accept: str | None) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in (accept or "")[:_LONGEST].split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((_number(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
        if weight > 0:
            weighted.append((weight, media_type))
    return [media_type for _, media_type in sorted(weighted, key=lambda entry: -entry[0])]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
