import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import OUTPUT

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.browser.conftest import Seen, Site

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

EXAMPLES = ["Overview", "PreviewPlan", "SubmitWorkflow", "FollowTimeline", "FollowApprovals", "DecideApproval"]
QUERY = ".graphiql-query-editor"
HEADERS = "[aria-label=Headers] .graphiql-editor:not(.hidden)"
VARIABLES = "[aria-label=Variables] .graphiql-editor:not(.hidden)"


async def open_console(page: "Page", site: "Site") -> None:
    await page.goto(site.sign_in)
    await page.locator(f"{QUERY} .view-line").first.wait_for()
    await page.locator(".graphiql-response .view-lines").wait_for(state="attached")


async def open_tab(page: "Page", name: str) -> None:
    await page.get_by_role("tab", name=name).click()
    await query_editor(page).filter(has_text=re.compile(rf"(query|mutation|subscription)\s{name}")).wait_for()


def query_editor(page: "Page") -> "Locator":
    return page.locator(f"{QUERY} .view-lines")


async def write(page: "Page", editor: str, text: str) -> None:
    """Paste over what stands in one of the editors, given as its locator; of what is typed, they close brackets."""
    await page.locator(f"{editor} .view-lines").click()
    await page.keyboard.press("Control+A")
    await page.evaluate(
        """text => {
            const clipboardData = new DataTransfer();
            clipboardData.setData('text/plain', text);
            const paste = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true });
            document.activeElement.dispatchEvent(paste);
        }""",
        text,
    )


async def run(page: "Page", *, until: str) -> str:
    """Press the button, and give the answer as soon as it contains `until`, without its blanks and line ends."""
    await page.locator(".graphiql-execute-button").click()
    answer = answer_of(page)
    await answer.filter(has_text=until).wait_for()
    return re.sub(r"\s", "", await answer.inner_text())


def answer_of(page: "Page") -> "Locator":
    return page.locator(".graphiql-response .view-lines")


