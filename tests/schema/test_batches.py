"""What the entries of long lists ask for, each in its turn, is read once for all of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from schema.fast import execution
from schema.fast.batches import batches
from schema.fast.limits import Limits
from schema.fast.spending import has_pauses, in_turn, is_long, spending
from tests.schema.stories import Told
from tests.schema.world import person_of, world


class Reader:
    def __init__(self) -> None:
        self.read: list[list[int]] = []
        self.fault: Exception | None = None

    async def __call__(self, keys: list[int]) -> Sequence[int]:
        self.read.append(keys)
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return [10 * key for key in keys]


async def entry(item: Any, loader: Any, steps: int) -> int:
    number = await item
    # Some of them have further to go before they ask.
    for _ in range(number % (steps + 1)):
        await asyncio.sleep(0)
    return await loader.load(number)


@pytest.mark.parametrize("steps", [0, 3, 20])
@pytest.mark.parametrize("many", [300, 1000])
async def test_the_entries_of_a_long_list_are_one_batch(many: int, steps: int):
    reader = Reader()
    with spending(10**7, 10**7):
        assert is_long(20 * many)
        items = in_turn(range(many), 20)
        loader = batches(reader)

        found = await asyncio.gather(*(entry(item, loader, steps) for item in items))

    assert found == [10 * n for n in range(many)]
    assert [sorted(keys) for keys in reader.read] == [list(range(many))]


async def test_a_short_list_is_read_at_once():
    reader = Reader()
    with spending(10**7, 10**7):
        loader = batches(reader)
        assert not is_long(20)
        assert not has_pauses()

        assert await asyncio.gather(*(loader.load(n) for n in range(3))) == [0, 10, 20]

    assert reader.read == [[0, 1, 2]]


async def test_what_is_asked_for_later_is_another_batch():
    reader = Reader()
    with spending(10**7, 10**7):
        assert is_long(10_000)
        loader = batches(reader)

        assert [await loader.load(1), await loader.load(2)] == [10, 20]

    assert reader.read == [[1], [2]]


async def test_a_fault_is_everybodys_and_the_next_batch_is_read_anew():
    reader = Reader()
    reader.fault = ConnectionError("away")
    with spending(10**7, 10**7):
        assert is_long(10_000)
        loader = batches(reader)

        found = await asyncio.gather(*(loader.load(n) for n in range(3)), return_exceptions=True)
        reader.fault = None
        later = await loader.load(4)

    assert [type(each) for each in found] == [ConnectionError] * 3
    assert later == 40


async def test_entries_that_are_given_up_hold_up_no_others():
    reader = Reader()
    with spending(10**7, 10**7):
        assert is_long(10_000)
        loader = batches(reader)
        tasks = [asyncio.ensure_future(entry(item, loader, 2)) for item in in_turn(range(500), 20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()

        async with asyncio.timeout(20):
            found = await asyncio.gather(*tasks, return_exceptions=True)

    assert [each for each in found if not isinstance(each, BaseException)] == [10 * n for n in range(500) if n % 2]
    assert len(reader.read) == 1


@pytest.mark.parametrize("first", [10, 100, 1000])
async def test_what_is_not_at_hand_takes_no_more_statements_either(
    dsn: str, first: int, monkeypatch: pytest.MonkeyPatch
):
    # As if nothing had been read with the list: each event asks for its step by itself.
    plain = execution._attribute
    monkeypatch.setattr(execution, "_attribute", lambda field, **_: plain(field, takes_at_hand=False))
    monkeypatch.setattr("schema.api.loaders.Loaders._read_around", no_reading)
    async with world(dsn, executes=False, limits=Limits(pages={"Run.timeline": 1000})) as it:
        run = await it.stories.run(person_of(it.admin), [Told(f"s{n}") for n in range(1000)])
        it.statements.clear()

        data = await it.ask(
            it.admin,
            "query ($id: ID!, $n: Int!) {run(id: $id) {timeline(first: $n) {nodes {seq step {key}}}}}",
            id=f"run_{run.hex}",
            n=first,
        )

    nodes = data["run"]["timeline"]["nodes"]
    assert [node["seq"] for node in nodes] == list(range(1, first + 1))
    assert {node["step"]["key"] for node in nodes if node["step"]} <= {f"s{n}" for n in range(1000)}
    assert len(it.statements) == 3


async def no_reading(*_: Any, **__: Any) -> None:
    """Nothing."""
