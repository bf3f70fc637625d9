"""What a plan means, in plain Python: slow, obvious, one step after the other, and without a database.

`Meaning` runs a plan whose calls are scripted, and says how everything ends: the state of each step and child, why it
was skipped, the results, the run's state and outcome, and its answer. Where the order of events decides between two
reasons for a skip, it knows both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from engine.plans import Plan, PlanStep

Known = Mapping[str, Any]
OVER: Final = frozenset({"SUCCEEDED", "FAILED", "SKIPPED"})
LOST: Final = frozenset({"FAILED", "SKIPPED"})


# Expressions: the text that the engine evaluates, and what it means


class NoValue(Exception):
    """The expression can't be evaluated over what it was given."""


@dataclass(frozen=True)
class Expression:
    """A JMESPath expression, and its value over results by key; steps without a result are not there."""

    text: str
    value: Callable[[Known], Any]

    @property
    def mark(self) -> dict[str, str]:
        """The reference as a plan writes it."""
        return {"$jmespath": self.text}

    def __repr__(self) -> str:
        return self.text


def named(key: str) -> Expression:
    """The result of a step, or null."""
    return Expression(key, lambda known: known.get(key))


def member(of: Expression, name: str) -> Expression:
    """A member of an object; null of all else."""

    def value(known: Known) -> Any:
        found = of.value(known)
        return cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None

    return Expression(f"{of.text}.{name}", value)


def negated(of: Expression) -> Expression:
    """Whether it does not hold."""
    return Expression(f"!({of.text})", lambda known: not holds(of.value(known)))


def either(one: Expression, other: Expression) -> Expression:
    """The first if it holds, else the other."""

    def value(known: Known) -> Any:
        found = one.value(known)
        return found if holds(found) else other.value(known)

    return Expression(f"({one.text} || {other.text})", value)


def length(of: Expression) -> Expression:
    """How long a text, a list or an object is; nothing else has a length."""

    def value(known: Known) -> Any:
        found = of.value(known)
        if type(found) not in (str, list, dict):
            raise NoValue
        return len(found)

    return Expression(f"length({of.text})", value)


def results_of(of: Expression) -> Expression:
    """What the children of a list gave, those without a result left out; null of what is no list."""

    def value(known: Known) -> Any:
        found = of.value(known)
        if type(found) is not list:
            return None
        flat: list[Any] = []
        for each in cast("list[Any]", found):
            flat += cast("list[Any]", each) if isinstance(each, list) else [each]
        objects = [cast("dict[str, Any]", each) for each in flat if isinstance(each, dict)]
        return [each["result"] for each in objects if each.get("result") is not None]

    return Expression(f"{of.text}[].result", value)


