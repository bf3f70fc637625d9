from __future__ import annotations

import asyncio
import contextvars
import json
import sys
import threading
import tomllib
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from structlog.testing import capture_logs

from engine.digest import args_digest
from engine.phrases import Phrase
from engine.tools import (
    ArgsUnfit,
    Registry,
    ResultUnfit,
    Tool,
    ToolContext,
    ToolDeclarationError,
    load_registry,
    plain,
    registry,
    tool,
)
from engine.tools.threads import ToolThreads
from persistence.states import Risk


class Stamp(BaseModel):
    worth: int
    image: str | None = None


@tool(risk="L1", idempotent=True, timeout=30, max_attempts=3)
async def send_postcard(
    ctx: ToolContext,
    to: str,
    text: str = "Hello",
    at: list[datetime] = [],  # noqa: B006 -- a default that must not be shared
    stamp: Stamp | None = None,
    size: Literal["A5", "A6"] = "A6",
    copies: Annotated[int, Field(ge=1, le=9)] = 1,
    house: int | str = 1,
) -> dict:
    """Posts a card."""
    return {"to": to, "at": at, "stamp": stamp, "key": ctx.execution_key}


@tool(risk="L3")
def ring_bell(times: int, tone: str = "C") -> list[str]:
    return ["ding"] * times


def tool_of(function: Callable[..., Any]) -> Tool:
    (found,) = Registry.of(function)
    return found


POSTCARD = tool_of(send_postcard)


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return ToolContext("key", "run_1", "step_1", 1, "user_1", "tool", tmp_path)


def faults(args: dict[str, Any], of: Tool = POSTCARD) -> dict[str, str]:
    return {".".join(map(str, fault.path)): fault.message for fault in of.faults(args)}


# --- what a declaration says ---


def test_a_declared_tool_says_what_the_signature_and_the_docstring_say():
    assert POSTCARD.name == "send_postcard"
    assert POSTCARD.description == "Posts a card."
    assert POSTCARD.risk is Risk.L1
    assert (POSTCARD.idempotent, POSTCARD.timeout_seconds, POSTCARD.max_attempts) == (True, 30, 3)
    assert POSTCARD.is_async
    assert POSTCARD.result_schema is None
    assert POSTCARD.args_schema["required"] == ["to"]
    assert POSTCARD.args_schema["additionalProperties"] is False
    assert "ctx" not in POSTCARD.args_schema["properties"]
    assert POSTCARD.args_schema["properties"]["text"] == {"default": "Hello", "title": "Text", "type": "string"}


def test_a_tool_without_context_docstring_or_options_has_sensible_ones():
    bell = tool_of(ring_bell)

    assert bell.description == "Ring bell."
    assert bell.idempotent is False
    assert bell.timeout_seconds is None
    assert bell.max_attempts is None
    assert bell.is_async is False
    assert bell.result_schema == {"items": {"type": "string"}, "type": "array"}
    assert set(bell.args_schema["properties"]) == {"times", "tone"}


class Plain(typing.TypedDict):
    id: str


class Extended(typing_extensions.TypedDict):
    id: str


@pytest.mark.parametrize("shape", [lambda kind: kind, lambda kind: list[kind], lambda kind: dict[str, kind] | None])
def test_a_typed_dict_that_is_returned_gives_a_schema_or_a_clear_error(shape: Callable[[Any], Any]):
    def declared(kind: Any) -> Tool:
        async def give() -> None:
            """Gives."""

        give.__annotations__["return"] = shape(kind)
        return tool_of(tool("L0")(give))

    assert '"id"' in json.dumps(declared(Extended).result_schema)
    if sys.version_info >= (3, 12):
        assert declared(Plain).result_schema == declared(Extended).result_schema
    else:
        with pytest.raises(
            ToolDeclarationError, match=r"give: what it returns has no schema: .*typing_extensions\.TypedDict"
        ):
            declared(Plain)


class Inner(BaseModel):
    due_on: str = Field(alias="dueOn")


class Named(BaseModel):
    in_short: str = Field(alias="inShort")
    inner: Inner


class Aliased(Named):
    model_config = ConfigDict(serialize_by_alias=True)


