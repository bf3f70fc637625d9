"""What happens outside is refused by name, and never written down as if it were done."""

from __future__ import annotations

import pytest

from engine.planner import PlanningContext, Unplannable, plan
from engine.tools import Registry, ToolContext, load_registry, tool
from tests.unit.sentences import NOW

TOOLS = load_registry()
CONTEXT = PlanningContext(NOW)

OUTSIDE = [
    # verbs
    ("book a hotel in Tampa from may 2 to may 4", "book anything", "hotel in Tampa"),
    ("book me a taxi tomorrow morning", "book anything", "taxi"),
    ("Please book a flight from Berlin to Rome on December 3rd", "book anything", "flight from Berlin to Rome"),
    ("book the meeting room tomorrow at 9am", "book anything", "meeting room"),
    ("book dentist on Friday at 9am", "book anything", "dentist"),
    ("book club on Friday at 7pm", "book anything", "book club"),
    ("reserve a table for two at 7pm", "reserve anything", "table for two"),
    ("reserve Friday at 8pm for two", "reserve anything", "two"),
    ("make a dinner reservation for Friday at 7pm", "reserve anything", "make a dinner reservation"),
    ("order sushi for tonight's dinner", "order anything", "order sushi for tonight's dinner"),
    ("buy milk and eggs", "buy anything", "buy milk and eggs"),
    ("pay 175 dollars on my visa", "pay anything", "pay 175 dollars on my visa"),
    ("transfer 300 euros to my savings on Friday", "move money", "transfer 300 euros to my savings"),
    ("wire $500 to Ann tomorrow at 9am", "move money", "wire $500 to Ann"),
    ("hire a plumber tomorrow at 9am", "hire anybody", "hire a plumber"),
    ("call a cab", "call a car", "call a cab"),
    ("get me an uber to work", "call a car", "get me an uber to work"),
    ("find me a cheap flight to Rome", "book a journey", "find me a cheap flight to Rome"),
    ("set an alarm for six", "set an alarm", "set an alarm for six"),
    ("wake me up tomorrow at 7am", "set an alarm", "wake me up"),
    ("put a timer on for 45 minutes", "set a timer", "timer"),
    ("text Anna tomorrow at 9am", "send messages", "text Anna"),
    ("invite Bill to the meeting on Friday", "invite anybody", "invite Bill to the meeting"),
    ("turn on the lights at 7am", "switch anything", "turn on the lights"),
    # things, with a verb that would do for an entry
    ("schedule wire transfer of $5000 to landlord", "move money", "wire transfer of $5000 to landlord"),
    ("set up a recurring transfer of $200 on the 1st", "move money", "recurring transfer of $200"),
    ("set up an alarm at 1pm", "set an alarm", "alarm"),
    ("schedule an uber to pick me up at home in an hour", "call a car", "uber to pick me up at home"),
    ("arrange a ride to the airport tomorrow at 5am", "call a car", "ride to the airport"),
    ("schedule a table for two at Luigi's on Friday", "reserve anything", "table for two at Luigi's"),
    ("plan my flight to Rome on Friday", "book a journey", "flight to Rome"),
    ("pencil in a hotel on Friday", "book a room", "hotel"),
    ("schedule pizza delivery tomorrow at 7pm", "have anything delivered", "pizza delivery"),
    ("schedule rent payment on the 1st", "pay anything", "rent payment"),
    ("schedule paying the rent on the 1st", "pay anything", "paying the rent"),
    ("schedule an email to Bob tomorrow at 9am", "send messages", "email to Bob"),
    ("organise a limo for Friday", "call a car", "limo"),
    # forms of the verbs, and nouns made of them
    ("schedule texting Bob tomorrow at 3pm", "send messages", "texting Bob"),
    ("schedule calling Bob tomorrow at 3pm", "call anybody", "calling Bob"),
    ("schedule call Bob tomorrow at 3pm", "call anybody", "call Bob"),
    ("schedule ping Bob tomorrow at 3pm", "send messages", "ping Bob"),
    ("schedule replying to Bob tomorrow at 3pm", "send messages", "replying to Bob"),
    ("schedule forward the invoice to Bob tomorrow at 3pm", "send anything", "forward the invoice to Bob"),
    ("schedule forwarding the invoice to Bob tomorrow at 3pm", "send anything", "forwarding the invoice to Bob"),
    ("schedule inviting Bob tomorrow at 3pm", "invite anybody", "inviting Bob"),
    ("schedule sending the report to Anna tomorrow at 3pm", "send anything", "sending the report to Anna"),
    ("schedule sell my stock tomorrow at 3pm", "sell anything", "sell my stock"),
    ("schedule selling shares tomorrow at 3pm", "sell anything", "selling shares"),
    ("schedule depositing 50 euros tomorrow at 3pm", "move money", "depositing 50 euros"),
    ("schedule topping up my phone tomorrow at 3pm", "pay anything", "topping up my phone"),
    ("schedule post my photo tomorrow at 3pm", "post anything", "post my photo"),
    ("schedule shipping the parcel tomorrow at 3pm", "have anything delivered", "shipping the parcel"),
    ("schedule upload the file tomorrow at 3pm", "move files", "upload the file"),
    ("schedule printing the report tomorrow at 3pm", "print anything", "printing the report"),
    ("schedule unlocking the door tomorrow at 3pm", "switch anything", "unlocking the door"),
    ("schedule lights off tomorrow at 3pm", "switch anything", "lights off"),
    ("schedule restart of the server tomorrow at 3pm", "control servers", "restart of the server"),
    ("schedule deployment of the app tomorrow at 3pm", "control servers", "deployment of the app"),
    ("schedule submitting my taxes tomorrow at 3pm", "submit anything", "submitting my taxes"),
    ("schedule subscription cancellation tomorrow at 3pm", "cancel anything", "subscription cancellation"),
    ("schedule cancelling my gym contract tomorrow at 3pm", "cancel anything", "cancelling my gym contract"),
    ("schedule renewal of my subscription tomorrow at 3pm", "renew anything", "renewal of my subscription"),
    ("schedule reminding Bob tomorrow at 3pm", "remind anybody", "reminding Bob"),
    ("schedule disabling the thermostat tomorrow at 3pm", "switch anything", "disabling the thermostat"),
    ("schedule quick texting of Bob tomorrow at 3pm", "send messages", "quick texting of Bob"),
    ("schedule apply to 3 jobs tomorrow at 3pm", "apply to anything at a set time", "apply to 3 jobs"),
    ("schedule reminder for gym tomorrow at 3pm", "remind anybody", "reminder for gym"),
]


