"""What is wrong with an expression, and how much one may build."""

from __future__ import annotations

from typing import Final

from jmespath.exceptions import EmptyExpressionError, IncompleteExpressionError, LexerError, ParseError

_MOST_WEIGHT: Final = 1_000_000


class ExpressionFault(ValueError):
    """An expression that is none, or that has no value; the text says why, without the data."""


def bound(weight: int) -> None:
    """Raise ExpressionFault for a value of so many entries and characters, if those are too many."""
    if weight > _MOST_WEIGHT:
        raise ExpressionFault("makes too large a value")


def wrong_syntax(error: Exception, expression: str) -> str:
    """What the parser found, and where, in one line: its own drawing of the place needs several."""
    match error:
        case EmptyExpressionError():
            return "it is empty"
        case IncompleteExpressionError():
            return "it ends too early"
        case LexerError():
            return _at(error.lexer_position, expression, str(error.message))
        case ParseError():
            return _at(error.lex_position, expression, "this is not expected here")
        case RecursionError():
            return "it is nested too deep"
        case _:
            return " ".join(str(error).split()) or type(error).__name__


def _at(place: int, expression: str, reason: str) -> str:
    rest = expression[place:]
    if not rest:
        return "it ends too early"
    shown = rest if len(rest) <= 20 else f"{rest[:20]}…"
    return f"{reason[:1].lower()}{reason[1:]}, at character {place + 1}: “{shown}”"
