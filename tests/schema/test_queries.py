from typing import Any

import pytest

from engine.access import Viewer
from persistence.reads.cursors import write_event
from persistence.states import Risk, Role, StepState
from schema.api.schema import default_limits
from tests.engine.harness import step
from tests.schema.stories import Told
from tests.schema.world import World, person_of, world

RUN = "query ($id: ID!) { run(id: $id) { %s } }"


async def a_run(it: World, selection: str, run: Any, viewer: Viewer | None = None) -> Any:
    return (await it.ask(viewer or it.admin, RUN % selection, id=f"run_{run.hex}"))["run"]


async def test_a_run_can_be_read_from_its_beginning_to_its_end(dsn: str):
    async with world(dsn) as it:
        owner = await it.viewer(Role.SUBMITTER, name="Ann")
        run = await it.it.submit(
            step("first", "note", args={"text": "hi"}),
            step("second", "note", args={"text": {"$jmespath": "first.text"}}, after=["first"], name="Copy it"),
            viewer=owner,
        )
        await it.it.finished(run)

        told = await a_run(
            it,
            """id intent state riskLevel outcome error { code } createdAt startedAt finishedAt
            submittedBy { id name roles }
            progress { total pending ready running blocked succeeded failed skipped cancelled }
            steps {
                id key name tool riskLevel state skipReason waitingFor args resolvedArgs result error { code }
                attempt maxAttempts nextAttemptAt deadLettered createdAt readyAt startedAt finishedAt
                dependsOn { key } dependents { key } approvals { id } run { id }
                toolCalls { id tool attempt executionKey status args result error { code } startedAt finishedAt }
            }""",
            run,
            owner,
        )

        assert told["id"] == f"run_{run.hex}"
        assert (told["intent"], told["state"], told["riskLevel"], told["outcome"]) == (None, "COMPLETED", "L0", "CLEAN")
        assert told["error"] is None
        assert told["createdAt"] <= told["startedAt"] <= told["finishedAt"]
        assert told["submittedBy"] == {"id": f"user_{owner.id.hex}", "name": "Ann", "roles": ["SUBMITTER"]}
        assert told["progress"] == {
            "total": 2, "pending": 0, "ready": 0, "running": 0, "blocked": 0,
            "succeeded": 2, "failed": 0, "skipped": 0, "cancelled": 0,
        }  # fmt: skip
        first, second = told["steps"]
        assert (first["key"], first["name"], second["name"]) == ("first", "first", "Copy it")
        assert second["id"] == f"step_{run.hex}_1"
        assert second["args"] == {"text": {"$jmespath": "first.text"}}
        assert second["resolvedArgs"] == second["result"] == {"text": "hi"}
        assert (second["state"], second["waitingFor"], second["skipReason"], second["error"]) == ("SUCCEEDED",) + (
            None,
        ) * 3
        assert (second["attempt"], second["maxAttempts"], second["deadLettered"]) == (1, 3, False)
        assert (first["dependents"], second["dependsOn"]) == ([{"key": "second"}], [{"key": "first"}])
        assert second["run"] == {"id": told["id"]}
        (call,) = second["toolCalls"]
        assert call.pop("startedAt") <= call.pop("finishedAt")
        assert call == {
            "id": f"call_{run.hex}_1_1",
            "tool": "note",
            "attempt": 1,
            "executionKey": f"exec_{run.hex}_1",
            "status": "SUCCEEDED",
            "args": {"text": "hi"},
            "result": {"text": "hi"},
            "error": None,
        }