@pytest.mark.parametrize(("intent", "deed", "title"), OUTSIDE, ids=[intent for intent, _, _ in OUTSIDE])
async def test_a_deed_outside_is_refused_by_name_with_a_sentence_that_enters_it(intent, deed, title):
    with pytest.raises(Unplannable) as refused:
        await plan(intent, TOOLS, CONTEXT)

    told = str(refused.value)
    assert refused.value.parts == (intent,)
    assert f"I can't {deed}; I can put it into your calendar if you say" in told
    assert "Try for example" not in told
    instead = told[told.index("add “") :].removesuffix(".")
    (step,) = (await plan(instead, TOOLS, CONTEXT)).steps
    assert step.tool == "calendar_create"
    assert step.args["title"] == title


@pytest.mark.parametrize(
    ("intent", "title"),
    [
        ("book a meeting with Ann tomorrow at 9am", "meeting with Ann"),
        ("book an appointment with the dentist on Friday", "appointment with the dentist"),
        ("reserve 2 hours for writing tomorrow at 9am", "writing"),
        ("reserve Friday afternoon for gym", "gym"),
        ("block 2 hours for writing tomorrow at 9am", "writing"),
        ("block time for writing tomorrow at 9am", "writing"),
        ("schedule book club on Friday", "book club"),
        ("schedule dentist on Friday", "dentist"),
        ("schedule rent on the 1st at 9am", "rent"),
        ("schedule a call to mom at 8pm", "call to mom"),
        ("schedule fire alarm test on Friday", "fire alarm test"),
        ("schedule bike ride on Sunday", "bike ride"),
        ("schedule email review tomorrow", "email review"),
        ("schedule knowledge transfer on Friday", "knowledge transfer"),
        ("schedule payment review on Friday", "payment review"),
        ("schedule taxi driver interview on Friday", "taxi driver interview"),
        ("schedule hotel check-in on Friday at 3pm", "hotel check-in"),
        ("schedule a trip to Rome on Friday", "trip to Rome"),
        # one's own time
        ("schedule new order system tomorrow at 3pm", "new order system"),
        ("schedule payments and billing review tomorrow at 3pm", "payments and billing review"),
        ("schedule reading a book tomorrow at 3pm", "reading a book"),
        ("schedule meeting Bob tomorrow at 3pm", "meeting Bob"),
        ("schedule training with Bob tomorrow at 3pm", "training with Bob"),
        ("schedule cleaning the kitchen tomorrow at 3pm", "cleaning the kitchen"),
        ("schedule shopping with mom tomorrow at 3pm", "shopping with mom"),
        ("schedule playing chess with Ann tomorrow at 3pm", "playing chess with Ann"),
        ("schedule moving day tomorrow at 3pm", "moving day"),
        ("schedule ping pong with Bob tomorrow at 3pm", "ping pong with Bob"),
        ("schedule post workout stretch tomorrow at 3pm", "post workout stretch"),
        ("schedule trading class tomorrow at 3pm", "trading class"),
        ("schedule updating my website tomorrow at 3pm", "updating my website"),
        ("schedule share price review tomorrow at 3pm", "share price review"),
        ("schedule lunch with the invited speaker tomorrow at 3pm", "lunch with the invited speaker"),
        ("schedule meeting with the alert team tomorrow at 3pm", "meeting with the alert team"),
        # who says that an entry is meant gets one
        ("put my flight to Rome on my calendar on Friday at 7am", "flight to Rome"),
        ("add “hotel in Tampa” to my calendar on Friday", "hotel in Tampa"),
        ("schedule “Uber to airport” on Friday at 9am", "Uber to airport"),
        ("create an event for the hotel booking on Friday", "the hotel booking"),
    ],
)
async def test_what_only_sounds_like_one_stays_an_entry(intent, title):
    (step,) = (await plan(intent, TOOLS, CONTEXT)).steps

    assert (step.tool, step.args["title"]) == ("calendar_create", title)


