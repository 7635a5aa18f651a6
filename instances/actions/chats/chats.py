"""Chats: made by their first message, renamed, read, pinned, archived, cleared, removed.

A change that the wire contract's Chat shows (name, picture, people) makes a chatUpdate hook; where a chat stands in
the list of dialogs does not show in it, so that makes none.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from instances import chat_ids, payloads
from instances.actions import events
from instances.models import Chat, Instance, Participant


class Denied(Exception):
    """The chat, the group or its rules do not allow it; the text is a sentence for the caller."""


def chat_for_message(
    instance: Instance, chat_id: str, *, at: datetime, name: str = "", image: str = "", author: str = ""
) -> Chat:
    """A message has come or gone: the chat as it is with it, made or changed if need be, with its hook.

    The caller holds the instance's row lock. `name` and `image` are the address book's, "" where nothing new is known.
    `author` is whoever wrote to the account, "" where the account itself wrote: then nothing becomes unread.

    A message brings a removed chat back to the list, and takes an archived one out of the archive unless
    disableDialogsArchive is on (*ours*). Who writes in a group is in it, and so is who gets that.
    """
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
    people = [instance.own_chat_id, author] if author and chat_ids.is_group(chat_id) else []
    if chat is None:
        chat = Chat.objects.create(
            instance=instance,
            chat_id=chat_id,
            name=name,
            image=image,
            is_group=chat_ids.is_group(chat_id),
            last_time=at,
            unread=1 if author else 0,
        )
        add_participants(chat, people)
        events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(chat)))
        return chat
    chat.instance = instance
    newcomers = strangers(chat, people) if chat.left_at is None else []
    before = None
    if newcomers or (name and name != chat.name) or (image and image != chat.image):
        before = payloads.chat_dict(chat)
    chat.name = name or chat.name
    chat.image = image or chat.image
    chat.last_time = max(at, chat.last_time)
    chat.unread += 1 if author else 0
    chat.removed_at = None
    chat.archived = chat.archived and instance.disable_dialogs_archive
    chat.save(update_fields=["name", "image", "last_time", "unread", "removed_at", "archived"])
    if before is not None:
        add_participants(chat, newcomers)
        tell_change(chat, before)
    return chat


def strangers(chat: Chat, people: Iterable[str]) -> list[str]:
    """Those of `people` who are not in the group yet."""
    wanted = list(dict.fromkeys(people))
    if not wanted:
        return []
    known = set(Participant.objects.filter(chat=chat, member__in=wanted).values_list("member", flat=True))
    return [one for one in wanted if one not in known]


def add_participants(chat: Chat, people: Iterable[str], *, admins: Iterable[str] = ()) -> None:
    """Makes `people`, who are not in the group yet, its participants."""
    admin_ids = set(admins)
    Participant.objects.bulk_create(
        Participant(chat=chat, member=one, is_admin=one in admin_ids) for one in dict.fromkeys(people)
    )


def tell_change(chat: Chat, before: dict[str, Any]) -> None:
    """The chatUpdate hook of a chat that was `before`, unless it looks the same."""
    now = payloads.chat_dict(chat)
    if now != before:
        events.emit(chat.instance, events.of_chat(chat.instance, old=before, new=now))


def find_chat(instance: Instance, chat_id: str) -> Chat:
    """The chat of the list of dialogs with this id. Raises Denied."""
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id, removed_at=None).first()
    if chat is None:
        raise Denied(f"The chat {chat_id} was not found.")
    chat.instance = instance
    return chat


def change(instance: Instance, chat_id: str, **fields: Any) -> Chat:
    """Sets these fields of the chat under the instance's lock. Raises Denied."""
    events.lock(instance)
    chat = find_chat(instance, chat_id)
    for field, value in fields.items():
        setattr(chat, field, value)
    chat.save(update_fields=list(fields))
    return chat


@transaction.atomic
def change_chat(
    instance: Instance,
    *,
    chat_id: str,
    name: str | None = None,
    image: str | None = None,
    acting_user: User | None = None,
) -> Chat:
    """The messenger reports a new name (up to 200 characters are kept) or picture (an address, "" for none).

    What is None stays. Raises Denied for an unknown chat.
    """
    events.lock(instance)
    chat = find_chat(instance, chat_id)
    before = payloads.chat_dict(chat)
    chat.name = chat.name if name is None else name[:200]
    chat.image = chat.image if image is None else image
    chat.save(update_fields=["name", "image"])
    tell_change(chat, before)
    return chat


@transaction.atomic
def read_chat(instance: Instance, *, chat_id: str, acting_user: User | None = None) -> Chat:
    """The account has read all there is. Raises Denied for an unknown chat, as all of these do."""
    events.lock(instance)
    number = instance.last_message_number
    return change(instance, chat_id, unread=0, marked_unread=False, read_number=number)


@transaction.atomic
def mark_unread(instance: Instance, *, chat_id: str, acting_user: User | None = None) -> Chat:
    """A mark for the reader alone: the counter and the contact's ticks stay as they are."""
    return change(instance, chat_id, marked_unread=True)


@transaction.atomic
def pin_chat(instance: Instance, *, chat_id: str, on: bool, acting_user: User | None = None) -> Chat:
    """At the top of the list, the newest pin first; a pinned chat is not in the archive."""
    return change(instance, chat_id, **({"pinned_at": timezone.now(), "archived": False} if on else UNPINNED))


UNPINNED = {"pinned_at": None}


@transaction.atomic
def archive_chat(instance: Instance, *, chat_id: str, on: bool, acting_user: User | None = None) -> Chat:
    """At the end of the list, and no longer pinned, until the next message (see chat_for_message)."""
    return change(instance, chat_id, archived=on, **(UNPINNED if on else {}))


@transaction.atomic
def clear_chat(instance: Instance, *, chat_id: str, acting_user: User | None = None) -> Chat:
    """Its messages so far are out of the history; the numbered feed of `messages` keeps what it has given."""
    events.lock(instance)
    number = instance.last_message_number
    return change(instance, chat_id, cleared_number=number, read_number=number, unread=0, marked_unread=False)


@transaction.atomic
def remove_chat(instance: Instance, *, chat_id: str, acting_user: User | None = None) -> Chat:
    """Off the list until its next message, its history cleared. A group is not left by that."""
    clear_chat(instance, chat_id=chat_id)
    return change(instance, chat_id, removed_at=timezone.now(), archived=False, **UNPINNED)


@transaction.atomic
def show_activity(
    instance: Instance, *, chat_id: str, activity: str, seconds: int, acting_user: User | None = None
) -> Chat | None:
    """The contact sees the account typing or recording (Chat.Activity) for so long; 0 seconds end it.

    None where there is no chat yet: nobody has it open.
    """
    try:
        if not seconds:
            return change(instance, chat_id, activity="", activity_until=None)
        until = timezone.now() + timedelta(seconds=seconds)
        return change(instance, chat_id, activity=activity, activity_until=until)
    except Denied:
        return None
