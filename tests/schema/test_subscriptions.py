import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from persistence.reads.cursors import write_event
from persistence.states import Role
from tests.engine.harness import APPROVE, step
from tests.schema.stories import Told
from tests.schema.world import World, person_of, read_back, world

TIMELINE = """subscription ($id: ID!, $after: String) { timeline(runId: $id, after: $after) {
    cursor seq type message metadata runId stepId approvalId createdAt } }"""
APPROVALS = "subscription { approvals { id status kind proposedArgs step { key } run { id state } } }"


async def events(it: World, viewer: Any, run: Any, after: str | None = None) -> list[Any]:
    """A run's events until the subscription completes."""
    async with asyncio.timeout(20):
        async with aclosing(it.follow(viewer, TIMELINE, id=f"run_{run.hex}", after=after)) as answers:
            found = [answer async for answer in answers]
    assert not any(answer.errors for answer in found), found
    return [answer.data["timeline"] for answer in found]


async def first_error(it: World, viewer: Any, query: str, **variables: Any) -> Any:
    async with aclosing(it.follow(viewer, query, **variables)) as answers:
        answer = await anext(answers)
        rest = [each async for each in answers]
    assert (answer.data, rest) == (None, [])
    return answer.errors[0].extensions["code"]


async def test_a_run_is_followed_from_its_first_event_to_its_end(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(step("a", "note"), step("b", "note", after=["a"]))

        told = await events(it, it.admin, run)

        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        assert (told[0]["type"], told[-1]["type"]) == ("WORKFLOW_STARTED", "WORKFLOW_COMPLETE")
        assert told[-1]["metadata"] == {"outcome": "CLEAN"}
        assert {event["runId"] for event in told} == {f"run_{run.hex}"}
        assert told[2]["stepId"] == f"step_{run.hex}_0"


async def test_a_subscription_goes_on_from_a_cursor(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(step("a", "note"))
        told = await events(it, it.admin, run)

        for place in range(len(told) - 1):
            assert await events(it, it.admin, run, told[place]["cursor"]) == told[place + 1 :]
        assert await events(it, it.admin, run, told[-1]["cursor"]) == []


async def test_related_things_are_shown_as_they_are_now(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.it.submit(step("pay", "pay", args={"amount": 1}))
        query = """subscription ($id: ID!) { timeline(runId: $id) {
            type run { state } step { key state } approval { status } } }"""

        async with asyncio.timeout(20), aclosing(it.follow(it.admin, query, id=f"run_{run.hex}")) as answers:
            async for answer in answers:
                event = answer.data["timeline"]
                if event["type"] == "APPROVAL_REQUIRED":
                    break

        assert event == {
            "type": "APPROVAL_REQUIRED",
            "run": {"state": "WAITING_APPROVAL"},
            "step": {"key": "pay", "state": "BLOCKED"},
            "approval": {"status": "REQUIRED"},
        }


async def test_subscribers_who_ask_the_same_share_the_answer(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin))
        variables = {"id": f"run_{run.hex}", "after": None}
        one, other = [
            await it.schema.stream(TIMELINE, variable_values=variables, context_value=it.services.context(it.admin))
            for _ in range(2)
        ]

        async with asyncio.timeout(20), aclosing(one), aclosing(other):
            first, second = await anext(one), await anext(other)

        assert first.data is second.data


class Pushed:
    """A subscriber who takes what is pushed, unless it is `busy`."""

    def __init__(self, it: World, viewer: Any, query: str, run: Any) -> None:
        self.seen: list[Any] = []
        self.pushed = 0
        self.busy = False
        self.errors: list[Any] = []
        self.task = asyncio.create_task(self._follow(it, viewer, query, run))

    def _push(self, data: Any) -> bool:
        if self.busy:
            return False
        self.pushed += 1
        self.seen.append(read_back(data)["timeline"])
        return True

    async def _follow(self, it: World, viewer: Any, query: str, run: Any) -> None:
        answers = await it.schema.stream(
            query,
            variable_values={"id": f"run_{run.hex}", "after": None},
            context_value=it.services.context(viewer),
            push=self._push,
        )
        async for answer in answers:
            if answer.errors:
                self.errors.append(answer.errors[0].extensions["code"])
            else:
                self.seen.append(read_back(answer.data)["timeline"])

    async def until(self, type_: str) -> None:
        async with asyncio.timeout(20):
            while not self.seen or self.seen[-1]["type"] != type_:  # noqa: ASYNC110 - what is watched tells nobody
                await asyncio.sleep(0.005)


async def test_what_is_pushed_is_what_would_have_been_fetched(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(
            step("pay", "pay", args={"amount": 1}), *(step(f"s{n}", "note", after=["pay"]) for n in range(9))
        )
        await it.it.until(run, "WORKFLOW_WAITING_APPROVAL")
        eager, busy, nested = (
            Pushed(it, it.admin, query, run)
            for query in (TIMELINE, TIMELINE, "subscription ($id: ID!) { timeline(runId: $id) { type step { key } } }")
        )
        busy.busy = True
        for each in (eager, busy, nested):
            await each.until("WORKFLOW_WAITING_APPROVAL")
        await it.it.decide(await it.it.asked(run), APPROVE)
        async with asyncio.timeout(20):
            await asyncio.gather(eager.task, busy.task, nested.task)

        assert eager.pushed > 0
        assert (busy.pushed, nested.pushed) == (0, 0)
        assert eager.seen == busy.seen == await events(it, it.admin, run)
        assert [event["seq"] for event in eager.seen] == list(range(1, len(eager.seen) + 1))
        assert [event["type"] for event in nested.seen] == [event["type"] for event in eager.seen]


async def test_nothing_is_pushed_to_somebody_whose_token_was_revoked(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(step("pay", "pay", args={"amount": 1}), step("note", "note", after=["pay"]))
        follower = Pushed(it, it.admin, TIMELINE, run)
        await follower.until("WORKFLOW_WAITING_APPROVAL")
        seen = len(follower.seen)

        it.refused.add(it.admin.id)
        await it.it.decide(await it.it.asked(run), APPROVE)
        async with asyncio.timeout(20):
            await follower.task

        assert (len(follower.seen), follower.errors) == (seen, ["UNAUTHENTICATED"])


@pytest.mark.parametrize("id_", ["", "nonsense", "run_" + "0" * 32, "step_" + "0" * 32 + "_0"])
async def test_following_nothing_is_not_found(dsn: str, id_: str):
    async with world(dsn, executes=False) as it:
        assert await first_error(it, it.admin, TIMELINE, id=id_) == "NOT_FOUND"


async def test_following_a_run_of_somebody_else_is_not_found(dsn: str):
    async with world(dsn, executes=False) as it:
        stranger, approver = await it.viewer(Role.SUBMITTER), await it.viewer(Role.APPROVER)
        run = await it.stories.run(person_of(it.admin))

        assert await first_error(it, stranger, TIMELINE, id=f"run_{run.hex}") == "NOT_FOUND"
        assert await first_error(it, approver, TIMELINE, id=f"run_{run.hex}") == "NOT_FOUND"


async def test_a_cursor_from_elsewhere_is_refused(dsn: str):
    async with world(dsn, executes=False) as it:
        run, other = [await it.stories.run(person_of(it.admin)) for _ in range(2)]

        for cursor in ("", "garbage", write_event(other, 1), write_event(run, 4)):
            assert await first_error(it, it.admin, TIMELINE, id=f"run_{run.hex}", after=cursor) == "BAD_USER_INPUT"


async def test_an_event_does_not_go_to_somebody_whose_token_was_revoked(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin), [Told("a")])

        async with asyncio.timeout(20), aclosing(it.follow(it.admin, TIMELINE, id=f"run_{run.hex}")) as answers:
            assert (await anext(answers)).data["timeline"]["seq"] == 1
            it.refused.add(it.admin.id)
            refused = await anext(answers)

        assert (refused.data, refused.errors[0].extensions["code"]) == (None, "UNAUTHENTICATED")


async def test_approvals_are_followed_as_they_are_asked_for_and_change(dsn: str):
    reject = "mutation ($id: ID!) { decideApproval(input: {approvalId: $id, decision: REJECT}) { errors { code } } }"
    async with world(dsn) as it:
        approver = await it.viewer(Role.APPROVER)
        waiting = await it.it.submit(step("waiting", "pay", args={"amount": 1}))

        async with asyncio.timeout(20), aclosing(it.follow(approver, APPROVALS)) as answers:
            first = (await anext(answers)).data["approvals"]
            asked = await it.it.submit(step("asked", "pay", args={"amount": 2}))
            second = (await anext(answers)).data["approvals"]
            await it.ask(it.admin, reject, id=first["id"])
            third = (await anext(answers)).data["approvals"]

        assert (first["run"]["id"], first["status"], first["step"]) == (
            f"run_{waiting.hex}",
            "REQUIRED",
            {"key": "waiting"},
        )
        assert (second["run"]["id"], second["proposedArgs"]) == (f"run_{asked.hex}", {"amount": 2, "currency": "EUR"})
        assert (third["id"], third["status"]) == (first["id"], "REJECTED")


async def test_only_approvals_that_one_may_decide_are_followed(dsn: str):
    async with world(dsn, separation_of_duties=True) as it:
        owner = await it.viewer(Role.SUBMITTER, Role.APPROVER)
        own = await it.it.submit(step("own", "pay", args={"amount": 1}), viewer=owner)
        other = await it.it.submit(step("other", "pay", args={"amount": 1}))

        async with asyncio.timeout(20), aclosing(it.follow(owner, APPROVALS)) as answers:
            mine = (await anext(answers)).data["approvals"]
        async with asyncio.timeout(20), aclosing(it.follow(it.admin, APPROVALS)) as answers:
            theirs = (await anext(answers)).data["approvals"]

        assert mine["run"]["id"] == f"run_{other.hex}"
        assert theirs["run"]["id"] == f"run_{own.hex}"


async def test_a_submitter_follows_only_their_own(dsn: str):
    async with world(dsn) as it:
        owner = await it.viewer(Role.SUBMITTER)
        await it.it.submit(step("other", "pay", args={"amount": 1}))
        own = await it.it.submit(step("own", "pay", args={"amount": 1}), viewer=owner)

        async with asyncio.timeout(20), aclosing(it.follow(owner, APPROVALS)) as answers:
            assert (await anext(answers)).data["approvals"]["run"]["id"] == f"run_{own.hex}"