@pytest.mark.parametrize(
    ("kind", "names"), [(Named, ["in_short", "inner", "due_on"]), (Aliased, ["inShort", "inner", "due_on"])]
)
def test_a_result_schema_has_the_names_that_results_have(kind: type[Named], names: list[str]):
    async def give() -> None:
        """Gives."""

    give.__annotations__["return"] = kind
    schema = tool_of(tool("L0")(give)).result_schema
    assert schema is not None

    result: Any = plain(kind.model_validate({"inShort": "x", "inner": {"dueOn": "y"}}))

    assert [*result, *result["inner"]] == names
    assert [*schema["properties"], *schema["$defs"]["Inner"]["properties"]] == names


def test_a_result_that_has_no_schema_for_another_reason_is_reported():
    class Opaque:
        pass

    async def give() -> None:
        """Gives."""

    give.__annotations__["return"] = Opaque
    with capture_logs() as log:
        assert tool_of(tool("L0")(give)).result_schema is None

    assert [entry["event"] for entry in log] == ["tool_without_result_schema"]
    assert "Opaque" in log[0]["why"]


@pytest.mark.parametrize(("risk", "idempotent"), [("L0", True), ("L1", True), ("L2", True), ("L3", False)])
def test_a_tool_is_idempotent_by_default_below_the_highest_risk(risk, idempotent):
    @tool(risk=risk)
    def act() -> None: ...

    assert tool_of(act).idempotent is idempotent


def test_the_decorated_function_stays_a_function():
    assert ring_bell(2) == ["ding", "ding"]


def test_a_parameter_may_have_any_name():
    @tool()
    def act(schema: int, model_config: int, json: int, self_: int, copy: int = 3) -> None: ...

    args = {"schema": 1, "model_config": 2, "json": 3, "self_": 4}

    assert tool_of(act).fit(args) == {**args, "copy": 3}
    assert faults({**args, "arg_0": 1}, tool_of(act)) == {"arg_0": "is not known here"}


# --- declarations that can't work ---


def lacks_annotation(ctx: ToolContext, to) -> None: ...
def takes_anything(ctx: ToolContext, *to: str) -> None: ...
def takes_any_key(ctx: ToolContext, **to: str) -> None: ...
def positional(ctx: ToolContext, to: str, /) -> None: ...
def late_context(to: str, ctx: ToolContext) -> None: ...
def unknown_type(ctx: ToolContext, to: NoSuchType) -> None: ...  # noqa: F821
def bad_default(ctx: ToolContext, to: int = "x") -> None: ...
def none_default(ctx: ToolContext, to: int = None) -> None: ...  # noqa: RUF013
def field_default(ctx: ToolContext, to: int = Field(ge=1)) -> None: ...
def callback(ctx: ToolContext, to: Callable[[], int]) -> None: ...
def no_schema(ctx: ToolContext, to: threading.Thread) -> None: ...
def infinite_default(ctx: ToolContext, to: float = float("nan")) -> None: ...


async def agenerator(ctx: ToolContext):
    yield 1


def generator(ctx: ToolContext):
    yield 1


def declared_badly() -> None: ...


class CallableThing:
    def __call__(self, ctx: ToolContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lacks_annotation, "'to: str'"),
        (takes_anything, "*to has no schema"),
        (takes_any_key, "**to has no schema"),
        (positional, "move the / in front of it"),
        (late_context, "first parameter"),
        (unknown_type, "NoSuchType"),
        (bad_default, "does not fit"),
        (none_default, "| None"),
        (field_default, "Annotated"),
        (callback, "no JSON Schema"),
        (no_schema, "no schema"),
        (infinite_default, "finite"),
        (agenerator, "generator"),
        (generator, "generator"),
        (lambda ctx: None, "<lambda>"),
        (CallableThing(), "only a function"),
    ],
)
def test_a_declaration_that_can_not_work_is_refused_with_its_mend(function, says):
    with pytest.raises(ToolDeclarationError) as refused:
        tool()(function)

    assert says in str(refused.value)
    assert getattr(function, "__name__", "") in str(refused.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"risk": "L4"}, "L0, L1, L2, L3"),
        ({"risk": 3}, "L0, L1, L2, L3"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"max_attempts": -1}, "max_attempts"),
        ({"max_attempts": 2**31}, "should be 1 to 2147483647"),
    ],
)
def test_bad_options_are_refused(options, says):
    with pytest.raises(ToolDeclarationError, match=says):
        tool(**options)(declared_badly)


