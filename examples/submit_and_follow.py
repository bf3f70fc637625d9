"""A client in Python: submit a sentence, follow it to its end, and read what came out.

    python submit_and_follow.py "plan groceries for 3 people"

Any GraphQL client does the same with the operations that `console/documents.py` holds.
"""

import asyncio
import sys

from console.client import Client
from console.errors import ConsoleError
from console.settings import read_address


async def main(intent: str) -> None:
    """Submit the intent and print what happens."""
    async with Client(read_address()) as client:
        run = await client.submit(intent=intent)
        async for event in client.follow_run(run.id):
            print(event.seq, event.type, event.message)
            if event.type == "APPROVAL_REQUIRED":
                print(f"  decide it: lifeos decide {event.approval_id} approve")
        ended = await client.run(run.id, whole=True)
        for step in ended.steps:
            print(step.key, step.state, step.result)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except ConsoleError as error:
        sys.exit(str(error))
