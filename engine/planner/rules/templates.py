"""One clause against a template: its fixed words in order, and between them the tool's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from engine.phrases import Facts, Placeholder, Refusal, SpeakableTool, Template, TemplatePart
from engine.planner.rules.numbers import money, quantity, whole
from engine.planner.rules.occasions import HALF_NOT_SAID, date_of, occasions, settled
from engine.planner.rules.reading import Match
from engine.planner.rules.slots import as_written
from engine.planner.rules.times import Atom, Clock, Days, read_time
from engine.planner.rules.tokens import Kind, Token, plain
from engine.planner.rules.words import FILLERS, JOINS, POLITE, RELATIONS, SEPARATORS_IN_LISTS, usual_time
from persistence.states import Risk

Tokens = Sequence[Token]
Schema = Mapping[str, Any]
_YES: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_DEEPEST_SCHEMA: Final = 8


def match_template(template: Template, tool: SpeakableTool, tokens: Tokens, at: int, now: datetime) -> Match | None:
    """The clause from a place on as the template reads it; with a Refusal, when its values do not fit the tool."""
    refused: Match | None = None
    for parts in template.variants:
        reading = _Walk(parts, tool, tokens, now)
        try:
            if reading.fits(at):
                remarks = tuple(dict.fromkeys(reading.sentence.remarks))
                facts = Facts(as_written(tokens), None, reading.values, reading.said, remarks)
                return Match(tool, template, facts, (), score=reading.score)
        except Refusal as why:
            refused = refused or Match(tool, template, Facts(as_written(tokens)), (), (), why, reading.score)
    return refused


@dataclass(frozen=True, slots=True)
class _Sentence:
    """What the values of a sentence are read with; `remarks` say what was taken where it left something open."""

    now: datetime
    words: Sequence[str]
    remarks: list[str] = field(default_factory=list[str])


class _Walk:
    """One variant, word by word along the clause."""

    def __init__(self, parts: Sequence[TemplatePart], tool: SpeakableTool, tokens: Tokens, now: datetime) -> None:
        self.parts = parts
        self.tool = tool
        self.tokens = tokens
        self.sentence = _Sentence(now, [token.word for token in tokens])
        self.values: dict[str, Any] = {}
        self.said: dict[str, str] = {}
        literals = sum(isinstance(part, str) for part in parts)
        self.score = (literals, 0, literals - len(tokens))

    def fits(self, at: int) -> bool:
        last = ""
        for number, part in enumerate(self.parts):
            if isinstance(part, Placeholder):
                end = self._end_of_value(at, number)
                if end is None or end == at:
                    return False
                self._set(part.name, at, end, after=last)
                at = end
            else:
                end = self._past_word(at, part)
                if end is None:
                    return False
                at, last = end, part
        return self._is_silent(at)

    def _past_word(self, at: int, word: str) -> int | None:
        while at < len(self.tokens):
            token = self.tokens[at]
            if token.kind is not Kind.QUOTED and token.word == word:
                return at + 1
            if token.word not in FILLERS and token.word not in {",", ":"}:
                break
            at += 1
        return at if word in FILLERS else None

    def _end_of_value(self, at: int, number: int) -> int | None:
        """Where the value ends: before the fixed words that follow it, or with the clause."""
        following: list[str] = []
        for part in self.parts[number + 1 :]:
            if isinstance(part, Placeholder):
                break
            following.append(part)
        if not following:
            end = len(self.tokens)
            while end > at and (polite := self._polite_before(end)):
                end -= polite
            return end
        for end in range(at + 1, len(self.tokens)):
            if self._stand_at(end, following):
                return end
        return None

    def _stand_at(self, at: int, words: Sequence[str]) -> bool:
        place: int | None = at
        if self.tokens[at].kind is Kind.QUOTED or self.tokens[at].word != words[0]:
            return False
        for word in words:
            place = self._past_word(place, word)
            if place is None:
                return False
        return True

    def _polite_before(self, end: int) -> int:
        for words in POLITE:
            said = [token.word for token in self.tokens[max(0, end - len(words)) : end]]
            if said == list(words):
                return len(words)
        return int(self.tokens[end - 1].word in {",", ":"})

    def _is_silent(self, at: int) -> bool:
        rest = [token.word for token in self.tokens[at:]]
        polite = {word for words in POLITE for word in words}
        return all(word in polite or word in FILLERS or word == "," for word in rest)

    def _set(self, name: str, at: int, end: int, *, after: str) -> None:
        said = self.tokens[at:end]
        schema = cast("Schema", self.tool.args_schema.get("properties", {})).get(name)
        if schema is None:
            raise Refusal(f"the tool {self.tool.name} takes no {name}")
        strict = self.tool.risk >= Risk.L3 or after in JOINS or after in RELATIONS or end < len(self.tokens)
        self.said[name] = as_written(said)
        self.values[name] = _value(said, cast("Schema", schema), self.tool.args_schema, self.sentence, strict=strict)


def _value(said: Tokens, schema: Schema, root: Schema, sentence: _Sentence, *, strict: bool) -> Any:
    reasons: list[Refusal] = []
    for one in _alternatives(schema, root, _DEEPEST_SCHEMA):
        try:
            return _one(said, one, root, sentence, strict=strict)
        except Refusal as why:
            reasons.append(why)
    raise reasons[0] if reasons else Refusal("the tool takes no such value", part=as_written(said))


def _alternatives(schema: Schema, root: Schema, depth: int) -> list[Schema]:
    """The schema's own alternatives, references followed, text last."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and depth:
        target: Any = root
        for key in reference.removeprefix("#/").split("/"):
            target = cast("Schema", target).get(key, {}) if isinstance(target, Mapping) else {}
        return _alternatives(cast("Schema", target), root, depth - 1)
    any_of = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(any_of, list) and depth:
        every = [found for one in cast("list[Schema]", any_of) for found in _alternatives(one, root, depth - 1)]
        return sorted((one for one in every if one.get("type") != "null"), key=_is_text)
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return sorted(({**schema, "type": kind} for kind in cast("list[str]", kinds) if kind != "null"), key=_is_text)
    return [schema]