async def picture(page: "Page", name: str) -> None:
    """Keep what the page looks like, for a person to look at."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=OUTPUT / f"{name}.png")


async def test_the_console_opens_with_an_example_of_each_operation(page: "Page", site: "Site", seen: "Seen"):
    await open_console(page, site)
    for name in EXAMPLES:
        await open_tab(page, name)

    assert await page.title() == "Life OS"
    assert await page.get_by_role("tab").all_inner_texts() == EXAMPLES
    assert seen.faults == []
    assert seen.foreign(site) == []


async def test_signing_in_takes_the_token_out_of_the_address_and_out_of_reach(page: "Page", site: "Site"):
    await open_console(page, site)

    assert page.url == site.page
    assert site.token not in await page.evaluate("document.cookie + JSON.stringify(localStorage)")


async def test_a_query_is_answered(page: "Page", site: "Site", seen: "Seen"):
    await open_console(page, site)
    await write(page, QUERY, "query Who { viewer { name } }")

    answer = await run(page, until='"viewer"')

    assert answer == '{"data":{"viewer":{"name":"admin"}}}'
    assert seen.faults == []
    assert seen.foreign(site) == []


async def test_the_docs_explorer_shows_the_descriptions(page: "Page", site: "Site", seen: "Seen"):
    await open_console(page, site)
    await page.get_by_role("button", name="Documentation Explorer").click()
    docs = page.locator(".graphiql-doc-explorer")
    await docs.get_by_role("link", name="Mutation", exact=True).click()
    await docs.get_by_text("Answers an approval. The first answer stands.").wait_for()
    await docs.get_by_role("link", name="SubmitWorkflowInput", exact=True).click()
    await docs.get_by_text("What you want done, in a sentence.").wait_for()
    await picture(page, "docs-explorer")

    assert await docs.get_by_text("What to do: exactly one of intent and plan.").count() == 1
    assert seen.faults == []


async def test_the_demo_sentence_is_followed_live_approved_in_a_second_tab_and_completes(
    page: "Page", site: "Site", seen: "Seen"
):
    await open_console(page, site)
    await picture(page, "1-opened")
    await run(page, until='"ADMIN"')
    await picture(page, "2-overview")
    await open_tab(page, "SubmitWorkflow")
    submitted = json.loads(await run(page, until='"run_'))["data"]["submitWorkflow"]
    await picture(page, "3-submitted")
    await open_tab(page, "FollowTimeline")
    await write(page, VARIABLES, json.dumps({"runId": submitted["run"]["id"]}))
    await run(page, until="WORKFLOW_WAITING_APPROVAL")
    await picture(page, "4-waiting-for-a-person")

    events = [answer["data"]["timeline"] for answer in seen.received]
    asked = [event["approvalId"] for event in events if event["type"] == "APPROVAL_REQUIRED"]
    second = await page.context.new_page()
    await open_console(second, site)
    await open_tab(second, "DecideApproval")
    for number, approval_id in enumerate(asked, start=1):
        decision = {"approvalId": approval_id, "decision": "APPROVE", "reason": "Looks right"}
        await write(second, VARIABLES, json.dumps({"input": decision}))
        decided = json.loads(await run(second, until=approval_id))["data"]["decideApproval"]
        assert (decided["approval"]["status"], decided["errors"]) == ("APPROVED", [])
        await picture(second, f"5-decided-{number}")
    await answer_of(page).filter(has_text="WORKFLOW_COMPLETE").wait_for()
    await picture(page, "6-complete")

    followed = [answer["data"]["timeline"] for answer in seen.received]
    assert submitted["errors"] == []
    assert len(asked) == 2
    assert [event["seq"] for event in followed] == list(range(1, len(followed) + 1))
    assert followed[-1]["type"] == "WORKFLOW_COMPLETE"
    assert followed[-1]["metadata"]["outcome"] == "CLEAN"
    assert site.page.replace("http", "ws", 1) in seen.addresses
    assert seen.faults == []
    assert seen.foreign(site) == []


async def test_a_token_under_headers_goes_with_both_transports_and_is_kept_nowhere(
    page: "Page", site: "Site", seen: "Seen"
):
    await open_console(page, site)
    await open_tab(page, "SubmitWorkflow")
    await page.get_by_role("button", name="Headers").click()
    await write(page, HEADERS, '{"Authorization": "Bearer another-token"}')
    async with page.expect_request(lambda request: "another-token" in str(request.headers)) as posted:
        await page.locator(".graphiql-execute-button").click()
    await (await posted.value).response()
    await open_tab(page, "FollowTimeline")
    await write(page, HEADERS, '{"Authorization": "Bearer another-token"}')
    async with page.expect_websocket() as opened:
        await page.locator(".graphiql-execute-button").click()

    socket = await opened.value
    if not socket.is_closed():
        await socket.wait_for_event("close")

    assert json.loads(seen.sent[0]) == {"type": "connection_init", "payload": {"authorization": "Bearer another-token"}}
    await page.wait_for_function("() => localStorage['graphiql:queries']?.includes('FollowTimeline')")
    assert "another-token" not in await page.evaluate("JSON.stringify(localStorage)")


async def test_tabs_are_as_one_left_them(page: "Page", site: "Site"):
    await open_console(page, site)
    await open_tab(page, "DecideApproval")
    await write(page, QUERY, "query Mine { viewer { name } }")
    await page.get_by_role("tab", name="Mine").wait_for()
    # GraphiQL keeps the tabs half a second after the last key.
    await page.wait_for_function("() => localStorage['graphiql:tabState'].includes('query Mine')")

    await page.reload()
    await query_editor(page).filter(has_text="Mine").wait_for()

    assert await page.get_by_role("tab").all_inner_texts() == [*EXAMPLES[:-1], "Mine"]


async def test_the_policy_is_in_force(page: "Page", site: "Site"):
    await open_console(page, site)

    refused = await page.evaluate(
        """async () => {
            const blocked = [];
            const reported = new Promise((resolve) => {
                document.addEventListener('securitypolicyviolation', (event) => {
                    blocked.push(event.effectiveDirective);
                    if (blocked.length === 4) resolve(blocked.sort());
                });
                setTimeout(() => resolve(blocked.sort()), 5000);
            });
            setTimeout('window.evalRan = true', 0);
            const script = document.createElement('script');
            script.textContent = 'window.inlineRan = true';
            document.body.append(script);
            fetch('http://other.example/').catch(() => {});
            const frame = document.createElement('iframe');
            frame.src = 'http://other.example/';
            document.body.append(frame);
            return [await reported, window.inlineRan, window.evalRan];
        }"""
    )

    assert refused == [["connect-src", "frame-src", "script-src", "script-src-elem"], None, None]


async def test_no_other_page_can_frame_the_console(page: "Page", site: "Site"):
    await open_console(page, site)
    await page.goto("about:blank")
    await page.set_content(f'<iframe src="{site.page}"></iframe>')

    assert [frame.url for frame in page.frames] == ["about:blank", "chrome-error://chromewebdata/"]


async def test_who_is_not_signed_in_reads_how_to(page: "Page", site: "Site", seen: "Seen"):
    response = await page.goto(site.page)

    assert response is not None
    assert response.status == 401
    assert await page.get_by_role("heading").inner_text() == "You are not signed in"
    # The style's hash fits: the browser applied it.
    assert await page.evaluate("getComputedStyle(document.body).maxWidth") == "640px"
    assert seen.foreign(site) == []
    assert not [fault for fault in seen.faults if "401" not in fault]


async def test_a_user_with_a_wrong_token_reads_which_address_is_right(page: "Page", site: "Site"):
    response = await page.goto(f"{site.page}?token=wrong")

    assert response is not None
    assert response.status == 401
    assert "Open the one that “lifeos serve” printed" in await page.inner_text("body")