async def test_a_failed_run_says_what_failed(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(step("breaks", "fail"), step("after", "note", after=["breaks"]))
        await it.it.finished(run)

        told = await a_run(
            it,
            "state outcome error { code message } steps { state skipReason deadLettered error { code message } }",
            run,
        )

        assert (told["state"], told["outcome"], told["error"]["code"]) == ("FAILED", "FAILED", "STEP_FAILED")
        breaks, after = told["steps"]
        assert (breaks["state"], breaks["deadLettered"]) == ("FAILED", True)
        assert "It broke" in breaks["error"]["message"]
        assert (after["state"], after["skipReason"]) == ("SKIPPED", "DEPENDENCY_FAILED")


async def test_an_approval_shows_what_will_run(dsn: str):
    async with world(dsn) as it:
        owner = await it.viewer(Role.SUBMITTER)
        run = await it.it.submit(step("pay", "pay", args={"amount": 5}), viewer=owner)

        (approval,) = (
            await a_run(
                it,
                """approvals { id kind status riskLevel reason proposedArgs argsDigest createdAt expiresAt editedArgs
                decidedAt decisionReason decidedBy { id } run { id } step { key state waitingFor resolvedArgs } }""",
                run,
                owner,
            )
        )["approvals"]

        assert (approval["kind"], approval["status"], approval["riskLevel"]) == ("EXECUTE", "REQUIRED", "L3")
        assert approval["proposedArgs"] == {"amount": 5, "currency": "EUR"}
        assert len(approval["argsDigest"]) == 64
        assert approval["createdAt"] < approval["expiresAt"]
        assert [approval[name] for name in ("editedArgs", "decidedAt", "decisionReason", "decidedBy")] == [None] * 4
        assert approval["run"] == {"id": f"run_{run.hex}"}
        assert approval["step"] == {
            "key": "pay",
            "state": "BLOCKED",
            "waitingFor": "Waiting for a person to approve it.",
            "resolvedArgs": {"amount": 5, "currency": "EUR"},
        }


async def test_steps_say_what_they_wait_for(dsn: str):
    async with world(dsn, executes=False) as it:
        before = [Told(f"s{n}", name=f"Step {n}") for n in range(5)]
        run = await it.stories.run(
            person_of(it.admin),
            [
                *before,
                Told("one", after=("s0",)),
                Told("two", after=("s0", "s1")),
                Told("many", after=("s0", "s1", "s2", "s3")),
                Told("pay", risk=Risk.L3),
            ],
        )
        await it.stories.claim(3)
        await it.stories.settle(
            run, 0, StepState.READY, reason="FAILED", delay_seconds=600, error_code="X", error_message="x"
        )
        await it.stories.settle(run, 1, StepState.BLOCKED, error_code="IN_DOUBT", error_message="gone")

        steps = (await a_run(it, "steps { key waitingFor nextAttemptAt }", run))["steps"]
        said = {each["key"]: each["waitingFor"] for each in steps}

        assert said == {
            "s0": f"Its next attempt comes at {steps[0]['nextAttemptAt']}.",
            "s1": "Waiting for a person to say whether its call happened.",
            "s2": None,
            "s3": "Waiting for a free worker.",
            "s4": "Waiting for a free worker.",
            "one": "Waiting for “Step 0”.",
            "two": "Waiting for “Step 0” and “Step 1”.",
            "many": "Waiting for “Step 0”, “Step 1” and 2 more steps.",
            "pay": "Waiting for a person to approve it.",
        }
        one = await it.ask(it.admin, "query ($id: ID!) { step(id: $id) { waitingFor } }", id=f"step_{run.hex}_6")
        assert one["step"]["waitingFor"] == said["two"]


async def test_steps_and_approvals_are_found_by_where_they_stand(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin), [Told("a"), Told("b", after=("a",)), Told("c", risk=Risk.L3)])

        told = await a_run(
            it,
            """all: steps { key } null: steps(states: null) { key } none: steps(states: []) { key }
            some: steps(states: [READY, BLOCKED]) { key }
            open: approvals(statuses: [REQUIRED]) { status } decided: approvals(statuses: [APPROVED]) { status }""",
            run,
        )

        assert [[step["key"] for step in told[each]] for each in ("all", "null", "none", "some")] == [
            ["a", "b", "c"],
            ["a", "b", "c"],
            [],
            ["a", "c"],
        ]
        assert (told["open"], told["decided"]) == ([{"status": "REQUIRED"}], [])


NODE = """query ($id: ID!) { node(id: $id) {
    __typename id ... on Run { state } ... on Step { key } ... on Approval { status } ... on User { name }
} }"""


