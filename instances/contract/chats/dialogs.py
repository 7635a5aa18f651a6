"""`dialogs` and `dialog`: the list of chats, and one of them (contract.md, section 2)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import F

from instances.contract.arguments import Argument, Destination, number, once
from instances.contract.errors import WireError
from instances.contract.registry import method
from instances.models import Chat, Instance, Participant
from instances.payloads import chat_dict

CAP = 10_000  # chats in one answer; *ours*: the client goes on by `page`


def order_of(value: Any) -> bool:
    """Is the oldest one to be first? Raises ValueError with what it takes."""
    word = once(value)
    if word in (None, ""):
        return False
    if isinstance(word, str) and word.strip().lower() in ("asc", "desc"):
        return word.strip().lower() == "asc"
    raise ValueError("asc or desc")


@method(
    "dialogs",
    "GET",
    arguments=(
        number("limit", f"how many at most; 0: all, but at most {CAP}", default=0),
        number("page", "the page, from 0; each has `limit` chats", default=0),
        Argument(
            "order",
            order_of,
            "desc, the newest first, or asc, all the other way round",
            {"type": "string", "enum": ["desc", "asc"]},
            default=False,
            keyword="oldest_first",
        ),
    ),
)
def dialogs(instance: Instance, *, limit: int, page: int, oldest_first: bool) -> dict[str, Any]:
    """The chats: pinned ones first, archived ones last, else by the time of their last message (*ours*).

    Removed ones are not there until their next message. Two queries, and one index that is read either way.
    """
    size = min(limit, CAP) or CAP
    order = (
        F("archived").asc(),
        F("pinned_at").desc(nulls_last=True),
        F("last_time").desc(),
        F("id").desc(),
    )
    found = Chat.objects.filter(instance=instance, removed_at=None).order_by(*order)
    if oldest_first:
        found = found.reverse()
    chats = list(found[page * size : (page + 1) * size])
    people = people_of(chat.pk for chat in chats if chat.is_group)
    return {"dialogs": [chat_dict(chat, people[chat.pk]) for chat in chats]}


def people_of(groups: Iterable[int]) -> defaultdict[int, list[tuple[str, bool]]]:
    """By the key of each group, its members as payloads.members_of gives them. One query; none for no groups."""
    people: defaultdict[int, list[tuple[str, bool]]] = defaultdict(list)
    keys = list(groups)
    if keys:
        rows = Participant.objects.filter(chat__in=keys).order_by("id")
        for chat, member, is_admin in rows.values_list("chat_id", "member", "is_admin").iterator():
            people[chat].append((member, is_admin))
    return people


@method("dialog", "GET", arguments=(Destination(),))
def dialog(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """One chat."""
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id, removed_at=None).first()
    if chat is None:
        raise WireError(404, f"The chat {chat_id} was not found.")
    return chat_dict(chat)