def holds(value: Any) -> bool:
    """JMESPath's truth: 0 is true."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


# Plans


@dataclass(frozen=True)
class Sketch:
    """A step: what it waits for, and a call that gives `gives`, or its own argument `value` where that is ECHO."""

    key: str
    depends_on: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    when: Expression | None = None
    for_each: Expression | None = None
    most: int | None = None
    tolerates: bool = False
    parallel: int | None = None
    delay: float | None = None
    asks: bool = False
    value: Expression | None = None
    gives: Any = None

    def planned(self, story: str) -> PlanStep:
        """The step as a plan has it. Its arguments name the call: the story, the step's key, and a child's place."""
        args: dict[str, Any] = {"story": story, "me": self.key}
        if self.for_each is not None:
            args["at"] = {"$jmespath": "index"}
        if self.value is not None:
            args["value"] = self.value.mark
        return PlanStep(
            key=self.key,
            tool="ask" if self.asks else "act",
            args=args,
            depends_on=self.depends_on,
            after=self.after,
            when=None if self.when is None else self.when.mark,
            for_each=None if self.for_each is None else self.for_each.mark,
            for_each_most=self.most if self.for_each is not None else None,
            for_each_tolerates=self.tolerates if self.for_each is not None else None,
            max_parallel=self.parallel if self.for_each is not None else None,
            delay_seconds=self.delay,
        )


ECHO: Final = "ECHO"
ITEM: Final = named("item")
"""The entry of the list, in the arguments of a child."""


def plan_of(story: str, sketches: Iterable[Sketch], answer: Mapping[str, Expression] | None) -> Plan:
    """The plan as it is submitted."""
    steps = tuple(sketch.planned(story) for sketch in sketches)
    return Plan(steps, None if answer is None else {name: each.mark for name, each in answer.items()})


@dataclass
class Script:
    """How calls end that don't simply succeed, by the key of the step or child (`each[0]`).

    `fails`: for good; `flaky`: the first time. `rejects`: the people asked say no.
    """

    fails: set[str] = field(default_factory=set[str])
    flaky: set[str] = field(default_factory=set[str])
    rejects: set[str] = field(default_factory=set[str])


# What it means


@dataclass
class Ended:
    """A step or child: its state, what it gave, and why not. `reasons` are those that a skip may have."""

    state: str = "PENDING"
    result: Any = None
    reasons: frozenset[str] = frozenset()
    code: str | None = None
    tolerated: bool = False
    parent: str | None = None
    item: Any = None
    place: int | None = None
    was_called: bool = False

    @property
    def is_dead_letter(self) -> bool:
        """Whether a person may send it back."""
        return self.state == "FAILED" and not self.tolerated


class Meaning:
    """A plan that is run to its end by the rules alone."""

    def __init__(self, sketches: Iterable[Sketch], answer: Mapping[str, Expression] | None, script: Script) -> None:
        self.sketches = {sketch.key: sketch for sketch in sketches}
        self.script = script
        self.steps: dict[str, Ended] = {key: Ended() for key in self.sketches}
        self.answers = answer
        self.made: list[str] = []
        """The calls that were made, by key, in the reference's own order."""
        self._run()

    # The run

    @property
    def state(self) -> str:
        """How the run ends."""
        return "FAILED" if any(step.is_dead_letter for step in self.steps.values()) else "COMPLETED"

    @property
    def outcome(self) -> str:
        """In how far it did what it was to do."""
        if self.state == "FAILED":
            return "FAILED"
        left_out = any("REJECTED" in step.reasons for step in self.steps.values())
        tolerated = any(step.state == "FAILED" for step in self.steps.values())
        return "PARTIAL" if left_out or tolerated else "CLEAN"

    def answer(self) -> tuple[Any, str | None]:
        """What the run answers, and the error's code where it can't."""
        if self.answers is None:
            return None, None
        try:
            return {name: each.value(self._known(self.steps)) for name, each in self.answers.items()}, None
        except NoValue:
            return None, "ANSWER_UNRESOLVED"

    # Steps

    def _run(self) -> None:
        while waiting := [key for key in self.sketches if self._may_be_looked_at(key)]:
            self._look(waiting[0])

    def _may_be_looked_at(self, key: str) -> bool:
        if self.steps[key].state != "PENDING":
            return False
        before = [self.steps[each].state for each in self.sketches[key].depends_on]
        after = [self.steps[each].state for each in self.sketches[key].after]
        # What is lost with a step before it need not wait; here it does, to know all that may be the reason.
        return all(state in OVER for state in before) and (
            any(state in LOST for state in before) or all(state in OVER for state in after)
        )

    def _look(self, key: str) -> None:
        sketch, step = self.sketches[key], self.steps[key]
        if any(self.steps[each].state in LOST for each in sketch.depends_on):
            step.state, step.reasons = "SKIPPED", self._why(key)
            return
        known = self._known(self._reach(key))
        try:
            if sketch.when is not None and not holds(sketch.when.value(known)):
                step.state, step.reasons = "SKIPPED", frozenset({"CONDITION_FALSE"})
            elif sketch.for_each is None:
                self._call(key, known)
            else:
                self._expand(key, known, sketch.for_each.value(known))
        except NoValue:
            step.state, step.code = "FAILED", "ARGS_UNRESOLVED"

    def _why(self, key: str) -> frozenset[str]:
        """Whichever of the steps before it was lost first is the reason: all that it may have been."""
        reasons: set[str] = set()
        for each in self.sketches[key].depends_on:
            before = self.steps[each]
            if before.state == "FAILED":
                reasons.add("DEPENDENCY_FAILED")
            elif before.state == "SKIPPED":
                own = {reason for reason in before.reasons if not reason.startswith("DEPENDENCY_")}
                reasons |= (before.reasons - own) | ({"DEPENDENCY_SKIPPED"} if own else set())
        return frozenset(reasons)

    def _reach(self, key: str) -> set[str]:
        """The steps whose results it may refer to: all before it, and those that it comes after."""
        found: set[str] = set(self.sketches[key].after)
        waiting = list(self.sketches[key].depends_on)
        while waiting:
            each = waiting.pop()
            found.add(each)
            waiting += self.sketches[each].depends_on
        return found

    def _known(self, keys: Iterable[str]) -> dict[str, Any]:
        return {key: self.steps[key].result for key in keys if self.steps[key].state == "SUCCEEDED"}

    def _call(self, key: str, known: Known) -> None:
        """What the call of a step or a child comes to, if it is made."""
        step = self.steps[key]
        sketch = self.sketches[step.parent or key]
        value = None if sketch.value is None else sketch.value.value(known)
        if sketch.asks and key in self.script.rejects:
            step.state, step.reasons = "SKIPPED", frozenset({"REJECTED"})
            return
        step.was_called = True
        self.made.append(key)
        if key in self.script.fails:
            step.state, step.code = "FAILED", "TOOL_ERROR"
        else:
            step.state, step.result = "SUCCEEDED", value if sketch.gives == ECHO else sketch.gives

    # Lists

    def _expand(self, key: str, known: Known, items: Any) -> None:
        sketch, parent = self.sketches[key], self.steps[key]
        if type(items) is not list:
            parent.state, parent.code = "FAILED", "NOT_A_LIST"
            return
        if len(cast("list[Any]", items)) > (sketch.most or 100):
            parent.state, parent.code = "FAILED", "TOO_MANY_ITEMS"
            return
        for place, item in enumerate(cast("list[Any]", items)):
            child = Ended(tolerated=sketch.tolerates, parent=key, item=item, place=place)
            self.steps[f"{key}[{place}]"] = child
            self._call_child(f"{key}[{place}]", known)
        self._close(key)

    def _call_child(self, key: str, known: Known) -> None:
        child = self.steps[key]
        try:
            self._call(key, {**known, "item": child.item, "index": child.place})
        except NoValue:
            child.state, child.code = "FAILED", "ARGS_UNRESOLVED"

    def children(self, key: str) -> list[str]:
        """The keys of a step's children, in the list's order."""
        return [each for each, step in self.steps.items() if step.parent == key]

    def _close(self, key: str) -> None:
        parent, children = self.steps[key], [self.steps[each] for each in self.children(key)]
        if any(child.is_dead_letter for child in children):
            parent.state, parent.code = "FAILED", "ITEMS_FAILED"
            return
        parent.state, parent.code = "SUCCEEDED", None
        parent.result = [{"item": child.item, "result": child.result} | _beside(child) for child in children]

    # Dead letters

    def dead_letters(self) -> list[str]:
        """What a person may send back."""
        return [key for key, step in self.steps.items() if step.is_dead_letter]

    def retry(self, key: str) -> bool:
        """Send a dead letter back; its calls follow the script as it is now. False where nothing would change."""
        step = self.steps[key]
        if step.parent is None and self.sketches[key].for_each is not None:
            going = [each for each in self.children(key) if self.steps[each].is_dead_letter]
        else:
            going = [key]
        if not going or not all(self._has_arguments(each) for each in going):
            return False
        for each in going:
            self._again(each)
        gone: set[str] = set()
        parent = key if going != [key] else step.parent
        if parent is None:
            gone.add(key)
        elif not any(self.steps[each].is_dead_letter for each in self.children(parent) if each not in going):
            gone.add(parent)
        self._bring_back(gone)
        if parent is not None:
            self._close(parent)
        self._run()
        return True

    def _has_arguments(self, key: str) -> bool:
        """A step that failed before its call, since its expressions have no value, would fail again."""
        step = self.steps[key]
        if step.was_called:
            return True
        owner = step.parent or key
        sketch, known = self.sketches[owner], self._known(self._reach(owner))
        try:
            if step.parent is None and sketch.when is not None and not holds(sketch.when.value(known)):
                return False
            if sketch.value is not None:
                sketch.value.value({**known, "item": step.item, "index": step.place})
        except NoValue:
            return False
        return True

    def _again(self, key: str) -> None:
        step = self.steps[key]
        owner = step.parent or key
        step.code = None
        if step.parent is None:
            self._call(key, self._known(self._reach(owner)))
        else:
            self._call_child(key, self._known(self._reach(owner)))

    def _bring_back(self, gone: set[str]) -> None:
        """What was skipped because of these alone waits again; a step with another loss before it stays skipped."""
        back: set[str] = set()
        while True:
            more = {
                key
                for key, step in self.steps.items()
                if step.parent is None
                and step.state == "SKIPPED"
                and "DEPENDENCY_FAILED" in step.reasons
                and any(each in gone | back for each in self.sketches[key].depends_on)
            }
            if more <= back:
                break
            back |= more
        while stuck := {
            key
            for key in back
            if any(self.steps[each].state in LOST and each not in gone | back for each in self.sketches[key].depends_on)
        }:
            back -= stuck
        for key in back:
            self.steps[key] = Ended()


def _beside(child: Ended) -> dict[str, Any]:
    if child.state == "FAILED":
        return {"error": child.code}
    return {"skipReason": next(iter(child.reasons))} if child.state == "SKIPPED" else {}