async def test_anything_is_found_by_its_id_by_whom_it_is_shown_to(dsn: str):
    async with world(dsn, executes=False) as it:
        owner, stranger = await it.viewer(Role.SUBMITTER, name="Ann"), await it.viewer(Role.SUBMITTER)
        approver = await it.viewer(Role.APPROVER)
        run = await it.stories.run(person_of(owner), [Told("pay", risk=Risk.L3)])
        approval = await it.stories.open_approval(run, 0)
        plain = await it.stories.run(person_of(owner))
        expected = {
            f"run_{run.hex}": {"__typename": "Run", "state": "WAITING_APPROVAL"},
            f"step_{run.hex}_0": {"__typename": "Step", "key": "pay"},
            f"appr_{approval.hex}": {"__typename": "Approval", "status": "REQUIRED"},
            f"user_{owner.id.hex}": {"__typename": "User", "name": "Ann"},
        }

        for id_, what in expected.items():
            for viewer in (owner, approver, it.admin):
                assert (await it.ask(viewer, NODE, id=id_))["node"] == {"id": id_, **what}
            assert await it.ask(stranger, NODE, id=id_) == {"node": None}
        for field, id_ in (
            ("run", f"run_{run.hex}"),
            ("step", f"step_{run.hex}_0"),
            ("approval", f"appr_{approval.hex}"),
        ):
            query = f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}"
            assert await it.ask(approver, query, id=id_) == {field: {"id": id_}}
            assert await it.ask(stranger, query, id=id_) == {field: None}
        assert (await it.ask(approver, NODE, id=f"run_{plain.hex}"))["node"] is None


@pytest.mark.parametrize(
    "id_",
    ["", "run_", "run_zz", "run_" + "0" * 32, "RUN_" + "0" * 32, "step_" + "0" * 32, "step_" + "0" * 32 + "_0",
     "step_" + "0" * 32 + "_00", "step_" + "0" * 32 + "_99999999999", "appr_" + "0" * 32, "user_" + "0" * 32,
     "call_" + "0" * 32 + "_0_1", "x" * 10_000, "run_" + "0" * 32 + "\n", "run_" + "٠" * 32],
)  # fmt: skip
async def test_an_id_that_is_nobodys_finds_nothing(dsn: str, id_: str):
    async with world(dsn, executes=False) as it:
        asked = " ".join(f"{field}(id: $id) {{ id }}" for field in ("node", "run", "step", "approval"))
        data = await it.ask(it.admin, f"query ($id: ID!) {{ {asked} }}", id=id_)

        assert data == {"node": None, "run": None, "step": None, "approval": None}


async def test_viewer_is_the_user_of_the_token(dsn: str):
    async with world(dsn, executes=False) as it:
        both = await it.viewer(Role.APPROVER, Role.SUBMITTER, name="Bo")

        assert (await it.ask(both, "{ viewer { id name roles } }"))["viewer"] == {
            "id": f"user_{both.id.hex}",
            "name": "Bo",
            "roles": ["SUBMITTER", "APPROVER"],
        }


async def test_pages_follow_each_other(dsn: str):
    async with world(dsn, executes=False) as it:
        made = [f"run_{(await it.stories.run(person_of(it.admin))).hex}" for _ in range(5)]
        page = """query ($after: String) { runs(first: 2, after: $after) {
            nodes { id } edges { cursor node { id } } totalCount
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        } }"""

        seen, after, infos = [], None, []
        for _ in range(3):
            runs = (await it.ask(it.admin, page, after=after))["runs"]
            assert runs["totalCount"] == 5
            assert [edge["node"] for edge in runs["edges"]] == runs["nodes"]
            cursors = [edge["cursor"] for edge in runs["edges"]]
            assert (cursors[0], cursors[-1]) == (runs["pageInfo"]["startCursor"], runs["pageInfo"]["endCursor"])
            seen += [run["id"] for run in runs["nodes"]]
            after = runs["pageInfo"]["endCursor"]
            infos.append((runs["pageInfo"]["hasPreviousPage"], runs["pageInfo"]["hasNextPage"]))

        assert seen == made[::-1]
        assert infos == [(False, True), (True, True), (True, False)]
        past = (await it.ask(it.admin, page, after=after))["runs"]
        assert past["nodes"] == []
        assert past["pageInfo"] == {
            "hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None,
        }  # fmt: skip


