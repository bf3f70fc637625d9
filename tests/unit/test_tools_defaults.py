from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID, uuid4

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel, SecretStr, model_validator
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from engine.digest import args_digest
from engine.tools import ArgsUnfit, Fault, Tool, ToolDeclarationError, ToolError, tool
from engine.tools.declaration import declared_tool


def tool_of(function: Callable[..., object]) -> Tool:
    found = declared_tool(function)
    assert found is not None
    return found


class Money(BaseModel):
    value: int
    currency: str = "EUR"


class Named(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    first_name: str
    nick_name: str | None = None
    money: Money = Money(value=1)
    tags: list[str] = Field(default_factory=list)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Monies(RootModel[list[Money]]): ...


class Either(BaseModel):
    place: str = Field(default="here", validation_alias=AliasChoices("place", "where"))


@dataclasses.dataclass
class Plain:
    a: int
    b: int = 2
    c: list[Money] = dataclasses.field(default_factory=list)


@pydantic_dataclass
class Checked:
    a: int
    money: Money = dataclasses.field(default_factory=lambda: Money(value=7))


class Typed(TypedDict):
    money: Money
    other: NotRequired[Money]


class Pair(NamedTuple):
    money: Money
    note: str = "none"


CASES: dict[str, tuple[Any, Any, Any]] = {
    "a model": (Money, {"value": 5}, {"value": 5, "currency": "EUR"}),
    "what was said stays": (Money, {"value": 5, "currency": "USD"}, {"value": 5, "currency": "USD"}),
    "models inside, under their aliases": (
        Named,
        {"firstName": "Ann", "more": {"x": 1}},
        {
            "firstName": "Ann",
            "more": {"x": 1},
            "nickName": None,
            "money": {"value": 1, "currency": "EUR"},
            "tags": [],
        },
    ),
    "a list": (list[Money], [{"value": 1}, {"value": 2}], [{"value": n, "currency": "EUR"} for n in (1, 2)]),
    "a tuple": (tuple[int, Money], [1, {"value": 2}], [1, {"value": 2, "currency": "EUR"}]),
    "a dictionary": (dict[str, Money], {"x": {"value": 1}}, {"x": {"value": 1, "currency": "EUR"}}),
    "keys that are no text": (
        dict[date, Money],
        {"2026-01-02": {"value": 1}},
        {"2026-01-02": {"value": 1, "currency": "EUR"}},
    ),
    "a list in a dictionary": (
        dict[str, list[Money]],
        {"x": [{"value": 1}]},
        {"x": [{"value": 1, "currency": "EUR"}]},
    ),
    "one of several": (Money | None, {"value": 1}, {"value": 1, "currency": "EUR"}),
    "none of several": (Money | None, None, None),
    "a branch by its fields": (int | Cat | Dog, {"kind": "dog"}, {"kind": "dog", "tricks": []}),
    "a branch by its mark": (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        {"kind": "cat"},
        {"kind": "cat", "lives": 9},
    ),
    "a dataclass": (Plain, {"a": 1, "c": [{"value": 1}]}, {"a": 1, "b": 2, "c": [{"value": 1, "currency": "EUR"}]}),
    "a factory in a dataclass": (Plain, {"a": 1}, {"a": 1, "b": 2, "c": []}),
    "pydantic's dataclass": (Checked, {"a": 1}, {"a": 1, "money": {"value": 7, "currency": "EUR"}}),
    "a typed dictionary": (Typed, {"money": {"value": 1}}, {"money": {"value": 1, "currency": "EUR"}}),
    "a named tuple": (Pair, [{"value": 1}], [{"value": 1, "currency": "EUR"}, "none"]),
    "a root": (Monies, [{"value": 1}], [{"value": 1, "currency": "EUR"}]),
    "the first of several names": (Either, {}, {"place": "here"}),
    "the name that was used": (Either, {"where": "there"}, {"where": "there"}),
    "anything": (dict[str, Any], {"value": {"x": [1]}}, {"value": {"x": [1]}}),
}


@pytest.mark.parametrize(("kind", "given", "filled"), CASES.values(), ids=CASES)
def test_defaults_are_filled_in_at_every_depth(kind, given, filled):
    def act(it) -> None: ...

    act.__annotations__["it"] = kind
    act_tool = tool_of(tool()(act))

    fitted = act_tool.fit({"it": given})

    assert fitted == {"it": filled}
    assert act_tool.fit(fitted) == fitted
    assert act_tool.arguments.values(fitted) == act_tool.arguments.values({"it": given})


@pytest.mark.parametrize(("kind", "given", "filled"), CASES.values(), ids=CASES)
def test_beside_a_secret_the_same_defaults_are_filled_in(kind, given, filled):
    def act(secret, it) -> None: ...

    act.__annotations__ |= {"it": kind, "secret": str}
    act_tool = tool_of(tool()(act))

    fitted = act_tool.fit({"secret": {"$secret": "S"}, "it": given})

    assert fitted == {"secret": {"$secret": "S"}, "it": filled}


def test_a_secret_inside_stays_where_it_is_and_its_neighbours_get_their_defaults():
    @tool()
    def pay(money: Money | None, more: list[Cat | Money]) -> None: ...

    args = {"money": {"value": {"$secret": "V"}}, "more": [{"kind": "cat"}, {"value": {"$secret": "V"}}]}

    assert tool_of(pay).fit(args) == {
        "money": {"value": {"$secret": "V"}, "currency": "EUR"},
        "more": [{"kind": "cat", "lives": 9}, {"value": {"$secret": "V"}, "currency": "EUR"}],
    }


def test_a_default_that_is_another_one_each_time_is_made_once_and_then_stands():
    class Order(BaseModel):
        number: UUID = Field(default_factory=uuid4)

    def send(order) -> None: ...

    send.__annotations__["order"] = Order
    send_tool = tool_of(tool()(send))

    once = send_tool.fit({"order": {}})

    assert UUID(once["order"]["number"])
    assert send_tool.fit(once) == once
    assert send_tool.fit({"order": {}}) != once


def test_the_schema_shows_what_a_factory_makes_alike_each_time():
    @tool()
    def act(it: Named) -> None: ...

    properties = tool_of(act).args_schema["$defs"]["Named"]["properties"]

    assert properties["tags"]["default"] == []
    assert properties["money"]["default"] == {"value": 1, "currency": "EUR"}


def test_a_default_that_is_in_force_only_now_changes_the_digest():
    def version(kind: object) -> Tool:
        def pay(money) -> None: ...

        pay.__annotations__["money"] = kind
        return tool_of(tool()(pay))

    class Before(BaseModel):
        value: int

    approved = version(Before).fit({"money": {"value": 5}})
    now = version(Money).fit(approved)

    assert args_digest("pay", now) != args_digest("pay", approved)


def test_a_default_that_is_made_of_what_was_filled_in_before_would_never_be_the_approved_one():
    class Growing(BaseModel):
        counts: dict[str, int] = {}

        @model_validator(mode="after")
        def grow(self) -> Growing:
            self.counts = {**self.counts, str(len(self.counts)): 1}
            return self

    def act(it) -> None: ...

    act.__annotations__["it"] = Growing

    with pytest.raises(ArgsUnfit, match="filled in differently each time"):
        tool_of(tool()(act)).fit({"it": {}})


class Sloppy(BaseModel):
    amount: int = None  # pyright: ignore[reportAssignmentType]


class Hidden(BaseModel):
    key: SecretStr = SecretStr("hunter2")


@dataclasses.dataclass
class SloppyData:
    amount: int = "3"  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Sloppy, "the default of Sloppy.amount does not fit its annotation"),
        (list[Sloppy], "the default of Sloppy.amount does not fit its annotation"),
        (SloppyData, "the default of SloppyData.amount does not fit its annotation"),
        (Hidden, "the default of Hidden.key can't be written as JSON: would be hidden"),
    ],
)
def test_a_default_that_could_not_be_written_into_arguments_is_a_faulty_declaration(kind, says):
    def act(it) -> None: ...

    act.__annotations__["it"] = kind

    with pytest.raises(ToolDeclarationError, match=says) as error:
        tool()(act)
    assert "hunter2" not in str(error.value)