@pytest.mark.parametrize(
    ("intent", "part"),
    [
        ("schedule meeting tomorrow at 3pm with a reminder", "with a reminder"),
        ("schedule meeting with Bob with alert tomorrow at 3pm", "with alert"),
        ("schedule lunch tomorrow at 1pm with snacks ordered", "with snacks ordered"),
        ("schedule video call with Bob with Zoom link tomorrow at 3pm", "with Zoom link"),
        ("add gym to my calendar tomorrow at 7pm with a notification", "with a notification"),
    ],
)
async def test_what_an_entry_is_wished_with_is_refused_by_name(intent, part):
    with pytest.raises(Unplannable, match="say it without that") as refused:
        await plan(intent, TOOLS, CONTEXT)

    assert refused.value.parts == (part,)


async def test_a_deed_after_an_and_is_no_part_of_the_entry_before_it():
    for intent, part in [
        ("schedule gym on Monday and order pizza on Tuesday", "order pizza on Tuesday"),
        ("schedule lunch with Ann tomorrow and book a hotel for Friday", "book a hotel for Friday"),
    ]:
        with pytest.raises(Unplannable) as refused:
            await plan(intent, TOOLS, CONTEXT)
        assert refused.value.parts == (part,)
    with pytest.raises(Unplannable):
        await plan("schedule gym and texting Bob tomorrow at 3pm", TOOLS, CONTEXT)
    assert len((await plan("schedule gym on Monday and call with Ann on Tuesday", TOOLS, CONTEXT)).steps) == 2


async def test_a_deed_that_a_tool_of_ones_own_does_is_done():
    @tool(phrases=["book a table at {place}", "order {item}"])
    def restaurant(ctx: ToolContext, place: str = "", item: str = "") -> None: ...

    own = Registry([*TOOLS, *Registry.of(restaurant)])

    for intent, args in [("book a table at Luigi's", {"place": "Luigi's"}), ("order sushi", {"item": "sushi"})]:
        (step,) = (await plan(intent, own, CONTEXT)).steps
        assert (step.tool, step.args) == ("restaurant", args)


async def test_without_a_calendar_nothing_is_offered_instead():
    without = Registry(tool for tool in TOOLS if tool.name != "calendar_create")

    with pytest.raises(Unplannable, match=r"I can't book anything\. Try for example: “plan"):
        await plan("book a hotel on Friday and plan groceries", without, CONTEXT)