async def test_a_timeline_is_read_in_pages(dsn: str):
    async with world(dsn) as it:
        run = await it.it.submit(step("a", "note"))
        await it.it.finished(run)
        page = """timeline(first: 3%s) { nodes { cursor seq type message metadata createdAt runId stepId approvalId
            run { id } step { key } approval { id } } pageInfo { hasNextPage endCursor } }"""

        one = (await a_run(it, page % "", run))["timeline"]
        rest = (await a_run(it, page % f', after: "{one["pageInfo"]["endCursor"]}"', run))["timeline"]
        last = rest["nodes"][-1]
        none = (await a_run(it, page % f', after: "{last["cursor"]}"', run))["timeline"]

        assert [event["seq"] for event in one["nodes"] + rest["nodes"]] == [1, 2, 3, 4, 5, 6]
        assert (one["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
        assert none["nodes"] == []
        assert (last["type"], last["metadata"]) == ("WORKFLOW_COMPLETE", {"outcome": "CLEAN"})
        assert (last["stepId"], last["step"]) == (None, None)
        ready = one["nodes"][2]
        assert (ready["type"], ready["stepId"], ready["step"]) == ("STEP_READY", f"step_{run.hex}_0", {"key": "a"})


@pytest.mark.parametrize("first", [-1, 101, 2**31 - 1])
@pytest.mark.parametrize("field", ["runs", "approvals", "deadLetters"])
async def test_a_page_of_a_size_that_is_none_is_refused(dsn: str, field: str, first: int):
    async with world(dsn, executes=False) as it:
        query = f"query ($first: Int) {{ {field}(first: $first) {{ totalCount }} }}"

        assert await it.refusal(it.admin, query, first=first) == "BAD_USER_INPUT"


async def test_page_sizes_up_to_the_limit_are_fine(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin))

        for first in (0, 100, None):
            data = await it.ask(
                it.admin, "query ($n: Int) { runs(first: $n) { nodes { id } pageInfo { hasNextPage } } }", n=first
            )
            assert len(data["runs"]["nodes"]) == (0 if first == 0 else 1)
            assert data["runs"]["pageInfo"]["hasNextPage"] is (first == 0)
        assert len((await a_run(it, "timeline(first: 1000) { nodes { seq } }", run))["timeline"]["nodes"]) == 3
        for first in (1001, -1):
            query = RUN % f"timeline(first: {first}) {{ nodes {{ seq }} }}"
            assert await it.refusal(it.admin, query, id=f"run_{run.hex}") == "BAD_USER_INPUT"


async def test_a_default_page_is_no_larger_than_the_limit(dsn: str):
    async with world(dsn, executes=False, limits=default_limits(page=2)) as it:
        for _ in range(3):
            await it.stories.run(person_of(it.admin))

        assert len((await it.ask(it.admin, "{ runs { nodes { id } } }"))["runs"]["nodes"]) == 2
        assert len((await it.ask(it.admin, "{ runs(first: null) { nodes { id } } }"))["runs"]["nodes"]) == 2


async def test_a_cursor_from_elsewhere_is_refused(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin), [Told("a"), Told("pay", risk=Risk.L3)])
        other = await it.stories.run(person_of(it.admin))
        data = await it.ask(
            it.admin,
            """query ($run: ID!, $other: ID!) {
                runs { pageInfo { endCursor } } approvals { pageInfo { endCursor } }
                run(id: $run) { timeline { pageInfo { endCursor } } }
                other: run(id: $other) { timeline { pageInfo { endCursor } } }
            }""",
            run=f"run_{run.hex}",
            other=f"run_{other.hex}",
        )
        runs, approvals = (data[field]["pageInfo"]["endCursor"] for field in ("runs", "approvals"))
        mine, others = (data[field]["timeline"]["pageInfo"]["endCursor"] for field in ("run", "other"))

        async def code(field: str, after: str) -> Any:
            return await it.refusal(it.admin, f"query ($a: String) {{ {field}(after: $a) {{ totalCount }} }}", a=after)

        for field, cursors in (
            ("runs", (approvals, mine)),
            ("approvals", (runs, mine)),
            ("deadLetters", (runs, approvals)),
        ):
            for cursor in (*cursors, "", "garbage", "null", "é" * 40):
                assert await code(field, cursor) == "BAD_USER_INPUT"
        timeline = "query ($id: ID!, $a: String) { run(id: $id) { timeline(after: $a) { nodes { seq } } } }"
        for cursor in (others, runs, "", "garbage"):
            assert await it.refusal(it.admin, timeline, id=f"run_{run.hex}", a=cursor) == "BAD_USER_INPUT"
        assert await it.ask(it.admin, timeline, id=f"run_{run.hex}", a=mine) == {"run": {"timeline": {"nodes": []}}}