def test_a_template_is_read_and_may_name_parameters_only():
    @tool(phrases=["pay {amount} to {whom}"])
    def pay(amount: int, whom: str) -> None: ...

    (phrase,) = tool_of(pay).phrases
    assert phrase == Phrase.parse("pay {amount} to {whom}")
    for bad, says in [(["pay {sum}"], "names sum"), (["pay {"], "brace"), ("pay", "should be a list")]:
        with pytest.raises(ToolDeclarationError, match=says):
            tool(phrases=bad)(declared_badly)


def test_a_decorator_without_brackets_is_refused():
    with pytest.raises(ToolDeclarationError, match=r"write @tool\(\)"):
        tool(ring_bell)


# --- planned arguments ---


def test_every_fault_is_named_at_its_path_in_plain_words():
    args = {"text": 3, "x": 1, "at": ["never"], "stamp": {"worth": "3"}, "size": "A7", "copies": 10, "house": []}

    assert faults(args) == {
        "to": "is missing",
        "text": "should be a valid string",
        "at.0": "should be a valid datetime, input is too short",
        "stamp.worth": "should be a valid integer",
        "size": "should be 'A5' or 'A6'",
        "copies": "should be less than or equal to 9",
        "house": "should be a valid integer or a valid string",
        "x": "is not known here",
    }


def test_with_a_reference_beside_them_the_same_faults_are_named():
    args = {
        "to": {"$jmespath": "ann"},
        "text": 3,
        "x": 1,
        "at": ["never", {"$jmespath": "when"}],
        "stamp": {"worth": "3"},
        "size": "A7",
        "copies": 10,
        "house": [],
    }

    assert faults(args) == {
        "text": "should be text",
        "at.0": "should be a valid date-time",
        "stamp.worth": "should be an integer",
        "size": "should be one of 'A5', 'A6'",
        "copies": "should be 9 or less",
        "house": "should be an integer or text",
        "x": "is not known here",
    }
    assert faults({"text": {"$secret": "T"}}) == {"to": "is missing"}


class Paper(StrEnum):
    RECYCLED = "recycled"
    GLOSSY = "glossy"


class Envelope(BaseModel, extra="forbid"):
    colour: str = "white"
    inside: Envelope | None = None


@tool(risk="L1")
async def send_letter(
    to: str,
    paper: Paper = Paper.GLOSSY,
    speed: Literal["express", "ordinary"] = "ordinary",
    envelopes: list[Envelope] = [],  # noqa: B006 -- only declared
    outer: Envelope | None = None,
) -> None:
    """Posts a letter."""


LETTER = tool_of(send_letter)


@pytest.mark.parametrize("to", ["Ada", {"$jmespath": "ann"}], ids=["known", "with a reference"])
def test_what_is_not_known_names_the_nearest_at_every_depth(to: Any):
    args = {
        "to": to,
        "papr": "glossy",
        "paper": "glosy",
        "speed": "expres",
        "envelopes": [{"color": "red"}, {"inside": {"inside": {"coluor": "red"}}}],
        "outer": {"insde": None},
        "zzz": 1,
    }

    said = faults(args, LETTER)

    assert said["papr"] == "is not known here; the nearest is 'paper'"
    assert said["paper"].endswith("; the nearest is 'glossy'")
    assert said["speed"].endswith("; the nearest is 'express'")
    assert said["envelopes.0.color"] == "is not known here; the nearest is 'colour'"
    assert said["envelopes.1.inside.inside.coluor"] == "is not known here; the nearest is 'colour'"
    assert said["outer.insde"] == "is not known here; the nearest is 'inside'"
    assert said["zzz"] == "is not known here"


@pytest.mark.parametrize("reference", [{"$jmespath": "a.b"}, {"$secret": "NAME"}])
@pytest.mark.parametrize("place", ["to", "at", "stamp", "size", "copies", "house"])
def test_a_reference_fits_any_schema_when_planned(place, reference):
    assert faults({"to": "Ann", place: reference}) == {}
    assert faults({"to": "Ann", "at": [reference, "2026-01-01T10:00:00Z"], "stamp": {"worth": reference}}) == {}


def test_what_is_known_beside_a_reference_inside_a_choice_is_still_checked():
    assert faults({"to": "Ann", "stamp": {"worth": {"$jmespath": "w"}, "image": 3}}) == {
        "stamp.image": "should be text"
    }