def _is_text(schema: Schema) -> bool:
    return schema.get("type") == "string" and "enum" not in schema and "format" not in schema


def _one(said: Tokens, schema: Schema, root: Schema, sentence: _Sentence, *, strict: bool) -> Any:
    text = as_written(said)
    if "enum" in schema or "const" in schema:
        return _one_of(text, cast("list[Any]", schema.get("enum", [schema.get("const")])))
    match schema.get("type"):
        case "integer":
            return _number(said, text)
        case "number":
            return _decimal(said, text)
        case "boolean":
            if plain(text) not in _YES:
                raise Refusal("should be yes or no", part=text)
            return _YES[plain(text)]
        case "array":
            return _items(said, cast("Schema", schema.get("items", {})), root, sentence)
        case "object":
            raise Refusal("can't be said in words", part=text)
        case _:
            return _text(said, text, cast("str", schema.get("format", "")), sentence, strict=strict)


def _one_of(text: str, values: list[Any]) -> Any:
    for value in values:
        if isinstance(value, str) and plain(value).replace("_", " ") == plain(text).replace("_", " "):
            return value
        if not isinstance(value, str) and str(value).casefold() == plain(text):
            return value
    raise Refusal(f"should be one of {', '.join(map(str, values))}", part=text)


def _number(said: Tokens, text: str) -> int:
    found = whole(said, 0)
    if found is None and (several := quantity(said, 0, articles=True)) and several[0].number is not None:
        found = several[0].number, several[1]
    if found is None or found[1] != len(said):
        raise Refusal("should be a whole number", part=text)
    return found[0]


def _decimal(said: Tokens, text: str) -> float | int:
    try:
        return _number(said, text)
    except Refusal:
        pass
    if len(said) == 1 and said[0].word.replace(".", "", 1).isdecimal() and said[0].word.isascii():
        return float(said[0].word)
    if (amount := money(said, 0)) and amount[1] == len(said) and "." not in text:
        return amount[0]
    raise Refusal("should be a number", part=text)


def _items(said: Tokens, schema: Schema, root: Schema, sentence: _Sentence) -> list[Any]:
    items: list[list[Token]] = [[]]
    for token in said:
        if token.kind is not Kind.QUOTED and token.word in SEPARATORS_IN_LISTS:
            items.append([])
        else:
            items[-1].append(token)
    return [_value(item, schema, root, sentence, strict=True) for item in items if item]


def _text(said: Tokens, text: str, form: str, sentence: _Sentence, *, strict: bool) -> str:
    if form in {"date", "date-time", "time"}:
        return _time(said, text, form, sentence)
    if strict and (odd := next((t for t in said if t.kind is Kind.WORD and t.word in RELATIONS), None)):
        raise Refusal(f"“{odd.text}” may mean more than a text; put it in quotes if it is one", part=text)
    if said and said[0].kind is Kind.MARK:
        raise Refusal("is no text", part=text)
    return text


def _time(said: Tokens, text: str, form: str, sentence: _Sentence) -> str:
    atoms: list[Atom] = []
    at = 0
    while at < len(said):
        found = read_time(said, at)
        if found:
            atoms.append(found[0])
            at = found[1]
        elif said[at].word in FILLERS or said[at].word == ",":
            at += 1
        else:
            raise Refusal("should be a day" if form == "date" else "should be a day and a time", part=text)
    if form == "date" and len(atoms) == 1 and isinstance(atoms[0], Days) and len(atoms[0].days) == 1:
        return date_of(atoms[0].days[0], sentence.now).isoformat()
    if form == "time" and len(atoms) == 1 and isinstance(atoms[0], Clock):
        minutes = settled(atoms[0], usual_time(sentence.words))
        if atoms[0].bare:
            sentence.remarks.append(f"{minutes // 60:02}:{minutes % 60:02}, {HALF_NOT_SAID}")
        return f"{minutes // 60:02}:{minutes % 60:02}:00"
    if form == "date-time":
        found_starts = occasions(atoms, sentence.now, usual=usual_time(sentence.words))
        if len(found_starts.starts) == 1 and found_starts.repeat is None:
            sentence.remarks.extend(found_starts.remarks)
            return found_starts.starts[0].isoformat()
    raise Refusal("should be one day" if form == "date" else "should be one day and time", part=text)