async def test_a_cursor_beyond_the_last_event_is_refused(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin))
        query = "query ($id: ID!, $a: String) { run(id: $id) { timeline(after: $a) { nodes { seq } } } }"

        assert await it.refusal(it.admin, query, id=f"run_{run.hex}", a=write_event(run, 4)) == "BAD_USER_INPUT"
        assert (await it.ask(it.admin, query, id=f"run_{run.hex}", a=write_event(run, 3)))["run"]


async def test_filters_pick_runs_and_approvals(dsn: str):
    async with world(dsn, executes=False) as it:
        gym = await it.stories.intent(person_of(it.admin), "Schedule gym")
        paying = await it.stories.run(person_of(it.admin), [Told("pay", risk=Risk.L3)])

        async def runs(filter_: dict[str, Any] | None) -> list[str]:
            data = await it.ask(
                it.admin, "query ($f: RunFilter) { runs(filter: $f) { nodes { id } totalCount } }", f=filter_
            )
            assert data["runs"]["totalCount"] == len(data["runs"]["nodes"])
            return [run["id"].removeprefix("run_") for run in data["runs"]["nodes"]]

        async def approvals(filter_: dict[str, Any] | None) -> int:
            data = await it.ask(
                it.admin, "query ($f: ApprovalFilter) { approvals(filter: $f) { nodes { id } totalCount } }", f=filter_
            )
            assert data["approvals"]["totalCount"] == len(data["approvals"]["nodes"])
            return data["approvals"]["totalCount"]

        assert await runs(None) == await runs({}) == await runs({"states": None}) == [paying.hex, gym.hex]
        assert await runs({"states": ["QUEUED"]}) == await runs({"intentContains": "GYM"}) == [gym.hex]
        assert await runs({"states": []}) == await runs({"createdBefore": "2020-01-01T00:00:00Z"}) == []
        assert await runs({"createdAfter": "2020-01-01T00:00:00Z", "states": ["WAITING_APPROVAL"]}) == [paying.hex]
        assert await approvals(None) == await approvals({"statuses": ["REQUIRED"]}) == 1
        assert await approvals({"runId": f"run_{paying.hex}"}) == 1
        assert await approvals({"runId": f"run_{gym.hex}"}) == await approvals({"statuses": ["EXPIRED"]}) == 0
        assert await approvals({"runId": "nonsense"}) == await approvals({"runId": f"appr_{paying.hex}"}) == 0


async def test_dead_letters_are_listed(dsn: str):
    async with world(dsn) as it:
        owner, stranger = await it.viewer(Role.SUBMITTER), await it.viewer(Role.SUBMITTER)
        run = await it.it.submit(step("breaks", "fail"), viewer=owner)
        await it.it.finished(run)
        query = "{ deadLetters { totalCount nodes { id key error { code } run { state } } edges { cursor } } }"

        letters = (await it.ask(owner, query))["deadLetters"]

        assert letters["totalCount"] == len(letters["edges"]) == 1
        assert letters["nodes"][0]["id"] == f"step_{run.hex}_0"
        assert letters["nodes"][0]["run"] == {"state": "FAILED"}
        assert (await it.ask(stranger, query))["deadLetters"]["nodes"] == []


