"""Asks at the terminal about each approval as it comes up, and decides it; some it decides by itself.

    pip install ./clients/python
    LIFEOS_TOKEN=… python examples/approval_bot.py --reject webhook_post

It is written with the typed client. Each decision names the digest of the arguments that were shown, so it counts for
exactly these; what somebody else decided first stands.
"""

import argparse
import asyncio
import json
import os
from contextlib import aclosing

from lifeos_client import Approval, ApprovalDecision, ApprovalKind, ApprovalStatus, LifeOS, LifeOSError, Unavailable


async def watch(lifeos: LifeOS, approve: set[str], reject: set[str]) -> None:
    """Decide what waits, until the input ends."""
    asked: set[str] = set()
    while True:
        try:
            async with aclosing(lifeos.watch_approvals()) as approvals:
                async for approval in approvals:
                    is_open = approval.status is ApprovalStatus.REQUIRED and approval.kind is ApprovalKind.EXECUTE
                    if is_open and approval.id not in asked:
                        asked.add(approval.id)
                        await decide(lifeos, approval, await answer(approval, approve, reject))
        except Unavailable as lost:
            # A new subscription begins with all that waits, so nothing is missed.
            print(f"… connecting again ({lost})", flush=True)
            await asyncio.sleep(1)


async def answer(approval: Approval, approve: set[str], reject: set[str]) -> ApprovalDecision:
    """What is to become of it."""
    print(f"\n{shown(approval.step.name)}: {approval.step.tool} ({approval.risk_level})")
    print(f"{approval.reason}. What would be sent:")
    # As ASCII: nothing in it can hide, reorder itself or move the cursor.
    print(json.dumps(approval.proposed_args, indent=2))
    for warning in approval.warnings:
        print(f"careful: {warning}")
    if approval.step.tool in approve:
        return ApprovalDecision.APPROVE
    if approval.step.tool in reject:
        return ApprovalDecision.REJECT
    while True:
        match (await asyncio.to_thread(input, "approve? [y/n] ")).strip().lower():
            case "y" | "yes":
                return ApprovalDecision.APPROVE
            case "n" | "no":
                return ApprovalDecision.REJECT
            case _:
                print("y or n, please")


def shown(text: str) -> str:
    """The text with nothing in it that a terminal obeys."""
    return text if text.isprintable() else ascii(text)


async def decide(lifeos: LifeOS, approval: Approval, decision: ApprovalDecision) -> None:
    """Send the decision."""
    try:
        decided = await lifeos.decide(approval.id, decision, args_digest=approval.args_digest)
    except Unavailable:
        raise
    except LifeOSError as refused:
        print(f"not decided: {refused}", flush=True)
    else:
        print(decided.status.lower(), flush=True)


async def main() -> None:
    """Read the command line and start."""
    parser = argparse.ArgumentParser(description="Decide approvals at the terminal.")
    parser.add_argument("--approve", action="append", default=[], metavar="TOOL", help="without asking")
    parser.add_argument("--reject", action="append", default=[], metavar="TOOL", help="without asking")
    chosen = parser.parse_args()
    url = os.environ.get("LIFEOS_URL", "http://127.0.0.1:8000")
    async with LifeOS(url, os.environ["LIFEOS_TOKEN"]) as lifeos:
        await watch(lifeos, set(chosen.approve), set(chosen.reject))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (EOFError, KeyboardInterrupt):
        print()
    except LifeOSError as error:
        raise SystemExit(str(error)) from error