def test_a_discriminated_choice_with_an_unknown_tag_may_be_any_branch():
    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int

    class Dog(BaseModel):
        kind: Literal["dog"]

    def adopt(pet) -> None: ...

    adopt.__annotations__ = {"pet": Annotated[Cat | Dog, Field(discriminator="kind")]}
    adopting = tool_of(tool()(adopt))

    assert faults({"pet": {"kind": {"$jmespath": "k"}}}, adopting) == {}
    assert faults({"pet": {"kind": "cat"}}, adopting) == {"pet.lives": "is missing"}
    assert faults({"pet": {"kind": "cat", "lives": {"$jmespath": "n"}}}, adopting) == {}
    assert faults({"pet": {"kind": "cat", "lives": [{"$jmespath": "n"}]}}, adopting) != {}


def test_a_literal_stands_for_what_it_holds_even_if_that_looks_like_a_reference():
    assert faults({"to": {"$literal": "Ann"}}) == {}
    assert faults({"to": {"$literal": 3}}) == {"to": "should be a valid string"}
    assert faults({"to": {"$literal": {"$jmespath": "x"}}}) == {"to": "should be a valid string"}


def test_an_object_with_a_second_key_is_no_reference():
    assert faults({"to": {"$jmespath": "x", "y": 1}}) == {"to": "should be a valid string"}


def test_what_is_no_json_is_a_fault_and_no_crash():
    assert "NUL" in faults({"to": "\x00"})["to"]
    assert "surrogate" in faults({"to": "\ud800"})["to"]
    with pytest.raises(ArgsUnfit, match="surrogate"):
        POSTCARD.fit({"to": "\ud800"})
    with pytest.raises(ArgsUnfit, match="2\\^53"):
        POSTCARD.fit({"to": "Ann", "copies": 2**80})


# --- resolved arguments ---


def test_fit_fills_in_the_defaults_and_changes_nothing_else():
    args = {"to": "Ann", "at": ["2026-01-01T10:00:00+02:00"], "stamp": {"worth": 3}}

    assert POSTCARD.fit(args) == {
        **args,
        "stamp": {"worth": 3, "image": None},
        "text": "Hello",
        "size": "A6",
        "copies": 1,
        "house": 1,
    }
    assert args.keys() == {"to", "at", "stamp"}


def test_a_default_is_not_shared_between_calls():
    POSTCARD.fit({"to": "Ann"})["at"].append("2026-01-01")

    assert POSTCARD.fit({"to": "Ann"})["at"] == []


@pytest.mark.parametrize("args", [{"to": "Ann", "copies": "3"}, {"to": "Ann", "copies": 3.5}, {"to": 3}, {}])
def test_fit_coerces_nothing(args):
    with pytest.raises(ArgsUnfit) as unfit:
        POSTCARD.fit(args)

    assert unfit.value.faults


@tool()
def remember(
    at: datetime,
    house: int | datetime | str = 1,
    days: list[date] | None = None,
    soon: timedelta = timedelta(0),
) -> None: ...


@pytest.mark.parametrize("number", ["1796000000", "-1", "1796000000.5", " 0 "])
def test_a_number_in_quotes_is_no_time(number):
    of = tool_of(remember)
    sound = {"at": "2026-01-01T10:00:00Z", "house": number, "days": ["2026-01-01"]}

    assert of.fit(sound)["house"] == number
    for wrong, path in [
        ({"at": number}, "at"),
        ({"days": ["2026-01-01", number]}, "days.1"),
        ({"soon": number}, "soon"),
    ]:
        with pytest.raises(ArgsUnfit) as unfit:
            of.fit({**sound, **wrong})
        assert [".".join(map(str, fault.path)) for fault in unfit.value.faults] == [path]
        assert set(faults({**sound, **wrong}, of)) == {path}
        assert set(faults({**sound, **wrong, "house": {"$jmespath": "a"}}, of)) == {path}


class Pair(BaseModel):
    left: int
    right: int | None = None


@tool(risk="L0")
async def count(
    one: int,
    some: list[int] = [],  # noqa: B006 - as authors write it
    pair: Pair | None = None,
    either: int | str = 1,
    level: Literal[1, 2] = 1,
    real: float = 0.5,
    anything: Any = None,
) -> list[Any]:
    """Counts in many ways."""
    return [one, some, pair, either, level, real, anything]


COUNT = Registry.of(count).get("count")
assert COUNT is not None

WHOLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"one": 3.0}, {"one": 3}),
    ({"one": -0.0}, {"one": 0}),
    ({"one": 9007199254740991.0}, {"one": 9007199254740991}),
    ({"one": 1, "some": [1, 2.0, 3.0]}, {"one": 1, "some": [1, 2, 3]}),
    ({"one": 1.0, "pair": {"left": 2.0, "right": 3.0}}, {"one": 1, "pair": {"left": 2, "right": 3}}),
    ({"one": 1, "either": 4.0}, {"one": 1, "either": 4}),
    ({"one": 1, "level": 2.0}, {"one": 1, "level": 2.0}),
]


@pytest.mark.parametrize(("written", "kept"), WHOLE, ids=str)
async def test_a_whole_number_is_an_integer_however_it_is_written(written, kept):
    fitted = COUNT.fit(written)

    assert repr({name: fitted[name] for name in kept}) == repr(kept)
    assert args_digest("count", written) == args_digest("count", kept)
    assert COUNT.faults(written) == []
    # Beside a secret, which keeps its place until the call, the same.
    assert COUNT.fit({**written, "anything": {"$secret": "PIN"}})
    assert COUNT.faults({**written, "anything": {"$jmespath": "a"}}) == []
    assert repr(await COUNT.call(None, written)) == repr(await COUNT.call(None, kept))


async def test_a_whole_number_stays_as_it_is_where_no_integer_is_wanted():
    written = {"one": 3.0, "real": 2.0, "anything": [4.0]}
    fitted = COUNT.fit(written)

    assert repr((fitted["one"], fitted["real"], fitted["anything"])) == "(3, 2.0, [4.0])"
    assert repr((await COUNT.call(None, written))[-2:]) == "[2.0, [4.0]]"


@pytest.mark.parametrize("one", [3.5, 9007199254740992.0, 1e300, "3", True, None])
def test_what_is_no_whole_number_is_no_integer(one):
    for look in (COUNT.fit, lambda args: _raise(COUNT.faults(args))):
        with pytest.raises(ArgsUnfit, match=r"one: should be a valid integer"):
            look({"one": one})


def _raise(faults):
    raise ArgsUnfit(faults)


def test_a_secret_still_stands_for_any_value_when_the_rest_is_resolved():
    args = {"to": {"$secret": "ANN"}, "stamp": {"worth": {"$secret": "WORTH"}}}

    assert POSTCARD.fit(args)["to"] == {"$secret": "ANN"}
    with pytest.raises(ArgsUnfit, match="copies"):
        POSTCARD.fit({**args, "copies": 10})


def test_resolved_data_that_looks_like_a_jmespath_reference_is_only_data():
    with pytest.raises(ArgsUnfit, match="to: should be a valid string"):
        POSTCARD.fit({"to": {"$jmespath": "x"}})


references = st.sampled_from([{"$secret": "A"}, {"$secret": "B"}])
postcards = st.fixed_dictionaries(
    {"to": st.text(max_size=3) | st.integers() | references},
    optional={
        "text": st.text(max_size=3) | st.none() | references,
        "at": st.lists(st.datetimes().map(datetime.isoformat) | st.text(max_size=2) | references, max_size=2),
        "stamp": st.none() | st.dictionaries(st.sampled_from(["worth", "image", "x"]), st.integers() | references),
        "size": st.sampled_from(["A5", "A6", "A7"]),
        "copies": st.integers(0, 10) | st.floats() | references,
        "house": st.integers() | st.text(max_size=2) | st.booleans() | st.lists(references, max_size=1),
        "x": st.integers(),
    },
)


@given(postcards)
def test_fit_succeeds_exactly_when_there_is_no_fault_and_never_changes_a_given_value(args):
    found = POSTCARD.faults(args)

    if found:
        with pytest.raises(ArgsUnfit) as unfit:
            POSTCARD.fit(args)
        assert list(unfit.value.faults) == found
    else:
        fitted = POSTCARD.fit(args)
        assert holds(fitted, args)
        assert POSTCARD.fit(fitted) == fitted


def holds(fitted: object, given: object) -> bool:
    """Whether what was given is there unchanged, whatever was added inside."""
    if isinstance(given, dict) and isinstance(fitted, dict):
        return all(key in fitted and holds(fitted[key], inner) for key, inner in given.items())
    return type(fitted) is type(given) and fitted == given


# --- calling ---