async def test_tools_are_listed_with_their_schemas(dsn: str):
    async with world(dsn, executes=False) as it:
        tools = (await it.ask(it.admin, "{ tools { name description riskLevel argsSchema resultSchema idempotent } }"))[
            "tools"
        ]

        assert [each["name"] for each in tools] == ["fail", "note", "pay", "vanish"]
        pay = tools[2]
        assert (pay["description"], pay["riskLevel"], pay["idempotent"]) == ("Pays.", "L3", False)
        assert set(pay["argsSchema"]["properties"]) == {"amount", "currency"}


PREVIEW_FIELDS = """steps { key name tool riskLevel requiresApproval args dependsOn } riskLevel diagram
    errors { code message path }"""
PREVIEW = (
    f"query ($intent: String, $plan: PlanInput) {{ previewPlan(intent: $intent, plan: $plan) {{ {PREVIEW_FIELDS} }} }}"
)


async def test_a_plan_is_previewed_and_nothing_is_stored(dsn: str):
    async with world(dsn) as it:
        plan = {
            "steps": [
                {"key": "a", "tool": "note"},
                {"key": "b", "tool": "pay", "args": {"amount": 1}, "dependsOn": ["a"]},
            ]
        }

        preview = (await it.ask(it.admin, PREVIEW, plan=plan))["previewPlan"]

        assert preview["errors"] == []
        assert preview["riskLevel"] == "L3"
        assert [(each["key"], each["riskLevel"], each["requiresApproval"]) for each in preview["steps"]] == [
            ("a", "L0", False),
            ("b", "L3", True),
        ]
        assert preview["steps"][1]["dependsOn"] == ["a"]
        assert "s0 --> s1" in preview["diagram"]
        assert (await it.ask(it.admin, "{ runs { totalCount } }"))["runs"]["totalCount"] == 0


@pytest.mark.parametrize(
    ("asked", "code", "path"),
    [
        ({}, "INVALID_INPUT", None),
        ({"intent": "x", "plan": {"steps": []}}, "INVALID_INPUT", None),
        ({"plan": {"steps": []}}, "INVALID_PLAN", ["plan", "steps"]),
        ({"plan": {"steps": [{"key": "a", "tool": "nope"}]}}, "UNKNOWN_TOOL", ["plan", "steps", "0", "tool"]),
        (
            {"plan": {"steps": [{"key": "a", "tool": "note", "args": [1]}]}},
            "INVALID_PLAN",
            ["plan", "steps", "0", "args"],
        ),
        ({"intent": "Sing the moon a lullaby"}, "UNPLANNABLE_INTENT", ["intent"]),
    ],
)
async def test_a_preview_says_what_is_wrong(dsn: str, asked: dict[str, Any], code: str, path: list[str] | None):
    async with world(dsn, executes=False) as it:
        preview = (await it.ask(it.admin, PREVIEW, **asked))["previewPlan"]

        assert [(error["code"], error["path"]) for error in preview["errors"]] == [(code, path)]
        assert (preview["steps"], preview["riskLevel"]) == ([], None)


SAID = """steps { key when after forEach forEachMost forEachTolerates maxParallel delaySeconds notBefore maxAttempts
    timeoutSeconds } answer diagram errors { code message path }"""


