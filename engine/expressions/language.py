"""The expression language: JMESPath, with `let … in`, variables and arithmetic as its Community Edition writes them.

What plain JMESPath can read means what it means there: `let` and `in` stay names of fields, and a bare number is none
(`` `1` `` is). Source of the additions: JMESPath Community Edition 1.1, https://jmespath.site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from jmespath.exceptions import LexerError, ParseError
from jmespath.lexer import Lexer
from jmespath.parser import ParsedResult, Parser

Token = dict[str, Any]
Node = Mapping[str, Any]

_OPERATORS: Final = {"+": "plus", "-": "minus", "/": "divide", "%": "modulo"}
_ADDED: Final = frozenset("$=+-/%")
_ENDS_OPERAND: Final = frozenset(
    {
        "unquoted_identifier",
        "quoted_identifier",
        "literal",
        "number",
        "variable",
        "current",
        "flatten",
        "star",
        "rbracket",
        "rparen",
        "rbrace",
    }
)
"""After such a token `*` multiplies; anywhere else it stands for all values."""


def parse(expression: str) -> ParsedResult:
    """The expression's tree, its nodes shaped like the library's. Raises the library's JMESPathError.

    Nodes beside the library's: `let_expression` (children: an `assign` each, then the body), `assign` (value: the
    variable; child: its expression), `variable` (value: its name), `arithmetic` (value: the operator; two children)
    and `sign` (value: the operator; one child).
    """
    return _CommunityParser().parse(expression)


def children(node: Node) -> Sequence[Node]:
    """The nodes right below one."""
    below = cast("Sequence[object]", node.get("children") or ())
    # A slice's children are numbers.
    return [cast("Node", child) for child in below if isinstance(child, dict)]


def walk(root: Node) -> Iterator[tuple[int, Node]]:
    """All nodes with their depth. Iterative: a long pipe is deep."""
    waiting = [(1, root)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting.extend((depth + 1, child) for child in children(node))


# ── tokens ──


def _tokens(expression: str) -> Iterator[Token]:
    previous = ""
    for token in _pieces(expression):
        if token["type"] == "star" and previous in _ENDS_OPERAND:
            token["type"] = "multiply"
        previous = token["type"]
        yield token


def _pieces(expression: str) -> Iterator[Token]:
    """The added tokens where they stand, and between them what the library's lexer reads."""
    begin = 0
    if not _ADDED.isdisjoint(expression):
        for token in _added(expression):
            yield from _plain(expression, begin, token["start"])
            yield token
            begin = token["end"]
    yield from _plain(expression, begin, len(expression))
    yield {"type": "eof", "value": "", "start": len(expression), "end": len(expression)}


def _plain(expression: str, start: int, end: int) -> Iterator[Token]:
    text = expression[start:end]
    if not text.strip(" \t\r\n") and expression.strip(" \t\r\n"):
        return  # nothing beside an added token; an expression of nothing at all is for the library to refuse
    try:
        for token in Lexer().tokenize(text):
            if token["type"] != "eof":
                yield {**token, "start": token["start"] + start, "end": token["end"] + start}
    except LexerError as error:
        error.lexer_position += start
        raise


def _added(expression: str) -> Iterator[Token]:
    place = 0
    while place < len(expression):
        letter, following = expression[place], expression[place + 1 : place + 2]
        if letter in "'\"`":
            place = _after_quoted(expression, place)
        elif letter == "$":
            end = _after_name(expression, place + 1)
            if end == place + 1:
                raise LexerError(place, "$", "a variable is a $ and a name, like $total")
            yield _token("variable", expression[place + 1 : end], place, end)
            place = end
        elif letter in "=<>!" and following == "=":
            place += 2
        elif letter == "=":
            yield _token("assign", letter, place, place + 1)
            place += 1
        elif letter in _OPERATORS and not (letter == "-" and following.isascii() and following.isdigit()):
            yield _token(_OPERATORS[letter], letter, place, place + 1)
            place += 1
        else:
            place += 1


def _token(kind: str, value: str, start: int, end: int) -> Token:
    return {"type": kind, "value": value, "start": start, "end": end}


