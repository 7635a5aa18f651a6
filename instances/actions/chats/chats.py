"""Chats: created by their first message, renamed, read, pinned, archived, cleared, removed.

A change that the wire contract's Chat shows (name, picture, participants) creates a chatUpdate hook. The position in
the list of dialogs is not part of Chat, so changing it creates none.

The actions of this package change the contents of an instance, not its configuration, for its messenger and the holder
of its token. They write no audit entries, so they take no `acting_user`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack
from unicodedata import category

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from chatapi.database import prepared
from hooks.sql import bulk_insert
from instances import chat_ids, payloads
from instances.actions import events
from instances.actions.chats import change_order
from instances.models import Chat, Instance, Participant
from instances.models.last_messages import LAST_TIME, PERIOD, UNREAD
from instances.payload_types import HookChat

NAME_LENGTH = 200
# Participants of a group that are stored; *ours*. WhatsApp has as many. The groups of other messengers have thousands,
# and each chatUpdate hook has the list twice.
MAX_PARTICIPANTS = 1_024
# Unicode's categories of control characters and of line and paragraph separators.
CONTROLS = ("Cc", "Zl", "Zp")


class Denied(Exception):
    """The chat, the group or its rules do not allow it. The text is a sentence for the caller."""


# For every message, so by prepared statements.
ROW = prepared.ModelRow(Chat, "chat")
EXACT = f"{LAST_TIME.format(chat='chat')}, {UNREAD.format(chat='chat')}"
FIND_CHAT = (
    f"SELECT {ROW.columns}, {EXACT} FROM instances_chat chat WHERE instance_id = %s::bigint AND chat_id = %s"
)
# Writes no row if nothing changes but the time and the number of unread messages, which the message itself has.
UPDATE_CHAT = f"""
    UPDATE instances_chat SET name = %(name)s, image = %(image)s, archived = %(archived)s, removed_at = NULL,
        last_time = %(last_time)s
    WHERE id = %(key)s::bigint AND (
        removed_at IS NOT NULL
        OR (name, image, archived) IS DISTINCT FROM (%(name)s::text, %(image)s::text, %(archived)s::boolean)
        OR {PERIOD.format("last_time")} <> {PERIOD.format("%(last_time)s::timestamptz")}
    ) RETURNING id
"""


def existing_chat(instance: Instance, chat_id: str) -> Chat | None:
    """Returns the instance's chat with this id, also one that was removed from the list of dialogs."""
    row = prepared.fetch_one(FIND_CHAT, [instance.pk, chat_id])
    return None if row is None else build_chat(row)


def build_chat(row: Sequence[Any]) -> Chat:
    """Returns the chat of a row with its columns and EXACT."""
    chat = ROW.build(row[:-2])
    chat.set_exact(*row[-2:])
    return chat