def test_what_only_its_validator_refuses_is_a_fault_beside_a_reference_too():
    @tool()
    def act(when: date, other: str) -> None: ...

    faults = tool_of(act).faults({"when": "2026-02-30", "other": {"$jmespath": "x"}})

    assert [fault.path for fault in faults] == [("when",)]


# --- prepare ---


def greeted(args: dict[str, Any]) -> dict[str, Any]:
    if args["text"] is None:
        if not args["to"]:
            raise ArgsUnfit([Fault(("to",), "needs somebody to greet")])
        args["text"] = f"Dear {args['to']}"
    return args


def greeting(prepare: Any) -> Tool:
    @tool(prepare=prepare)
    def greet(to: str, text: Annotated[str, Field(max_length=20)] | None = None) -> None: ...

    return tool_of(greet)


def test_what_a_tool_composes_stands_in_its_arguments_and_what_is_there_stays():
    greet = greeting(greeted)

    assert greet.fit({"to": "Ann"}) == {"to": "Ann", "text": "Dear Ann"}
    assert greet.fit({"to": "Ann", "text": "Hi"}) == {"to": "Ann", "text": "Hi"}
    assert greet.fit(greet.fit({"to": "Ann"})) == {"to": "Ann", "text": "Dear Ann"}


def test_it_gets_a_copy():
    greet, args = greeting(greeted), {"to": "Ann", "text": None}

    greet.fit(args)

    assert args == {"to": "Ann", "text": None}


def raising(error: BaseException) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def prepare(args: dict[str, Any]) -> dict[str, Any]:
        raise error

    return prepare


@pytest.mark.parametrize(
    ("prepare", "args", "says"),
    [
        (greeted, {"to": ""}, "to: needs somebody to greet"),
        (greeted, {"to": "Ann" * 9}, "text: String should have at most 20 characters"),
        (raising(ToolError("no text for that")), {"to": "Ann"}, "no text for that"),
        (raising(KeyError("x")), {"to": "Ann"}, "can't be prepared: KeyError: 'x'"),
        (raising(SystemExit(1)), {"to": "Ann"}, "can't be prepared: SystemExit: 1"),
        (lambda args: None, {"to": "Ann"}, "gave back NoneType"),
        (lambda args: {**args, "text": date(2026, 1, 2)}, {"to": "Ann"}, "text: is no JSON value"),
        (lambda args: {**args, "more": 1}, {"to": "Ann"}, "more: is not known here"),
        (lambda args: {**args, "to": args["to"] + "!"}, {"to": "Ann"}, "changes again what it has prepared"),
    ],
)
def test_its_faults_are_faults_of_the_arguments(prepare, args, says):
    with pytest.raises(ArgsUnfit) as unfit:
        greeting(prepare).fit(args)

    assert says.casefold() in str(unfit.value).casefold()


async def awaited(args: dict[str, Any]) -> dict[str, Any]:
    return args


@pytest.mark.parametrize("prepare", [awaited, "greeted"])
def test_it_must_be_a_plain_function(prepare):
    with pytest.raises(ToolDeclarationError, match="prepare should be a function"):
        greeting(prepare)
