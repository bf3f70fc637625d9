"""The approval gate of the demo: show exactly what would be sent, ask, decide."""

import asyncio
import sys
from typing import Any, Final

from rich.rule import Rule
from rich.text import Text

from console.answers import Answers
from console.client import Client
from console.digest import checked_digest
from console.editor import edit
from console.errors import BadInput, ConsoleError, Rejected
from console.live import Spectator
from console.models import Approval, Event
from console.render import approval_lines, edited_lines
from console.screen import Screen

# Answers may come through a pipe (`yes | make demo`); nobody at all may be there, too.
_PIPED_WITHIN_SECONDS: Final = 5
_ANSWERS: Final = frozenset({"y", "yes", "n", "no", "e", "edit"})


class NobodyAnswers(ConsoleError):
    """The question was put, and there is nobody to answer it."""

    def __init__(self) -> None:
        super().__init__(
            "approval is needed and nobody answers: run it in a terminal, or with YES=1 to approve without asking"
        )


class Gate:
    """Decides each approval of a run as the person at the keyboard says, or with yes where that was said before."""

    def __init__(self, client: Client, screen: Screen, spectator: Spectator, *, yes: bool) -> None:
        self._client = client
        self._screen = screen
        self._spectator = spectator
        self._yes = yes
        self._answers = Answers()

    async def respond(self, event: Event) -> None:
        """Ask if the event asks; NobodyAnswers if nobody is there."""
        if event.type not in {"APPROVAL_REQUIRED", "STEP_IN_DOUBT"} or event.approval_id is None:
            return
        approval = await self._client.approval(event.approval_id)
        if approval.status != "REQUIRED":
            return  # decided elsewhere by now; its event follows
        if approval.kind != "EXECUTE":
            raise ConsoleError(
                f"nobody knows whether {approval.step.key} happened: look, then lifeos resolve {approval.id} …"
            )
        digest = checked_digest(approval)
        with self._spectator.paused():
            self._show(approval)
            try:
                while not await self._decided(approval, digest):
                    pass
            except Rejected as rejected:
                if not rejected.has("ALREADY_DECIDED"):
                    raise
                self._screen.line("Somebody else has decided this in the meantime.")

    def _show(self, approval: Approval) -> None:
        heading = "Approval needed: nothing is sent before a person has seen exactly this"
        if self._screen.is_terminal:
            self._screen.show(Rule(Text(heading, style="bold yellow"), style="yellow"))
        else:
            self._screen.line(f"--- {heading}")
        for line in approval_lines(approval):
            self._screen.line(line)
        if self._screen.is_terminal:
            self._screen.show(Rule(style="yellow"))

    async def _decided(self, approval: Approval, digest: str) -> bool:
        """Ask once; False if the answer was none, so that the question has to be put again."""
        match (await self._answer()).lower():
            case "y" | "yes":
                decided = await self._client.decide(approval.id, "APPROVE", digest=digest)
            case "n" | "no":
                decided = await self._client.decide(approval.id, "REJECT", digest=digest)
            case "e" | "edit" if sys.stdin.isatty():
                edited = await self._edited(approval, digest)
                if edited is None:
                    return False
                decided = edited
            case _:
                return False
        self._screen.line(f"{decided.status.capitalize()}: {decided.step.key} ({decided.id})")
        return True

    async def _edited(self, approval: Approval, digest: str) -> Approval | None:
        try:
            args = await self._changed(approval)
            if args is None:
                return None
            return await self._client.decide(approval.id, "APPROVE", digest=digest, edited_args=args)
        except BadInput as error:
            self._screen.line(str(error))
        except Rejected as rejected:
            if rejected.has("ALREADY_DECIDED"):
                raise
            self._screen.line(str(rejected))
        return None

    async def _changed(self, approval: Approval) -> Any:
        """The arguments as the person left them and, having seen them, wants them sent; None if they don't."""
        args = approval.proposed_args
        while True:
            args = await edit(args)
            if args == approval.proposed_args:
                self._screen.line("Nothing was changed.")
                return None
            for line in edited_lines(approval, args):
                self._screen.line(line)
            answer = None
            while answer not in _ANSWERS:
                said = await self._answers.ask("Send this changed version? [y]es, [n]o, [e]dit again: ")
                if said is None:
                    raise NobodyAnswers
                answer = said.lower()
            if answer in {"y", "yes"}:
                return args
            if answer in {"n", "no"}:
                self._screen.line("Nothing was sent. This is still as it was before you changed it.")
                return None

    async def _answer(self) -> str:
        if self._yes:
            self._screen.line("Answered yes without asking (YES=1).")
            return "yes"
        at_keyboard = sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison] - None where it is closed
        choices = "[y]es, [n]o, [e]dit in your editor" if at_keyboard else "[y]es, [n]o"
        try:
            async with asyncio.timeout(None if at_keyboard else _PIPED_WITHIN_SECONDS):
                answer = await self._answers.ask(f"Send exactly this? {choices}: ")
        except TimeoutError:
            answer = None
        if not at_keyboard:
            self._screen.line(answer or "")
        if answer is None:
            raise NobodyAnswers
        return answer
