"""The functions and types in a migrated database are those that are generated from the pieces of the moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from persistence.moves.functions import FUNCTIONS, TYPES
from persistence.moves.functions.__main__ import script

_FUNCTION = """
SELECT pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, p.provolatile, p.prosrc
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.proname = $1 AND p.pronamespace = $2::regnamespace
"""

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relname = $1 AND c.relnamespace = $2::regnamespace AND a.attnum > 0 ORDER BY a.attnum
"""

Ask = Callable[[str, str, str], Awaitable[list[list[Any]]]]
"""Answers a question about a name in a schema."""


@pytest.fixture
async def ask(dsn: str) -> AsyncIterator[Ask]:
    """Of a migrated database, in which the generated statements were run in a schema of their own; taken back."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("CREATE SCHEMA generated")
    await connection.execute(f"SET search_path = generated, public; {script()}")

    async def answer(question: str, name: str, schema: str) -> list[list[Any]]:
        # Types are printed without their schemas where the path finds them first.
        await connection.execute(f"SET search_path = {schema}, public")
        return [list(row) for row in await connection.fetch(question, name, schema)]

    yield answer
    await transaction.rollback()
    await connection.close()


@pytest.mark.parametrize("name", [each.name for each in FUNCTIONS])
async def test_a_function_is_the_one_that_is_generated(name: str, ask: Ask) -> None:
    (found,) = await ask(_FUNCTION, name, "public")
    (generated,) = await ask(_FUNCTION, name, "generated")

    assert found == generated, "its text has changed: give it another name, and a migration that creates it"


@pytest.mark.parametrize("name", [each.name for each in TYPES])
async def test_a_type_is_the_one_that_is_generated(name: str, ask: Ask) -> None:
    found, generated = await ask(_COLUMNS, name, "public"), await ask(_COLUMNS, name, "generated")

    assert found
    assert found == generated, "its columns have changed: give it another name, and a migration that creates it"
