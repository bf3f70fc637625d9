"""Words of deeds that happen outside, where nothing here reaches: to book, to pay, to order, to ring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.planner.rules.slots import split_words

Words = tuple[str, ...]


def _deeds(**texts: str) -> Mapping[Words, str]:
    """Phrases, with commas between them, by the deed that they ask for; `_` in a deed stands for a blank."""
    return {split_words(text): deed.replace("_", " ") for deed, all_of in texts.items() for text in all_of.split(", ")}


VERBS: Final = _deeds(
    book_anything="book, make booking, make bookings",
    reserve_anything="reserve, rsvp, make reservation, make reservations, get table, grab table, hold table",
    order_anything="order, place order, put in order, reorder",
    buy_anything="buy, purchase, get tickets, get ticket",
    pay_anything="pay, pay off, make payment, tip, settle bill, top up",
    move_money="transfer, wire, remit, deposit, make transfer, move money, send money",
    donate_anything="donate",
    invest_anything="invest, trade, bet, place bet",
    sell_anything="sell",
    rent_anything="rent, lease",
    hire_anybody="hire, fire",
    call_a_car="hail, call taxi, call cab, call uber, call lyft, call car",
    call_anybody="call, phone, dial, ring up",
    send_anything="send, forward",
    send_messages="text, message, email, e-mail, mail, dm, whatsapp, reply, ping, notify",
    post_anything="tweet, post, publish, share",
    invite_anybody="invite",
    subscribe_anybody="subscribe, sign up, sign me up, sign us up, register, register me, enroll, enrol",
    check_anybody_in="check in for, check me in, check us in",
    request_anything_of_others="request, file request",
    set_an_alarm="set alarm, set alarms, set up alarm, set up alarms, put alarm, put alarm on, wake, wake up",
    set_a_timer="set timer, set timers, set up timer, start timer, start stopwatch, put timer, put timer on",
    have_anything_delivered="deliver, ship",
    switch_anything="turn on, turn off, turn up, turn down, switch on, switch off, dim, lock, unlock, put on, "
    "activate, deactivate, enable, disable",
    play_anything="play",
    renew_anything="renew",
    submit_anything="submit",
    move_files="upload, download",
    print_anything="print",
    control_servers="restart, reboot, deploy",
)
"""Verbs that ask for a deed; small words like articles may stand inside them."""

CHANGES: Final = _deeds(
    cancel_anything="cancel, call off, drop, clear",
    remove_anything="delete, remove, erase, unschedule",
    undo_anything="undo, revoke, withdraw, revert",
    stop_anything="stop, unsubscribe",
    change_what_is_there_already="reschedule, move, postpone, push back, push, shift, change, update, edit, rename, "
    "modify",
)
"""Verbs that ask to change or to take back what is there already."""

THINGS: Final = _deeds(
    call_a_car="uber, ubers, lyft, taxi, taxis, cab, cabs, minicab, limo, limousine, rideshare, uber ride, lyft ride, "
    "taxi ride, cab ride, uber pickup, lyft pickup, taxi pickup, airport transfer, airport pickup, "
    "airport shuttle, transport, transportation",
    book_a_journey="flight, flights, plane ticket, plane tickets, train ticket, train tickets, bus ticket, "
    "bus tickets, rental car, car rental, hire car, cruise",
    book_tickets="ticket, tickets, seats",
    book_a_room="hotel, hotels, motel, hostel, airbnb, hotel room, hotel stay, lodging, accommodation, guesthouse",
    reserve_anything="reservation, reservations, booking, bookings, tee time",
    order_anything="order, takeaway, takeout, take-out",
    have_anything_delivered="delivery, deliveries, package pickup, parcel pickup",
    buy_anything="purchase, purchases",
    pay_anything="payment, payments, direct debit, standing order, donation, refund, autopay",
    move_money="wire, wire transfer, wire transfers, bank transfer, bank transfers, money transfer, cash transfer, "
    "balance transfer, fund transfer, funds transfer, credit transfer, cash withdrawal",
    set_an_alarm="alarm, alarms, alarm clock, wake-up call, wakeup call, wake up call",
    set_a_timer="timer, timers, stopwatch, countdown",
    send_messages="email, emails, e-mail, e-mails, text, texts, text message, text messages, message, messages, sms, "
    "dm, fax, notification, notifications",
    post_anything="tweet, tweets, social post, blog post, instagram post, facebook post, linkedin post",
    remind_anybody="reminder, reminders, alert, alerts",
    switch_anything="lights, thermostat, heating, dishwasher, roomba, sprinkler, sprinklers, air conditioning, "
    "coffee machine, coffee maker, washing machine",
    block_anything="credit card, debit card",
)
"""What is asked for itself where it stands before the first preposition of a title: “an uber to the airport”."""

BARE_THINGS: Final = _deeds(
    call_a_car="ride, car, pickup, pick-up",
    reserve_anything="table",
    move_money="transfer, transfers, deposit, withdrawal",
    post_anything="post",
)
"""The same, where no word before them tells which: “a ride to the airport”, but “bike ride”."""

TELL_NOTHING: Final = frozenset(
    {
        "recurring", "automatic", "auto", "regular", "new", "another", "quick", "big", "small", "cheap", "nice",
        "monthly", "weekly", "daily", "yearly", "annual", "online", "one-time", "next", "last-minute", "early", "late",
    }
)  # fmt: skip
"""Words before a thing that do not tell which it is."""

GET_VERBS: Final = frozenset(
    {
        "make", "get", "find", "place", "put", "need", "want", "grab", "give", "bring", "call", "create", "do", "set",
        "start", "add", "arrange",
    }
)  # fmt: skip
"""Verbs by which people ask for a thing, where only the thing says what is to be done: “make a dinner reservation”."""

NOUN_LIKE: Final = frozenset(
    {
        "call", "phone", "dial", "text", "message", "email", "e-mail", "mail", "dm", "whatsapp", "reply", "ping",
        "post", "share", "trade", "bet", "tip", "ship", "lock", "lease", "fire", "request", "register", "deposit",
        "print", "restart", "reboot", "upload", "download", "dim", "invite", "place", "get", "cancel",
    }
)  # fmt: skip
"""Verbs that are nouns as well: a title that begins with one asks for the deed only where an object follows it."""

OWN_TIME: Final = frozenset({"play anything", "set an alarm", "set a timer", "check anybody in"})
"""Deeds whose verbs also say how people spend their own time: “playing chess”, “waking up early”."""

MORE_TITLE_VERBS: Final = _deeds(
    apply_to_anything_at_a_set_time="apply, applying",
    tailor_anything_at_a_set_time="tailor, tailoring",
    search_for_anything_at_a_set_time="find, search",
    remind_anybody="remind, reminding",
)
"""More verbs that a title may begin with: most are of what is done here, but at once, never at a time that is said."""

TITLE_CHANGES: Final = frozenset({"cancel", "delete", "unsubscribe", "reschedule", "postpone", "revoke", "withdraw"})
"""Changes that nobody spends their own time with, unlike “updating my website”, “moving house”."""

WISHES: Final = _deeds(
    remind_anybody="reminder, reminders, alert, alerts, notification, notifications, alarm, alarms",
    make_links="link, links, zoom, meet link",
    invite_anybody="invite, invites, invitation, invitations",
)
"""What an entry is wished “with” and does not have."""

OWN: Final = frozenset(
    {
        "appointment", "appointments", "meeting", "meetings", "call", "calls", "sync", "standup", "stand-up", "1:1",
        "1-1", "one-on-one", "session", "sessions", "review", "time", "slot", "event", "interview", "catchup",
        "catch-up",
    }
)  # fmt: skip
"""What people “book” in their own calendar."""

EVENTS: Final = OWN | frozenset(
    {
        "talk", "training", "workshop", "planning", "discussion", "day", "night", "party", "club", "lesson", "class",
        "retrospective", "prep", "rehearsal", "practice", "test", "drill", "demo", "fair", "launch", "signing",
        "report", "reading", "group", "swap", "sale", "festival", "conference", "course", "webinar", "exam",
    }
)  # fmt: skip
"""What happens to people: after a verb of deeds it makes a name of it (“pay review”, “book club”)."""

BOOK_NAMES: Final = EVENTS - OWN | {"review"}
"""What makes a name of “book” even where a verb would stand."""

SAY_ENTRY: Final = frozenset({"event", "appointment", "calendar", "entry"})
"""In a verb, they say that an entry is all that is asked for: “create an event for”."""
