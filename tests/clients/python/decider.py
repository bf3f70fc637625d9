# pyright: basic, reportMissingImports=false
# It runs where the client is installed.
"""Decides what waits in one run, with the Python client."""

import asyncio
import json
import os
import sys

from lifeos_client import ApprovalDecision, LifeOS, Rejected


async def main(run_id: str) -> None:
    async with LifeOS(os.environ["LIFEOS_URL"], os.environ["LIFEOS_TOKEN"]) as lifeos:
        [approval] = await lifeos.open_approvals(run_id)
        print(approval.status, json.dumps(approval.proposed_args, separators=(",", ":")))
        try:
            await lifeos.decide(approval.id, ApprovalDecision.APPROVE, args_digest="0" * 64)
        except Rejected as rejected:
            print(rejected.code)
        decided = await lifeos.decide(approval.id, ApprovalDecision.APPROVE, args_digest=approval.args_digest)
        print(decided.status)
        async for _ in lifeos.follow_run(run_id):
            pass
        ended = await lifeos.run(run_id)
        print(ended.state if ended else None)


asyncio.run(main(sys.argv[1]))
