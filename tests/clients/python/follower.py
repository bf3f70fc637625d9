# pyright: basic, reportMissingImports=false
# It runs where the client is installed.
"""Follows one run with the Python client and says what it sees, for the test that restarts the server."""

import asyncio
import os

from lifeos_client import LifeOS, LifeOSError, PlanInput, Unavailable

URL = os.environ["LIFEOS_URL"]


async def main() -> None:
    plan = PlanInput.model_validate(
        {
            "steps": [
                {"key": "gate", "tool": "wait_for_file", "args": {"path": os.environ["GATE"]}},
                {"key": "after", "tool": "note", "dependsOn": ["gate"]},
            ]
        }
    )
    lost: list[Unavailable] = []
    async with LifeOS(URL, os.environ["LIFEOS_TOKEN"]) as lifeos:
        submitted = await lifeos.submit(plan=plan)
        print(submitted.id, flush=True)
        async for event in lifeos.follow_run(submitted.id, on_lost=lost.append):
            print(event.seq, event.type, flush=True)
        print("lost", len(lost))
        ended = await lifeos.run(submitted.id)
        print(ended.state if ended else None)
        async with LifeOS(URL, "not-a-token-of-anybody") as stranger:
            print(await refusal(anext(stranger.follow_run(submitted.id))))
        print(await refusal(anext(lifeos.follow_run("run_00000000000000000000000000"))))
        bad = PlanInput.model_validate({"steps": [{"key": "no", "tool": "no_such_tool"}]})
        print(await refusal(lifeos.submit(plan=bad)))


async def refusal(asked) -> str:
    try:
        await asked
    except LifeOSError as error:
        return error.code
    return "none"


asyncio.run(main())
