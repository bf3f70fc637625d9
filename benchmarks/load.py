"""The clients, in a process of their own: `python -m benchmarks.load HOST PORT CONNECTIONS`, spoken to by lines."""

from __future__ import annotations

import sys
from typing import Any

import uvloop

from benchmarks import plans
from benchmarks.processes import answer_lines
from benchmarks.wire import Answer, Wire


async def main(host: str, port: int, connections: int) -> None:
    """Connect, and do what is asked."""
    wire = Wire(host, port)
    await wire.open(connections)

    async def submit(plan: plans.PlanInput, times: int) -> dict[str, Any]:
        """So many submissions of this plan over all connections; the ids of the runs."""
        answers = await wire.flood([wire.request(plans.submission(plan))] * times)
        return {**_times(answers), "runs": [_run_of(each.body) for each in answers]}

    async def query(query: str, times: int) -> dict[str, Any]:
        """So many times this query over all connections."""
        answers = await wire.flood([wire.request(plans.body(query))] * times)
        bad = next((each for each in answers if b'"errors"' in each.body), None)
        if bad is not None:
            raise RuntimeError(bad.body.decode())
        return _times(answers)

    await answer_lines({"submit": submit, "query": query})


def _times(answers: list[Answer]) -> dict[str, Any]:
    return {
        "began": min(each.sent for each in answers),
        "ended": max(each.received for each in answers),
        "milliseconds": [each.seconds * 1000 for each in answers],
    }


def _run_of(body: bytes) -> str:
    at = body.find(b'"id":"run_')
    if at < 0:
        raise RuntimeError(body.decode())
    return body[at + 10 : at + 42].decode()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
