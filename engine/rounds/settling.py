"""Settling what happened, in runs of any kind: plain ones in one statement, elaborate ones in rounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from engine.aside import Lane, aside
from engine.resolving import explained, resolutions
from engine.rounds.answers import answer_of
from engine.rounds.lists import closing
from engine.rounds.verdicts import Bounds, Found, Looking
from engine.settings import EngineSettings, gate_policy
from engine.tools import Registry
from engine.validation import SoundPlan
from persistence.database import Connection
from persistence.moves.inputs import NOBODY, Claimer, GatePolicy, Note, Outcome
from persistence.moves.origins import store_origins
from persistence.moves.references import freed_references
from persistence.moves.rounds.begin import store_elaborate
from persistence.moves.rounds.conclude import conclude, share_places
from persistence.moves.rounds.facts import (
    ClosedParent,
    FreedStep,
    RunFacts,
    answers_of,
    closed_parents,
    elaborate_runs,
    freed_steps,
    keep_answers,
    waiting_for_nothing,
)
from persistence.moves.rounds.turn import Child, StepPlace, Turned, Verdict, turn
from persistence.moves.row import Advance
from persistence.moves.settle import advance
from persistence.notices import keep_notices, notices_of
from persistence.states import StepState


@dataclass(frozen=True, slots=True)
class Rules:
    """What settling needs to know of this process: its tools, and its policy."""

    registry: Registry
    settings: EngineSettings

    @property
    def gate(self) -> GatePolicy:
        """How long approvals stay open."""
        return gate_policy(self.settings)

    @property
    def bounds(self) -> Bounds:
        """How large a value and a run may become."""
        return Bounds(self.settings.max_json_bytes, self.settings.max_run_steps)


async def settle(
    tx: Connection,
    rules: Rules,
    outcomes: Sequence[Outcome],
    *,
    notes: Sequence[Note] = (),
    claimer: Claimer = NOBODY,
    elaborate: Collection[UUID] | None = None,
    feeding: Sequence[Outcome] | None = None,
) -> Advance:
    """Apply the outcomes that still count, and all that follows from them; the caller holds the runs' locks.

    The claimer takes what becomes ready in plain runs; what does in elaborate ones is there for any process.
    `elaborate` are the runs that are, and `feeding` the outcomes that may free steps with references, where the caller
    knows them: looking for them takes a statement.
    """
    if elaborate is None:
        elaborate = {outcome.run for outcome in outcomes}
    runs = await elaborate_runs(tx, elaborate) if elaborate else {}
    if feeding is None:
        feeding = [outcome for outcome in outcomes if outcome.enters is StepState.SUCCEEDED]
    if not runs:
        return await _settle_plain(tx, rules, outcomes, feeding, notes=notes, claimer=claimer)
    done = Advance()
    places = [place for place, outcome in enumerate(outcomes) if outcome.run not in runs]
    if places:
        done = await _settle_plain(
            tx,
            rules,
            [outcomes[place] for place in places],
            [outcome for outcome in feeding if outcome.run not in runs],
            notes=[note for note in notes if note.run not in runs],
            claimer=claimer,
        )
        done.accepted = {places[place] for place in done.accepted}
    places = [place for place, outcome in enumerate(outcomes) if outcome.run in runs]
    more = await Rounds(tx, rules, runs).settle(
        [outcomes[place] for place in places], notes=[note for note in notes if note.run in runs]
    )
    done.marks += more.marks
    done.accepted |= {places[place] for place in more.accepted}
    return done


async def _settle_plain(
    tx: Connection,
    rules: Rules,
    outcomes: Sequence[Outcome],
    feeding: Sequence[Outcome],
    *,
    notes: Sequence[Note],
    claimer: Claimer,
) -> Advance:
    freed = await freed_references(tx, feeding) if feeding else []
    found = await resolutions(
        freed,
        {(outcome.run, outcome.position): outcome.result for outcome in feeding},
        rules.registry,
        max_bytes=rules.settings.max_json_bytes,
        notices_of=partial(notices_of, tx, about=outcomes),
    )
    done = await advance(tx, outcomes, resolutions=found, notes=notes, claimer=claimer, gate=rules.gate)
    await keep_notices(tx, (outcome for place, outcome in enumerate(outcomes) if place in done.accepted))
    return done


async def start_elaborate(tx: Connection, rules: Rules, run: UUID, submitted_by: UUID, plan: SoundPlan) -> Advance:
    """Give a stored run its elaborate plan, and let it begin. The caller holds its lock, or has just stored it."""
    await store_elaborate(tx, run, plan.for_run(run, submitted_by), plan.directives, plan.answer)
    if plan.origins:
        await store_origins(tx, run, plan.origins)
    facts = await elaborate_runs(tx, [run])
    rounds = Rounds(tx, rules, facts)
    return await rounds.begin()


class Rounds:
    """The rounds of one transaction, over locked elaborate runs."""

    def __init__(self, tx: Connection, rules: Rules, runs: Mapping[UUID, RunFacts]) -> None:
        self._tx = tx
        self._rules = rules
        self._runs = runs
        self._steps = {run.id: run.steps for run in runs.values()}
        self._refused: dict[StepPlace, tuple[str, str]] = {}
        self._judged = False

    async def begin(self) -> Advance:
        """Look at the steps that wait for nothing, in runs that were just stored."""
        await self._follow(Turned(freed=await waiting_for_nothing(self._tx, self._runs)))
        return await self.conclude()

    async def settle(self, outcomes: Sequence[Outcome], *, notes: Sequence[Note] = ()) -> Advance:
        """Settle these outcomes, and all that follows."""
        self._judged = bool(notes) or any(outcome.enters is StepState.BLOCKED for outcome in outcomes)
        turned = await turn(self._tx, outcomes=outcomes, notes=notes, gate=self._rules.gate)
        await keep_notices(self._tx, (outcomes[place] for place in turned.accepted))
        await self._follow(turned)
        done = await self.conclude()
        done.accepted = turned.accepted
        return done

    async def _follow(self, turned: Turned) -> None:
        while turned.freed or turned.closed:
            steps = await freed_steps(self._tx, [place for place in turned.freed if place not in self._refused])
            parents = await closed_parents(self._tx, turned.closed) if turned.closed else []
            found = await self._looked_at(steps, parents)
            refused = [place for place in turned.freed if place in self._refused]
            found.verdicts += [_refusal(place, *self._refused.pop(place)) for place in refused]
            await self._put_in_words(found)
            self._judged = self._judged or _asks(found.verdicts, found.children)
            turned = await turn(self._tx, verdicts=found.verdicts, children=found.children, gate=self._rules.gate)

    async def _looked_at(self, steps: Sequence[FreedStep], parents: Sequence[ClosedParent]) -> Found:
        """What becomes of these; others are served while it is worked out."""

        def work() -> Found:
            found = Found()
            looking: dict[UUID, Looking] = {}
            for step in steps:
                look = looking.get(step.run)
                if look is None:
                    run, steps_of_run = self._runs[step.run], self._steps[step.run]
                    look = looking[step.run] = Looking(run, steps_of_run, self._rules.registry, self._rules.bounds)
                look.look(step, found)
                self._steps[step.run] = look.steps
            found.verdicts += [closing(each, json_bytes=self._rules.settings.max_json_bytes) for each in parents]
            return found

        if not parents and all(_is_quick(step) for step in steps):
            return work()
        return await aside(work, Lane.REFERENCES)

    async def _put_in_words(self, found: Found) -> None:
        """Say why steps are refused: those that there are at once, new children in the next round."""
        about = partial(notices_of, self._tx)
        for step, unfit in found.unfit:
            run = step.step.run if isinstance(step, Child) else step.run
            message = await explained(run, unfit, about)
            if isinstance(step, Child):
                self._refused[run, step.step.position] = unfit.code, message
            else:
                found.verdicts.append(_refusal((run, step.position), unfit.code, message))

    async def conclude(self, *, judged: bool = False) -> Advance:
        """Give the runs the states that follow, and those that have ended their answers.

        `judged`: the caller itself asked for approvals.
        """
        await share_places(self._tx, self._runs.values())
        done = await conclude(self._tx, self._runs.values(), judged=judged or self._judged)
        ended = [mark.run for mark in done.marks if mark.ended and self._runs[mark.run].answers]
        if ended:
            most = self._rules.settings.max_json_bytes
            asked = await answers_of(self._tx, ended)
            answers = await aside(lambda: [answer_of(each, json_bytes=most) for each in asked], Lane.REFERENCES)
            await keep_answers(self._tx, answers)
        return done


def _is_quick(step: FreedStep) -> bool:
    return step.condition is None and step.for_each is None and not step.dynamic


def _asks(verdicts: Collection[Verdict], children: Collection[Child]) -> bool:
    return any(each.enters is StepState.BLOCKED for each in verdicts) or any(
        each.state is StepState.BLOCKED for each in children
    )


def _refusal(place: StepPlace, code: str, message: str) -> Verdict:
    run, position = place
    return Verdict(run, position, StepState.FAILED, error_code=code, error_message=message)