async def test_a_call_gets_python_values(ctx):
    returned: Any = await POSTCARD.call(ctx, {"to": "Ann", "at": ["2026-01-01T10:00:00Z"], "stamp": {"worth": 3}})

    assert returned["at"] == [datetime(2026, 1, 1, 10, tzinfo=UTC)]
    assert returned["stamp"] == Stamp(worth=3)
    assert returned["key"] == "key"


async def test_a_secret_that_does_not_fit_is_refused_before_the_call_without_its_value(ctx):
    with pytest.raises(ArgsUnfit) as unfit:
        await POSTCARD.call(ctx, {"to": "Ann", "copies": "hunter2"})

    assert "copies" in str(unfit.value)
    assert "hunter2" not in str(unfit.value)
    assert unfit.value.__cause__ is None


async def test_a_plain_function_runs_in_a_thread_and_sees_the_callers_context(ctx):
    seen: list[Any] = []
    request = contextvars.ContextVar("request", default="none")
    request.set("mine")

    @tool()
    def look(ctx: ToolContext) -> None:
        seen.extend([threading.current_thread() is threading.main_thread(), request.get()])

    await tool_of(look).call(ctx, {})

    assert seen == [False, "mine"]


async def test_a_context_that_is_passed_by_name_arrives(ctx):
    @tool()
    def look(*, ctx: ToolContext, n: int) -> str:
        return ctx.run_id * n

    assert await tool_of(look).call(ctx, {"n": 2}) == "run_1run_1"


async def test_a_plain_wrapper_round_a_coroutine_function_is_awaited(ctx):
    async def inner() -> str:
        return "done"

    @tool()
    def outer() -> Any:
        return inner()

    assert await tool_of(outer).call(ctx, {}) == "done"


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), ValueError("x"), asyncio.CancelledError()])
async def test_whatever_a_threaded_function_raises_reaches_the_caller(error):
    def fail() -> None:
        raise error

    async with asyncio.timeout(10):
        try:
            await ToolThreads().run(fail)
        except BaseException as raised:  # noqa: BLE001 -- SystemExit must reach the caller too
            seen = raised

    assert error in (seen, seen.__cause__)
    assert not isinstance(seen, asyncio.CancelledError)


async def test_calls_that_hang_starve_no_other_call():
    threads = ToolThreads()
    release = threading.Event()
    hanging = [asyncio.create_task(threads.run(release.wait)) for _ in range(64)]

    assert await threads.run(lambda: "served") == "served"

    release.set()
    assert all(await asyncio.gather(*hanging))


async def test_an_idle_thread_is_used_again():
    threads = ToolThreads()
    names = set()
    for _ in range(20):
        names.add(await threads.run(threading.get_ident))

    assert len(names) == 1


# --- registries ---


def test_a_registry_is_sorted_and_knows_its_tools_by_name():
    both = Registry.of(send_postcard, ring_bell)

    assert both.names == ("ring_bell", "send_postcard")
    assert [each.name for each in both] == ["ring_bell", "send_postcard"]
    assert both.get("ring_bell") is tool_of(ring_bell)
    assert both.get("nothing") is None
    assert "ring_bell" in both
    assert len(both) == 2


def test_two_tools_of_one_name_are_refused_and_the_same_one_twice_is_not():
    @tool()
    def ring_bell() -> None: ...

    with pytest.raises(ToolDeclarationError, match="two tools are named 'ring_bell'"):
        Registry.of(ring_bell, globals()["ring_bell"])
    assert len(Registry.of(send_postcard, send_postcard)) == 1


def test_a_function_that_is_no_tool_is_refused():
    with pytest.raises(ToolDeclarationError, match="decorate it"):
        Registry.of(faults)


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("mine_"):
            del sys.modules[name]


ONE_TOOL = "from engine.tools import tool\n@tool(risk='L0')\ndef {name}(n: int) -> int:\n    return n\n"


def test_modules_load_from_the_working_folder(working_folder):
    (working_folder / "mine_good.py").write_text(ONE_TOOL.format(name="mine"))

    loaded = load_registry(["mine_good"])

    assert "mine" in loaded
    assert set(load_registry().names) == set(loaded.names) - {"mine"}


