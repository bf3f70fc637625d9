"""A few seconds of what `.ci/run` does for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.security.fuzz import Fuzz, fuzz, unforeseen


@pytest.mark.parametrize(
    "said",
    [
        "Traceback (most recent call last):",
        'File "server.py", line 3',
        "asyncpg.exceptions.UniqueViolationError",
        'relation "runs" does not exist',
        "SELECT id FROM runs",
        "<object at 0x7f0011223344>",
        '{"errors": [{"extensions": {"code": "INTERNAL"}}]}',
    ],
)
def test_what_comes_from_inside_would_be_noticed(said: str):
    with pytest.raises(AssertionError):
        Fuzz("http://x", [])._check_text(said, '{"query": "{viewer {name}}"}')


def test_a_warning_that_could_not_be_given_is_no_fault():
    unable = """Exception ignored in: <coroutine object X.<locals>._async_resolver at 0x7f>
Traceback (most recent call last):
  File "<string>", line 1, in <lambda>
KeyError: '__import__'
"""

    assert unforeseen(unable) == []
    assert unforeseen(unable.replace("'__import__'", "'key'")) == ["Traceback (most recent call last):"]


@pytest.mark.timeout(300)
async def test_nothing_that_is_sent_at_random_is_answered_with_a_fault(tmp_path: Path):
    statuses = await fuzz(5, 7, tmp_path)

    assert statuses[200] > 0
    assert statuses["message"] > 0
    assert set(statuses) <= {"message", 200, 303, 307, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 503}
