"""The sandbox's contacts: their messages to the instance, and changes of their name, picture and behaviour."""

from __future__ import annotations

from typing import TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from chatapi.database import prepared
from instances import chat_ids, fast_lookup
from instances.actions import events, messages
from instances.actions.chats import chats
from instances.actions.record_at_once import Condition
from instances.channels.sandbox.actions import receipts
from instances.channels.sandbox.actions.preconditions import LINK_COLUMNS, NotPossible, require_linked
from instances.models import Chat, Instance, Message, SandboxContact

CONTACTS_LIMIT = 1000  # of one instance


class ContactChanges(TypedDict, total=False):
    """The fields of SandboxContact that can be changed."""

    name: str
    image: str
    has_account: bool
    online: bool
    blocks: bool
    deliver_after: int | None  # seconds after "sent"; None: never
    read_after: int | None  # seconds after "delivered"; None: never


def write_as_contact(
    instance: Instance,
    *,
    sender: str,
    sender_name: str = "",
    chat_id: str | None = None,
    key: str = "",
    is_loaded: bool = False,
    **content: Unpack[messages.MessageContent],
) -> Message:
    """Record a message of a sandbox contact, if the instance is linked. Keywords as in messages.receive_message.

    The sender's name is the contact's, unless `sender_name` is given. `is_loaded`: the instance has just been loaded.

    Raises:
        NotLinked: no message reaches the instance.
        NotPossible: the contact has no account or is not in the group.
        bans.Banned, chat_ids.BadChatId, ValueError: as in messages.receive_message.
    """
    author = chat_ids.of_phone(sender)
    if is_loaded and not key and not chat_id:
        message = write_at_once(instance, author, sender_name, **content)
        if message is not None:
            return message
    contact = reload_with_contact(instance, author)
    require_linked(instance, "no message reaches it")
    if contact is not None and not contact.has_account:
        raise NotPossible(f"{contact} has no account (hasAccount is false), so they can't write.")
    if chat_id:
        require_group_member(instance, chat_ids.of_chat(chat_id), author)
    return messages.receive_message(
        instance,
        sender=author,
        sender_name=sender_name or (contact.name if contact else ""),
        chat_id=chat_id,
        key=key,
        **content,
    )


# No contact whose behaviour or name matters for this message.
IS_PLAIN_CONTACT = f"""NOT EXISTS (
    SELECT FROM {SandboxContact._meta.db_table} c WHERE c.instance_id = i.id AND c.chat_id = %(contact)s
        AND (NOT c.has_account OR (%(is_unnamed)s::boolean AND c.name <> '')))"""


def write_at_once(
    instance: Instance, author: str, sender_name: str, **content: Unpack[messages.MessageContent]
) -> Message | None:
    """Record a direct message in one statement, which also checks that the instance is as it was loaded.

    Returns None, and writes nothing, if this is not the usual case. Raises NotLinked.
    """
    require_linked(instance, "no message reaches it")
    condition = Condition(LINK_COLUMNS, IS_PLAIN_CONTACT, {"contact": author, "is_unnamed": not sender_name})
    message = messages.new_message(
        instance,
        message_id=chat_ids.message_id(author, author=author, from_me=False),
        chat_id=author,
        author=author,
        author_name=sender_name[:200],
        **content,
    )
    return message if messages.receive_at_once(message, condition) else None


ROW = prepared.ModelRow(SandboxContact, "contact")
FIND_CONTACT = f"""
    SELECT {fast_lookup.COLUMNS}, {ROW.columns} FROM {fast_lookup.TABLE}
    LEFT JOIN {SandboxContact._meta.db_table} contact
        ON contact.instance_id = {fast_lookup.TABLE}.id AND contact.chat_id = %s
    WHERE {fast_lookup.TABLE}.id = %s::bigint
"""


def reload_with_contact(instance: Instance, chat_id: str) -> SandboxContact | None:
    """Reload the instance; returns its contact with this chat id, if its behaviour was ever set. For every message.

    Raises Instance.DoesNotExist if the instance was deleted.
    """
    row = prepared.fetch_one(FIND_CONTACT, [chat_id, instance.pk])
    size = len(fast_lookup.ROW.names)
    fast_lookup.copy_to(instance, None if row is None else fast_lookup.ROW.build(row[:size]))
    if row is None or row[size] is None:
        return None
    return ROW.build(row[size:])


def require_group_member(instance: Instance, chat_id: str, author: str) -> None:
    """Check that the author can write in this group. A group without a row is created by its first message.

    Raises:
        NotPossible: the account has left the group, or the author is not in it.
    """
    group = Chat.objects.filter(instance=instance, chat_id=chat_id, is_group=True).first()
    if group is None:
        return
    if group.left_at:
        raise NotPossible(
            "The account is no longer in this group, so its messages do not reach the instance."
        )
    members = set(group.participants.values_list("member", flat=True))
    if members and author not in members:
        raise NotPossible(f"{chat_ids.bare_id(author)} is not in this group; add them first.")


@transaction.atomic
def change_contact(instance: Instance, *, phone: str, **changes: Unpack[ContactChanges]) -> SandboxContact:
    """Create or change a contact.

    A new name or picture also changes the contact's chat, with its chatUpdate hook. New behaviour applies
    immediately to messages not yet delivered or not yet read.

    Raises:
        chat_ids.BadChatId: `phone` is not valid.
        NotPossible: the instance has CONTACTS_LIMIT contacts.
    """
    events.lock(instance)
    chat_id = chat_ids.of_phone(phone)
    contact = SandboxContact.objects.filter(instance=instance, chat_id=chat_id).first()
    if contact is None:
        if SandboxContact.objects.filter(instance=instance).count() >= CONTACTS_LIMIT:
            raise NotPossible(f"The sandbox has {CONTACTS_LIMIT} contacts, which is the limit.")
        contact = SandboxContact(instance=instance, chat_id=chat_id)
    was_reachable = contact.is_reachable
    for field, value in changes.items():
        setattr(contact, field, value)
    if contact.is_reachable and not was_reachable:
        contact.missed_until = timezone.now()
    contact.save()
    if {"name", "image"} & changes.keys() and has_chat(instance, chat_id):
        chats.change_chat(
            instance,
            chat_id=chat_id,
            name=contact.name if "name" in changes else None,
            image=contact.image if "image" in changes else None,
        )
    if changes.keys() - {"name", "image"}:
        receipts.apply_new_behaviour(instance, contact)
    return contact


def has_chat(instance: Instance, chat_id: str) -> bool:
    """Whether the list of dialogs contains a chat with this contact."""
    return Chat.objects.listed().filter(instance=instance, chat_id=chat_id).exists()