def _after_quoted(expression: str, place: int) -> int:
    """The place after a quoted text; past the end where it is not closed, which the library then says."""
    quote = expression[place]
    place += 1
    while place < len(expression) and expression[place] != quote:
        place += 2 if expression[place] == "\\" else 1
    return place + 1


def _after_name(expression: str, place: int) -> int:
    if expression[place : place + 1] in Lexer.START_IDENTIFIER:
        while expression[place : place + 1] in Lexer.VALID_IDENTIFIER:
            place += 1
    return place


# ── grammar ──

if TYPE_CHECKING:

    class _Parser:
        """The library's parser, which has no types."""

        BINDING_POWER: ClassVar[dict[str, int]]
        _tokens: list[Token]
        _index: int

        def parse(self, expression: str) -> ParsedResult: ...
        def _do_parse(self, expression: str) -> ParsedResult: ...
        def _expression(self, binding_power: int = 0) -> Any: ...
        def _token_nud_unquoted_identifier(self, token: Token) -> Any: ...
        def _advance(self) -> None: ...
        def _match(self, token_type: str) -> None: ...
        def _current_token(self) -> str: ...
        def _lookahead_token(self, number: int) -> Token: ...
else:
    _Parser = Parser


class _CommunityParser(_Parser):
    """The library's parser, with the added tokens' places in its grammar."""

    BINDING_POWER: ClassVar[dict[str, int]] = {
        **Parser.BINDING_POWER,
        "variable": 0,
        "assign": 0,
        "plus": 6,
        "minus": 6,
        "multiply": 7,
        "divide": 7,
        "modulo": 7,
    }

    def parse(self, expression: str) -> ParsedResult:
        return self._do_parse(expression)  # without the library's cache, which knows nothing of this grammar

    def _parse(self, expression: str) -> ParsedResult:
        self._tokens = list(_tokens(expression))
        self._index = 0
        parsed = self._expression()
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise ParseError(token["start"], token["value"], token["type"], f"Unexpected token: {token['value']}")
        return ParsedResult(expression, parsed)

    def _token_nud_unquoted_identifier(self, token: Token) -> Any:
        if token["value"] == "let" and self._current_token() == "variable":
            return self._let()
        return super()._token_nud_unquoted_identifier(token)

    def _let(self) -> Node:
        children: list[Node] = []
        while True:
            name = self._lookahead_token(0)["value"]
            self._match("variable")
            self._match("assign")
            children.append({"type": "assign", "children": [self._expression()], "value": name})
            if self._is_in():
                break
            self._match("comma")
        self._advance()
        following = self._lookahead_token(0)
        if following["type"] == "multiply":
            following["type"] = "star"  # the word before it was no operand
        children.append(self._expression())
        return {"type": "let_expression", "children": children}

    def _is_in(self) -> bool:
        token = self._lookahead_token(0)
        return token["type"] == "unquoted_identifier" and token["value"] == "in"

    def _token_nud_variable(self, token: Token) -> Node:
        return {"type": "variable", "children": [], "value": token["value"]}

    def _token_nud_minus(self, token: Token) -> Node:
        return self._sign(token)

    def _token_nud_plus(self, token: Token) -> Node:
        return self._sign(token)

    def _sign(self, token: Token) -> Node:
        operand = self._expression(self.BINDING_POWER["multiply"])
        return {"type": "sign", "children": [operand], "value": token["value"]}

    def _token_led_plus(self, left: Node) -> Node:
        return self._arithmetic(left, "plus", "+")

    def _token_led_minus(self, left: Node) -> Node:
        return self._arithmetic(left, "minus", "-")

    def _token_led_multiply(self, left: Node) -> Node:
        return self._arithmetic(left, "multiply", "*")

    def _token_led_divide(self, left: Node) -> Node:
        return self._arithmetic(left, "divide", "/")

    def _token_led_modulo(self, left: Node) -> Node:
        return self._arithmetic(left, "modulo", "%")

    def _arithmetic(self, left: Node, kind: str, operator: str) -> Node:
        right = self._expression(self.BINDING_POWER[kind])
        return {"type": "arithmetic", "children": [left, right], "value": operator}
