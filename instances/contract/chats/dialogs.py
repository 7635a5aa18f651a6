"""`dialogs` and `dialog`: the list of chats, and one of them (contract.md §2)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import F

from instances import chat_ids
from instances.actions.chats.chats import Denied, find_chat
from instances.contract.arguments import Argument, Destination, number, single_value
from instances.contract.errors import WireError
from instances.contract.registry import method
from instances.models import Chat, Instance, Participant
from instances.payloads import chat_dict

MAX_CHATS = 10_000  # in one response (*ours*); the client continues with `page`


def is_oldest_first(value: Any) -> bool:
    """Whether `order` is asc. Raises ValueError with what it must be."""
    word = single_value(value)
    if word in (None, ""):
        return False
    if isinstance(word, str) and word.strip().lower() in ("asc", "desc"):
        return word.strip().lower() == "asc"
    raise ValueError("`asc` or `desc`")


@method(
    "dialogs",
    "GET",
    arguments=(
        number("limit", f"how many chats to return; 0: all, up to {MAX_CHATS}", default=0),
        number("page", "the page, from 0, of `limit` chats", default=0),
        Argument(
            "order",
            is_oldest_first,
            "`desc`, the newest first, or `asc`, the exact reverse",
            {"type": "string", "enum": ["desc", "asc"]},
            default=False,
            keyword="oldest_first",
        ),
    ),
)
def dialogs(instance: Instance, *, limit: int, page: int, oldest_first: bool) -> dict[str, Any]:
    """Lists the chats: pinned ones first, archived ones last, the others by the time of their last message (*ours*).

    Removed chats are left out until their next message. Four queries; both orders use one index.
    """
    size = min(limit, MAX_CHATS) or MAX_CHATS
    of_instance = Chat.objects.listed().filter(instance=instance)
    found = of_instance.in_order(F("archived").asc(), F("pinned_at").desc(nulls_last=True))
    if oldest_first:
        found = found.reverse()
    return {"dialogs": dialog_dicts(instance, list(found[page * size : (page + 1) * size]))}


def dialog_dicts(instance: Instance, chats: Sequence[Chat]) -> list[dict[str, Any]]:
    """The chats as chat_dict, with `labels` (their ids) and `participantsInfo` (ids and names) in the metadata.

    Hooks do not have these two. One query for the labels; with groups one for the members and one for their names.
    """
    members, given_names = members_by_group(chat.pk for chat in chats if chat.is_group)
    labels = labels_by_chat(chat.pk for chat in chats)
    people = {member for group in members.values() for member, _ in group}
    names = given_names | {one: name for one, name in names_of(instance, people).items() if name}
    found = []
    for chat in chats:
        data: dict[str, Any] = {**chat_dict(chat, members[chat.pk])}
        data["metadata"] = data["metadata"] | {
            "labels": labels[chat.pk],
            "participantsInfo": [
                {"id": member, "name": names.get(member) or chat_ids.bare_id(member)}
                for member, _ in members[chat.pk]
            ],
        }
        found.append(data)
    return found


def members_by_group(
    groups: Iterable[int],
) -> tuple[defaultdict[int, list[tuple[str, bool]]], dict[str, str]]:
    """The members of each group by its key, as payloads.members_of returns them, and the names that people have there.

    One query; none without groups. Who is in several groups has the name of the one that they have joined last.
    """
    members: defaultdict[int, list[tuple[str, bool]]] = defaultdict(list)
    names: dict[str, str] = {}
    keys = list(groups)
    if keys:
        rows = Participant.objects.filter(chat__in=keys).order_by("id")
        for chat, member, is_admin, name in rows.values_list(
            "chat_id", "member", "is_admin", "name"
        ).iterator():
            members[chat].append((member, is_admin))
            if name:
                names[member] = name
    return members, names


def labels_by_chat(chats: Iterable[int]) -> defaultdict[int, list[str]]:
    """The ids of each chat's labels by its key, oldest label first. One query; none without chats."""
    labels: defaultdict[int, list[str]] = defaultdict(list)
    keys = list(chats)
    if keys:
        rows = Chat.labels.through.objects.filter(chat__in=keys).order_by("label_id")
        for chat, label in rows.values_list("chat_id", "label_id"):
            labels[chat].append(str(label))
    return labels


def names_of(instance: Instance, people: Collection[str]) -> dict[str, str]:
    """The names of these chat ids in the address book, and the account's own. One query; none without people."""
    if not people:
        return {}
    rows = Chat.objects.filter(instance=instance, chat_id__in=people)
    own = instance.profile_name or str(instance)
    return {**dict(rows.values_list("chat_id", "name")), instance.own_chat_id: own}


@method("dialog", "GET", arguments=(Destination(),))
def dialog(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Returns one chat."""
    try:
        chat = find_chat(instance, chat_id)
    except Denied as error:
        raise WireError(404, str(error)) from None
    return dialog_dicts(instance, [chat])[0]
