"""Coroutines that are begun without a task, and finished in one when they have to wait."""

import asyncio

import pytest

from schema.fast.eager import begin, in_time


async def test_what_never_waits_is_over_at_once():
    seen: list[int] = []

    async def work() -> None:
        seen.append(1)

    assert begin(work()) is None
    assert seen == [1]


async def test_what_waits_goes_on_where_it_stood():
    first, second = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def work() -> None:
        seen.append(1)
        await first.wait()
        seen.append(2)
        await second.wait()
        await asyncio.sleep(0)
        seen.append(3)

    rest = begin(work())
    assert rest is not None
    assert seen == [1]

    async def finish() -> None:
        await rest

    task = asyncio.create_task(finish())
    await asyncio.sleep(0)
    assert seen == [1]
    first.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == [1, 2]
    second.set()
    await asyncio.wait_for(task, 10)
    assert seen == [1, 2, 3]


async def test_what_is_raised_comes_out_where_it_is_raised():
    async def at_once() -> None:
        raise KeyError(1)

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError(2)

    with pytest.raises(KeyError, match="1"):
        begin(at_once())
    rest = begin(later())
    assert rest is not None
    with pytest.raises(KeyError, match="2"):
        await rest


async def test_a_time_limit_reaches_into_it():
    ended: list[type] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            ended.append(type(error))
            raise

    rest = begin(work())
    assert rest is not None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await rest
    assert ended == [asyncio.CancelledError]


async def test_a_deadline_is_for_what_waits():
    async def at_once() -> int:
        return 1

    async def later() -> int:
        await asyncio.sleep(0)
        return 2

    loop = asyncio.get_running_loop()
    assert await in_time(loop.time() - 1, at_once()) == 1
    assert await in_time(loop.time() + 60, later()) == 2
    with pytest.raises(TimeoutError):
        await in_time(loop.time() - 1, later())
    with pytest.raises(TimeoutError):
        await in_time(loop.time() + 0.01, _for_ever())


async def _for_ever() -> None:
    await asyncio.Event().wait()
