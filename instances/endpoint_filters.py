"""The filters of an endpoint in plain English: one function for the pages, the REST description and the admin."""

from __future__ import annotations

from collections.abc import Sequence

from hooks.filters import Filters
from hooks.models import Endpoint
from instances.models import MessageType

FAMILIES = {
    "message": "messages",
    "ack": "acks",
    "status": "status changes",
    "chat": "chat changes",
}
DIRECTIONS = {"in": "incoming", "out": "outgoing"}
CHAT_KINDS = {"direct": "direct chats", "group": "groups"}
# Before the number of chats: "from 2 chats", "to 2 chats", "in 2 chats".
PREPOSITIONS = {"in": "from", "out": "to", "": "in"}
TYPES_NAMED_MAX = 3  # more message types are counted instead


def describe_filters(filters: Endpoint | Filters) -> str:
    """Returns the filters as one phrase without a full stop: "Messages and acks, incoming only, from 2 chats".

    "All events" if no filter is set.
    """
    families = [words for family, words in FAMILIES.items() if family in filters.families]
    parts = [join_words(families) if families else "all events"]
    if filters.direction:
        parts.append(f"{DIRECTIONS[filters.direction]} only")
    types = [kind.label.lower() for kind in MessageType if kind in filters.message_types]
    if len(types) > TYPES_NAMED_MAX:
        parts.append(f"{len(types)} message types")
    elif types:
        parts.append(f"{'types' if len(types) > 1 else 'type'} {join_words(types)}")
    if filters.chat_kinds:
        parts.append(f"{CHAT_KINDS[filters.chat_kinds]} only")
    if number := len(filters.chat_ids):
        parts.append(f"{PREPOSITIONS[filters.direction]} {number} {'chats' if number > 1 else 'chat'}")
    phrase = ", ".join(parts)
    return phrase[0].upper() + phrase[1:]


def join_words(words: Sequence[str]) -> str:
    """Returns "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