async def test_a_preview_shows_all_that_a_plan_says(dsn: str):
    async with world(dsn) as it:
        plan = {
            "answer": {"texts": {"$jmespath": "each[*].result.text"}, "n": 1},
            "steps": [
                {"key": "a", "tool": "note", "when": {"$jmespath": "`true`"}, "maxAttempts": 0},
                {
                    "key": "each",
                    "tool": "note",
                    "args": {"text": {"$jmespath": "item"}},
                    "forEach": {"$jmespath": "[a.text]"},
                    "maxParallel": 2,
                    "dependsOn": ["a"],
                },
                {"key": "tidy", "tool": "pay", "args": {"amount": 1}, "after": ["a", "each"], "delaySeconds": 1.5},
                {"key": "at", "tool": "note", "notBefore": "2026-12-01T09:00:00+01:00", "timeoutSeconds": 7},
            ],
        }

        preview = (await it.ask(it.admin, PREVIEW.replace(PREVIEW_FIELDS, SAID), plan=plan))["previewPlan"]

        assert preview["errors"] == []
        nothing = dict.fromkeys(
            ("when", "forEach", "forEachMost", "forEachTolerates", "maxParallel", "delaySeconds", "notBefore")
        )
        usual = {**nothing, "after": [], "maxAttempts": 3, "timeoutSeconds": preview["steps"][0]["timeoutSeconds"]}
        assert preview["steps"] == [
            {**usual, "key": "a", "when": {"$jmespath": "`true`"}, "maxAttempts": None},
            {
                **usual,
                "key": "each",
                "forEach": {"$jmespath": "[a.text]"},
                "forEachMost": 100,
                "forEachTolerates": False,
                "maxParallel": 2,
            },
            {**usual, "key": "tidy", "after": ["a", "each"], "delaySeconds": 1.5},
            {**usual, "key": "at", "notBefore": "2026-12-01T08:00:00.000Z", "timeoutSeconds": 7},
        ]
        assert preview["answer"] == plan["answer"]
        assert "s0 & s1 -.-> s2" in preview["diagram"]


async def test_a_preview_of_calls_alone_says_nothing_more(dsn: str):
    async with world(dsn, executes=False) as it:
        plan = {"answer": None, "steps": [{"key": "a", "tool": "note", "when": None, "forEach": None, "after": None}]}

        preview = (await it.ask(it.admin, PREVIEW.replace(PREVIEW_FIELDS, SAID), plan=plan))["previewPlan"]

        assert (preview["errors"], preview["answer"]) == ([], None)
        assert (preview["steps"][0]["when"], preview["steps"][0]["after"], preview["steps"][0]["forEach"]) == (
            None,
            [],
            None,
        )


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"when": "a.ok"}, ["plan", "steps", "0", "when"]),
        ({"after": ["b"]}, ["plan", "steps", "0", "after", "0"]),
        ({"forEach": [1]}, ["plan", "steps", "0", "forEach"]),
        ({"forEachMost": 3}, ["plan", "steps", "0", "forEachMost"]),
        ({"delaySeconds": -1}, ["plan", "steps", "0", "delaySeconds"]),
    ],
)
async def test_a_preview_says_what_is_wrong_with_what_a_step_says(dsn: str, said: dict[str, Any], path: list[str]):
    async with world(dsn, executes=False) as it:
        plan = {"steps": [{"key": "a", "tool": "note", **said}]}

        preview = (await it.ask(it.admin, PREVIEW, plan=plan))["previewPlan"]

        assert [(error["code"], error["path"]) for error in preview["errors"]] == [("INVALID_PLAN", path)]


async def test_a_moment_without_an_offset_is_refused(dsn: str):
    async with world(dsn, executes=False) as it:
        plan = {"steps": [{"key": "a", "tool": "note", "notBefore": "2026-12-01T09:00:00"}]}

        with pytest.raises(AssertionError, match="is no time in RFC 3339 with an offset"):
            await it.ask(it.admin, PREVIEW, plan=plan)


async def test_while_the_database_is_away_an_answer_is_unavailable(dsn: str):
    async with world(dsn, executes=False) as it:
        run = await it.stories.run(person_of(it.admin))
        assert it.counting._pool is not None
        it.counting._pool.terminate()

        for query in ("{ runs { nodes { id } } }", RUN % "steps { key }", RUN % "diagram"):
            assert await it.refusal(it.admin, query, id=f"run_{run.hex}") == "UNAVAILABLE"
        payload = await it.refusal(it.admin, 'mutation { submitWorkflow(input: {intent: "x"}) { errors { code } } }')
        assert payload == "UNAVAILABLE"