def chat_for_message(
    instance: Instance,
    chat_id: str,
    *,
    at: datetime,
    name: str = "",
    image: str = "",
    author: str = "",
    author_name: str = "",
) -> Chat:
    """Returns the chat of a new message, created or updated, with its hook.

    The caller holds the instance's row lock. `name` and `image` come from the address book; "" if unknown or unchanged.
    `author` is the contact who wrote, "" if the account wrote: then the unread counter stays.

    A message puts a removed chat back on the list, and takes an archived chat out of the archive unless
    disableDialogsArchive is on (*ours*). The author of a group's message and the account become its participants, and
    a message that is older than the group's last one does not rename it, and one from before its author left the group
    does not bring them back. `author_name` becomes the participant's name.
    """
    chat = existing_chat(instance, chat_id)
    people = [instance.own_chat_id, author] if author and chat_ids.is_group(chat_id) else []
    people = [one for one in people if chat_ids.is_person(one)]
    if chat is None:
        chat = Chat.objects.create(
            instance=instance,
            chat_id=chat_id,
            name=name,
            image=image,
            is_group=chat_ids.is_group(chat_id),
            stored_last_time=at,
        )
        chat.set_exact(at, 1 if author else 0)
        add_participants(chat, people, names={author: author_name})
        events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(chat)))
        return chat
    chat.instance = instance
    known = known_participants(chat, people)
    newcomers = [] if chat.left_at else room_for(chat, [one for one in people if one not in known])
    later = change_order.outdated(chat, newcomers, at)
    newcomers = [one for one in newcomers if one not in later]
    if chat.is_group and chat.name and name not in ("", chat.name):
        is_late = at < chat.last_time.replace(microsecond=0)
        if is_late or change_order.outdated(chat, [change_order.NAME], at):
            name = ""
    before = None
    if newcomers or (name and name != chat.name) or (image and image != chat.image):
        before = payloads.chat_dict(chat)
    chat.name = name or chat.name
    chat.image = image or chat.image
    chat.set_exact(max(at, chat.last_time), chat.unread + (1 if author else 0))
    chat.removed_at = None
    chat.archived = chat.archived and instance.disable_dialogs_archive
    prepared.fetch_all(
        UPDATE_CHAT,
        {
            "key": chat.pk,
            "name": chat.name,
            "image": chat.image,
            "archived": chat.archived,
            "last_time": chat.last_time,
        },
    )
    if before is not None:
        add_participants(chat, newcomers, names={author: author_name})
        emit_chat_update(chat, before)
    if author in known and known[author].name != clean_name(author_name):
        describe_participants(chat, names={known[author].member: author_name})
    return chat


# The chats of messages that were sent, of many instances at once, as chat_for_message() changes one.
UPDATE_CHATS = f"""
    WITH chat AS MATERIALIZED (
        SELECT chat.*, u.keep_archived, greatest({LAST_TIME.format(chat="chat")}, %s::timestamptz) AS with_this,
            {UNREAD.format(chat="chat")} AS unread_now
        FROM unnest(%s::bigint[], %s::text[], %s::bool[]) AS u (instance_id, chat_id, keep_archived)
        JOIN instances_chat chat ON chat.instance_id = u.instance_id AND chat.chat_id = u.chat_id
    ), changed AS (
        UPDATE instances_chat c SET
            last_time = chat.with_this, removed_at = NULL, archived = chat.archived AND chat.keep_archived
        FROM chat WHERE c.id = chat.id AND (
            chat.removed_at IS NOT NULL OR chat.archived AND NOT chat.keep_archived
            OR {PERIOD.format("chat.with_this")} <> {PERIOD.format("chat.last_time")}
        )
    )
    SELECT {ROW.columns}, chat.with_this, chat.unread_now FROM chat
"""


def chats_of_sent_messages(
    wanted: Mapping[Instance, Iterable[str]], *, at: datetime
) -> tuple[dict[tuple[int, str], Chat], dict[Instance, list[events.Event]]]:
    """Returns the chats of messages that accounts have sent, by instance and chat id, and the events of the new ones.

    As chat_for_message() without an author, name and image, but one statement for all chats that exist, and one for
    those that do not. The caller creates the hooks of the events, before those of the messages.
    """
    pairs = [(instance, chat_id) for instance, chat_ids_ in wanted.items() for chat_id in chat_ids_]
    with connection.cursor() as cursor:
        cursor.execute(
            UPDATE_CHATS,
            [
                at,
                [instance.pk for instance, _ in pairs],
                [chat_id for _, chat_id in pairs],
                [instance.disable_dialogs_archive for instance, _ in pairs],
            ],
        )
        known = {(chat.instance_id, chat.chat_id): chat for chat in map(build_chat, cursor.fetchall())}
    for instance, chat_id in pairs:
        if chat := known.get((instance.pk, chat_id)):
            chat.instance, chat.removed_at = instance, None
            chat.archived = chat.archived and instance.disable_dialogs_archive
    new = [
        Chat(instance=instance, chat_id=chat_id, is_group=chat_ids.is_group(chat_id), stored_last_time=at)
        for instance, chat_id in pairs
        if (instance.pk, chat_id) not in known
    ]
    bulk_insert.insert(new)
    created: dict[Instance, list[events.Event]] = {}
    for chat in new:
        known[chat.instance_id, chat.chat_id] = chat
        chat.set_exact(at, 0)
        event = events.of_chat(chat.instance, old=None, new=payloads.chat_dict(chat, []))
        created.setdefault(chat.instance, []).append(event)
    return known, created