def test_the_built_in_tools_are_always_there_with_the_risks_that_are_promised():
    risks = {each.name: each.risk.name for each in load_registry()}

    promised = {
        "job_search": "L0",
        "cv_tailor": "L0",
        "job_submit": "L3",
        "calendar_create": "L1",
        "grocery_plan": "L0",
    }
    assert risks.items() >= promised.items()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "can't be imported: ModuleNotFoundError"),
        ("raise RuntimeError('no key')", "can't be imported: RuntimeError: no key"),
        ("raise SystemExit(2)", "can't be imported: SystemExit: 2"),
        ("def broken(:", "can't be imported: SyntaxError"),
        ("x = 1", "offers no tool"),
        ("from engine.tools import tool\n@tool()\ndef f(x): ...", "mine_bad.f: 'x' has no annotation"),
    ],
)
def test_a_module_that_gives_no_tool_is_a_clear_error(working_folder, source, says):
    if source is not None:
        (working_folder / "mine_bad.py").write_text(source)

    with pytest.raises(ToolDeclarationError) as refused:
        load_registry(["mine_bad"])

    assert "'mine_bad'" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(("value", "offered"), [("mine_pack", {"one", "two"}), ("mine_pack:two", {"two"})])
def test_packages_offer_a_module_or_one_tool_by_entry_point(working_folder, monkeypatch, value, offered):
    (working_folder / "mine_pack.py").write_text(ONE_TOOL.format(name="one") + ONE_TOOL.format(name="two"))
    monkeypatch.syspath_prepend(str(working_folder))
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([EntryPoint("pack", value, group)]))

    assert set(load_registry().names) & {"one", "two"} == offered


@pytest.mark.parametrize("installed", [[], [registry.BUILTIN]], ids=["not installed", "installed"])
def test_the_built_in_tools_are_declared_as_anybody_declares_tools(monkeypatch, installed):
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints(installed))
    project = tomllib.loads((Path(registry.__file__).parents[2] / "pyproject.toml").read_text())["project"]

    declared = project["entry-points"][registry.ENTRY_POINTS]

    assert declared == {registry.BUILTIN.name: registry.BUILTIN.value}
    assert {"job_search", "job_submit"} <= set(load_registry().names)


def test_an_entry_point_that_names_no_tool_is_a_clear_error(monkeypatch):
    point = EntryPoint("pack", "json:loads", "lifeos.tools")
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]))

    with pytest.raises(ToolDeclarationError, match=r"entry point 'pack' \(json:loads\) offers no tool"):
        load_registry()


# --- results ---


class Colour(StrEnum):
    RED = "red"


@dataclass
class Point:
    x: int
    when: date


def test_results_become_plain_json():
    value = {
        "model": Stamp(worth=3),
        "point": Point(1, date(2026, 1, 2)),
        "when": datetime(2026, 1, 2, 3, tzinfo=UTC),
        "lasts": timedelta(minutes=90),
        "pair": (1, 2.5),
        "path": Path("a/b"),
        "price": Decimal("1.10"),
        "id": UUID(int=1),
        Colour.RED: Colour.RED,
        "yes": True,
        "nothing": None,
    }

    assert plain(value) == {
        "model": {"worth": 3, "image": None},
        "point": {"x": 1, "when": "2026-01-02"},
        "when": "2026-01-02T03:00:00+00:00",
        "lasts": "PT1H30M",
        "pair": [1, 2.5],
        "path": "a/b",
        "price": "1.10",
        "id": "00000000-0000-0000-0000-000000000001",
        "red": "red",
        "yes": True,
        "nothing": None,
    }


def circular() -> Any:
    value: list[Any] = []
    value.append((value,))
    return value


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        ({"a": {1, 2}}, ("a",), "set"),
        ([b"x"], (0,), "bytes"),
        ({"a": (float("nan"),)}, ("a", 0), "finite"),
        ({"a": Stamp(worth=2**60)}, ("a", "worth"), "2^53"),
        ({1: 2}, (), "not text"),
        ({"a": object()}, ("a",), "object"),
        ({"a": Point}, ("a",), "type"),
        ({"a": ("\x00",)}, ("a", 0), "NUL"),
        (circular(), (0, 0), "itself"),
        ((x for x in []), (), "generator"),
    ],
)
def test_a_result_that_can_not_be_kept_is_refused_at_its_path(value, path, says):
    with pytest.raises(ResultUnfit) as unfit:
        plain(value)

    assert unfit.value.path == path
    assert says in unfit.value.message


def test_a_deep_result_is_refused_and_exhausts_no_stack():
    value: Any = ()
    for _ in range(100_000):
        value = (value,)

    with pytest.raises(ResultUnfit, match="100 levels"):
        plain(value)
