"""Tools that say what others decide: letters come from anybody, and an answer leaves the house.

LIFEOS_TOOLS=examples.letters lifeos serve
"""

from typing import Annotated

from pydantic import BaseModel

from engine.tools import Destination, Own, tool


class Letter(BaseModel):
    """A letter as it was scanned."""

    number: Annotated[int, Own]  # ours: no stranger writes it
    sender: str
    text: str


@tool(risk="L0", reads_outside=True)  # what it returns, others can write
def letter_read(number: int) -> Letter:
    """Reads a letter."""
    return Letter(number=number, sender="Ann, 1 Old Street", text="Please answer to 9 New Street.")


@tool(risk="L1", outward=True)  # its effect leaves
def letter_answer(number: int, recipient: Annotated[str, Destination], text: str = "Thank you") -> dict[str, str]:
    """Answers a letter."""
    return {"posted": f"{number} to {recipient}: {text}"}