def without_participants(chat: Chat, people: Iterable[str]) -> list[str]:
    """Returns those of `people` who are not participants of the group."""
    wanted = list(dict.fromkeys(people))
    known = known_participants(chat, wanted)
    return [one for one in wanted if one not in known]


def known_participants(chat: Chat, people: Collection[str]) -> dict[str, Participant]:
    """Returns those of `people` who are participants of the group, by either id. One query; none without people."""
    if not people:
        return {}
    has_id = Q(member__in=people) | Q(other_id__in=people)
    found = list(Participant.objects.filter(has_id, chat=chat))
    return {one.other_id: one for one in found if one.other_id} | {one.member: one for one in found}


def room_for(chat: Chat, newcomers: list[str]) -> list[str]:
    """Returns those who still fit into the group's participants. One query if there are newcomers."""
    if not newcomers:
        return []
    return newcomers[: max(0, MAX_PARTICIPANTS - Participant.objects.filter(chat=chat).count())]


def clean_name(name: str) -> str:
    """Returns a name as it is stored: on one line, without control characters, up to NAME_LENGTH characters.

    Members of a group choose its name, and some messengers take names of any length.
    """
    printable = "".join(" " if category(letter) in CONTROLS else letter for letter in name[: 4 * NAME_LENGTH])
    return " ".join(printable.split())[:NAME_LENGTH]


def add_participants(
    chat: Chat, people: Iterable[str], *, admins: Iterable[str] = (), names: Mapping[str, str] | None = None
) -> None:
    """Add `people`, who are not in the group yet, as participants."""
    admin_ids, names = set(admins), names or {}
    Participant.objects.bulk_create(
        Participant(chat=chat, member=one, is_admin=one in admin_ids, name=clean_name(names.get(one, "")))
        for one in dict.fromkeys(people)
    )


def describe_participants(
    chat: Chat, *, names: Mapping[str, str], other_ids: Mapping[str, str] | None = None
) -> None:
    """Record names and second ids of participants of a group, which are not part of hooks.

    One query if there are any, and one if any is new. Empty values are unchanged.
    """
    ids = other_ids or {}
    wanted = {one: cleaned for one, name in names.items() if (cleaned := clean_name(name))}
    if not (wanted or ids):
        return
    changed = []
    for one in Participant.objects.filter(chat=chat, member__in={*wanted, *ids}):
        before = one.name, one.other_id
        one.name, one.other_id = wanted.get(one.member, one.name), ids.get(one.member, one.other_id)
        if (one.name, one.other_id) != before:
            changed.append(one)
    if changed:
        Participant.objects.bulk_update(changed, ["name", "other_id"], batch_size=200)


def emit_chat_update(chat: Chat, before: HookChat) -> None:
    """Create the chatUpdate hook if the chat differs from `before`, its former chat_dict."""
    now = payloads.chat_dict(chat)
    if now != before:
        events.emit(chat.instance, events.of_chat(chat.instance, old=before, new=now))


def find_chat(instance: Instance, chat_id: str) -> Chat:
    """Returns the chat with this id from the list of dialogs. Raises Denied."""
    chat = Chat.objects.listed().with_last_message().filter(instance=instance, chat_id=chat_id).first()
    if chat is None:
        raise Denied(f"The chat {chat_id} was not found.")
    chat.instance = instance
    return chat


def exists(instance: Instance, *, chat_id: str) -> bool:
    """Whether the list of dialogs has this chat."""
    return Chat.objects.filter(instance=instance, chat_id=chat_id, removed_at=None).exists()


