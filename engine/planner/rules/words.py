"""What the planner knows of English, beside numbers and times: words that add nothing, and words that add much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final

APOSTROPHES: Final = str.maketrans({"’": "'", "ʼ": "'", "‘": "'"})


def _phrases(*texts: str) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted((tuple(text.split()) for text in texts), key=len, reverse=True))


POLITE: Final = _phrases(
    "please", "thanks", "thank you", "thanks a lot", "for me", "as well", "too", "also", "just", "now",
    "right now", "right away", "asap", "immediately",
)  # fmt: skip
"""Said for courtesy or for emphasis, anywhere; they change nothing of what is to be done."""

OPENINGS: Final = _phrases(
    *(" ".join(words) for words in POLITE),
    "kindly", "hey", "hi", "hello", "ok", "okay", "can you", "could you", "would you", "will you", "i want to",
    "i want you to", "i want", "i need to", "i need you to", "i need", "i would like to", "i would like",
    "i would like you to", "i'd like to", "i'd like you to", "i'd like", "i'd love to", "help me to", "help me",
    "let's", "let us", "make sure to", "go ahead", "first", "firstly", "first of all",
)  # fmt: skip
"""What may stand before the verb without a meaning of its own."""

FILLERS: Final = frozenset({"a", "an", "the", "my", "our", "me", "us"})
"""Small words that may stand between the parts of a clause without a meaning of their own."""

LATER: Final[tuple[tuple[str, ...], ...]] = (
    ("once", "that", "is", "done"),
    ("once", "that's", "done"),
    ("when", "that", "is", "done"),
    ("when", "that's", "done"),
    ("followed", "by"),
    ("after", "that"),
    ("after", "this"),
    ("afterwards",),
    ("afterward",),
    ("thereafter",),
    ("then",),
    ("finally",),
    ("lastly",),
)
"""What follows waits for what was said before."""

SENTENCE_ENDS: Final = frozenset({".", "!", "?", ";", "\n", "…"})
WEAK_MARKS: Final = frozenset({",", ":", "-", "–", "—", "&"})
WEAK_WORDS: Final = frozenset({"and", "plus"})
SILENT_MARKS: Final = frozenset({"(", ")", "•", "*"})
SEPARATORS_IN_LISTS: Final = frozenset({",", "and", "or", "&", "plus"})

NEGATIONS: Final = frozenset(
    {
        "don't", "dont", "not", "never", "no", "cannot", "can't", "cant", "won't", "wont", "shouldn't",
        "mustn't", "doesn't", "nor", "neither", "without", "except", "instead", "stop", "cancel", "undo",
        "skip", "avoid", "unschedule", "withdraw", "revoke", "delete", "remove", "nothing", "none", "nobody",
    }
)  # fmt: skip
"""Words that turn a clause into its opposite, unless a slot knows what to do with them."""

RELATIONS: Final = frozenset(
    {
        "if", "unless", "when", "whenever", "while", "until", "till", "because", "since", "but", "although",
        "though", "except", "instead", "before", "after", "by", "via", "using", "through", "without", "on",
        "onto", "into", "under", "over", "between", "against", "from", "per", "than", "every", "each", "all",
        "any", "or", "either", "at", "in", "only", "unlike", "so", "that", "which", "who", "whose", "where",
        "during", "within", "behind", "above", "below", "across", "inside", "outside", "toward", "towards",
        "yesterday", "ago", "last", "previous", "past", "biweekly", "bi-weekly", "fortnightly", "bimonthly",
        "quarterly",
        "yearly", "annually", "hourly", "alternate", "alternating", "mornings", "afternoons", "evenings", "nights",
        "midnight", "soon", "sometime", "sometimes", "someday", "eventually", "anytime", "later", "earlier", "around",
        "approximately", "roughly", "maybe", "perhaps", "possibly", "probably", "ideally", "preferably", "starting",
        "beginning", "ending", "everything", "everybody", "everyone", "otherwise", "else", "more", "another", "other",
    }
) | NEGATIONS  # fmt: skip
"""Words that say more than a topic does: a free text ends before them, and they are never swallowed by one."""

JOINS: Final = frozenset({"with", "about", "for", "to", "of", "re", "regarding"})
"""Prepositions that a topic can go on with, where the wording lets it."""

IMPERATIVES: Final = frozenset(
    {
        "send", "email", "launch", "buy", "delete", "remove", "cancel", "write", "hire", "fire", "tweet",
        "remind", "transfer", "invest", "sell", "invite", "ask", "tell", "give", "make", "take", "bring",
        "fetch", "download", "upload", "install", "translate", "summarize", "summarise", "reply", "subscribe",
        "unsubscribe", "donate", "create", "hack", "destroy", "kill", "explode", "don't", "do", "never",
        "submit", "rent", "pay", "stop", "turn", "feed", "ignore", "forget", "skip", "wire", "publish",
        "deploy", "fix", "find", "search", "apply", "schedule", "tailor", "plan",
    }
)  # fmt: skip
"""Words that begin a request of its own when they follow a comma or an “and”, whatever tools there are."""

DETERMINERS: Final = frozenset(
    {"a", "an", "the", "my", "our", "your", "his", "her", "their", "this", "that", "these", "those", "him", "them",
     "it", "me", "us", "everyone", "everybody", "everything", "up", "off", "out"}
)  # fmt: skip
"""After a first word they give away a verb: “launch the …”, “call my …”."""

USUAL_TIMES: Final = {
    "breakfast": 8 * 60, "brunch": 11 * 60, "lunch": 12 * 60 + 30, "dinner": 19 * 60, "supper": 19 * 60,
    "drinks": 20 * 60, "party": 20 * 60, "concert": 20 * 60, "movie": 20 * 60, "cinema": 20 * 60, "theatre": 20 * 60,
    "theater": 20 * 60, "opera": 20 * 60, "wake": 7 * 60,
}  # fmt: skip
"""The minutes of the day at which things usually begin, for when nobody says, or says only “at 8”."""

WHOLE_DAYS: Final = _phrases(
    "vacation", "vacations", "holiday", "holidays", "leave", "annual leave", "parental leave", "pto", "time off",
    "day off", "days off", "week off", "out of office", "ooo", "honeymoon", "sabbatical",
)  # fmt: skip
"""Titles of what takes whole days, unless a time is said."""

_SPANNING: Final = frozenset(
    {
        "trip", "trips", "travel", "travels", "travelling", "traveling", "journey", "tour", "cruise", "camping", "camp",
        "festival", "skiing", "conference", "convention", "congress", "expo", "fair", "retreat", "offsite", "getaway",
        "backpacking", "sailing", "safari", "staycation", "vacation", "vacations", "holiday", "holidays", "leave",
        "honeymoon", "sabbatical", "pilgrimage", "expedition", "hackathon", "festivities",
    }
)  # fmt: skip
"""What goes on day and night, from its first day to its last."""


def takes_whole_days(title: Sequence[str], *, has_span: bool) -> bool:
    """Whether a thing of this title takes whole days, unless a time is said.

    `has_span`: from which day to which was said. Then what the title is about counts, the word before the first
    preposition: “trip” in “business trip to Rome”, but not in “packing for the trip”.
    """
    if tuple(title) in WHOLE_DAYS:
        return True
    about = list(takewhile(lambda word: word not in JOINS, title))
    return has_span and bool(about) and about[-1] in _SPANNING


def usual_time(words: Iterable[str]) -> int | None:
    """The minutes of the day at which a thing of such words usually begins, if one of them tells."""
    return next((USUAL_TIMES[word] for word in words if word in USUAL_TIMES), None)
