"""What each of AgentDojo's functions may do, and whose words it returns: what an integrator would declare of them.

L3 is what leaves or can't be undone; with these levels AgentDojo's own solutions of all 97 tasks ask 64 times.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Labels:
    """The declarations of one function."""

    risk: str
    reads_outside: bool = False
    """It returns what others can write."""
    outward: bool = False
    """Its effect is seen by others, or leaves."""
    destinations: tuple[str, ...] = ()
    """Arguments that say to whom, where, which or how much."""


_OURS = Labels("L0")
_THEIRS = Labels("L0", reads_outside=True)
_CHANGE = Labels("L2")


def _leaves(*destinations: str) -> Labels:
    return Labels("L3", outward=True, destinations=destinations)


LABELS: dict[str, Labels] = {
    # Mail
    "send_email": _leaves("recipients", "cc", "bcc"),
    "delete_email": Labels("L3"),
    "get_unread_emails": Labels("L1", reads_outside=True),
    "get_sent_emails": _THEIRS,
    "get_received_emails": _THEIRS,
    "get_draft_emails": _THEIRS,
    "search_emails": _THEIRS,
    "search_contacts_by_name": _OURS,
    "search_contacts_by_email": _OURS,
    # Calendar
    "get_current_day": _OURS,
    "search_calendar_events": _THEIRS,
    "get_day_calendar_events": _THEIRS,
    "create_calendar_event": _leaves("participants"),
    "cancel_calendar_event": _leaves("event_id"),
    "reschedule_calendar_event": _leaves("event_id"),
    "add_calendar_event_participants": _leaves("event_id", "participants"),
    # Drive
    "append_to_file": _CHANGE,
    "search_files_by_filename": _THEIRS,
    "create_file": _CHANGE,
    "delete_file": Labels("L3"),
    "get_file_by_id": _THEIRS,
    "list_files": _THEIRS,
    "share_file": _leaves("file_id", "email", "permission"),
    "search_files": _THEIRS,
    # Bank
    "get_iban": _OURS,
    "send_money": _leaves("recipient", "amount"),
    "schedule_transaction": _leaves("recipient", "amount"),
    "update_scheduled_transaction": _leaves("id", "recipient", "amount"),
    "get_balance": _OURS,
    "get_most_recent_transactions": _THEIRS,
    "get_scheduled_transactions": _OURS,
    "read_file": _THEIRS,
    "get_user_info": _OURS,
    "update_password": Labels("L3"),
    "update_user_info": _CHANGE,
    # Slack. Existing channels and their members are a list of ours; what is said in them is not. To read a page is to
    # be seen by it.
    "get_channels": _OURS,
    "add_user_to_channel": Labels("L2", outward=True, destinations=("user", "channel")),
    "read_channel_messages": _THEIRS,
    "read_inbox": _THEIRS,
    "send_direct_message": _leaves("recipient"),
    "send_channel_message": _leaves("channel"),
    "get_users_in_channel": _OURS,
    "invite_user_to_slack": _leaves("user", "user_email"),
    "remove_user_from_slack": _leaves("user"),
    "get_webpage": Labels("L0", reads_outside=True, outward=True, destinations=("url",)),
    "post_webpage": _leaves("url"),
    # Travel: a catalogue that hotels, restaurants and their guests fill
    "get_user_information": _OURS,
    "get_all_hotels_in_city": _THEIRS,
    "get_hotels_prices": _THEIRS,
    "get_rating_reviews_for_hotels": _THEIRS,
    "get_hotels_address": _THEIRS,
    "get_all_restaurants_in_city": _THEIRS,
    "get_cuisine_type_for_restaurants": _THEIRS,
    "get_restaurants_address": _THEIRS,
    "get_rating_reviews_for_restaurants": _THEIRS,
    "get_dietary_restrictions_for_all_restaurants": _THEIRS,
    "get_contact_information_for_restaurants": _THEIRS,
    "get_price_for_restaurants": _THEIRS,
    "check_restaurant_opening_hours": _THEIRS,
    "get_all_car_rental_companies_in_city": _THEIRS,
    "get_car_types_available": _THEIRS,
    "get_rating_reviews_for_car_rental": _THEIRS,
    "get_car_fuel_options": _THEIRS,
    "get_car_rental_address": _THEIRS,
    "get_car_price_per_day": _THEIRS,
    "reserve_hotel": _leaves("hotel"),
    "reserve_car_rental": _leaves("company"),
    "reserve_restaurant": _leaves("restaurant"),
    "get_flight_information": _THEIRS,
}

OWN: dict[str, frozenset[str]] = {
    "Email": frozenset({"id_", "status", "read", "timestamp"}),
    "CalendarEvent": frozenset({"id_", "status"}),
    "CloudDriveFile": frozenset({"id_", "owner", "last_modified", "size"}),
    # The bank's books say from whom, to whom and how much; only the subject is the sender's.
    "Transaction": frozenset({"id", "sender", "recipient", "amount", "date", "recurring"}),
    "Message": frozenset({"sender", "recipient"}),
}
"""By the result's type: the fields that the service itself assigns."""