class ChatFields(TypedDict, total=False):
    """The fields of Chat that the actions below set."""

    stored_unread: int
    marked_unread: bool
    read_number: int
    cleared_number: int
    pinned_at: datetime | None
    archived: bool
    removed_at: datetime
    activity: str
    activity_until: datetime | None


def update_chat(instance: Instance, chat_id: str, **fields: Unpack[ChatFields]) -> Chat:
    """Set these fields of the chat under the instance's lock. Raises Denied."""
    events.lock(instance)
    chat = find_chat(instance, chat_id)
    for field, value in fields.items():
        setattr(chat, field, value)
    chat.save(update_fields=list(fields))
    chat.forget_exact()
    return chat


@transaction.atomic
def change_chat(
    instance: Instance,
    *,
    chat_id: str,
    name: str | None = None,
    image: str | None = None,
) -> Chat:
    """Record a new name (up to 200 characters are stored) or picture (a URL, "" for none) that the messenger reports.

    None leaves a value unchanged. Raises Denied for an unknown chat.
    """
    events.lock(instance)
    chat = find_chat(instance, chat_id)
    before = payloads.chat_dict(chat)
    chat.name = chat.name if name is None else name[:200]
    chat.image = chat.image if image is None else image
    chat.save(update_fields=["name", "image"])
    emit_chat_update(chat, before)
    return chat


@transaction.atomic
def read_chat(instance: Instance, *, chat_id: str) -> Chat:
    """Mark all messages as read. Raises Denied for an unknown chat, as the actions below do."""
    events.lock(instance)
    number = instance.last_message_number
    return update_chat(instance, chat_id, stored_unread=0, marked_unread=False, read_number=number)


@transaction.atomic
def mark_unread(instance: Instance, *, chat_id: str) -> Chat:
    """Mark the chat as unread. The unread counter and the acks of its messages stay unchanged."""
    return update_chat(instance, chat_id, marked_unread=True)


@transaction.atomic
def pin_chat(instance: Instance, *, chat_id: str, on: bool) -> Chat:
    """Pin the chat to the top of the list, newest pin first, or unpin it. Pinning takes it out of the archive."""
    if on:
        return update_chat(instance, chat_id, pinned_at=timezone.now(), archived=False)
    return update_chat(instance, chat_id, pinned_at=None)


@transaction.atomic
def archive_chat(instance: Instance, *, chat_id: str, on: bool) -> Chat:
    """Move the chat to the end of the list, unpinned, until its next message (chat_for_message); or move it back."""
    if on:
        return update_chat(instance, chat_id, archived=True, pinned_at=None)
    return update_chat(instance, chat_id, archived=False)


@transaction.atomic
def clear_chat(instance: Instance, *, chat_id: str) -> Chat:
    """Remove the chat's messages so far from its history. The numbered feed of `messages` keeps them."""
    events.lock(instance)
    number = instance.last_message_number
    return update_chat(
        instance, chat_id, cleared_number=number, read_number=number, stored_unread=0, marked_unread=False
    )


@transaction.atomic
def remove_chat(instance: Instance, *, chat_id: str) -> Chat:
    """Clear the history and remove the chat from the list until its next message. The account stays in a group."""
    clear_chat(instance, chat_id=chat_id)
    return update_chat(instance, chat_id, removed_at=timezone.now(), archived=False, pinned_at=None)


@transaction.atomic
def show_activity(instance: Instance, *, chat_id: str, activity: str, seconds: int) -> Chat | None:
    """Show the contact that the account is typing or recording (Chat.Activity) for `seconds`; 0 ends it.

    Returns None if there is no chat yet.
    """
    try:
        if not seconds:
            return update_chat(instance, chat_id, activity="", activity_until=None)
        until = timezone.now() + timedelta(seconds=seconds)
        return update_chat(instance, chat_id, activity=activity, activity_until=until)
    except Denied:
        return None
