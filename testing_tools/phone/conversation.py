"""The conversation that both phones show, and the list of conversations. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from instances import chat_ids
from instances.channels.sandbox.behaviour import contact_behaviours
from instances.models import Chat, Instance, SandboxContact
from instances.pages.messages import conversations

MAX_CHOICES = 100  # chats, and as many contacts without a chat
DEFAULT_CONTACT = "17680561234@c.us"  # shown if the instance has no chats and contacts


class ConversationChoice(NamedTuple):
    """A contact or a group in the list of conversations."""

    chat_id: str
    name: str
    is_group: bool


class Conversation(NamedTuple):
    """A chat, and the contact whose phone is shown; in a group, one of its `members`. `chat` None: no message yet."""

    chat_id: str
    chat: Chat | None
    contact: SandboxContact
    members: Sequence[SandboxContact]

    @property
    def is_group(self) -> bool:
        return chat_ids.is_group(self.chat_id)

    @property
    def name(self) -> str:
        if self.chat is not None and (self.chat.name or self.is_group):
            return conversations.chat_name(self.chat)
        return display_name(self.contact)


def display_name(contact: SandboxContact) -> str:
    """Returns the contact's name, or their number in the form `+17680561234`."""
    return contact.name or f"+{chat_ids.bare_id(contact.chat_id)}"


def list_choices(instance: Instance) -> list[ConversationChoice]:
    """Returns the chats, newest first, and then the contacts without one. Two queries."""
    chats = list(Chat.objects.filter(instance=instance, left_at=None).in_order()[:MAX_CHOICES])
    contacts = list(SandboxContact.objects.filter(instance=instance)[:MAX_CHOICES])
    names = {contact.chat_id: contact.name for contact in contacts}
    choices = [
        ConversationChoice(
            chat.chat_id, names.get(chat.chat_id) or conversations.chat_name(chat), chat.is_group
        )
        for chat in chats
    ]
    listed = {choice.chat_id for choice in choices}
    return choices + [
        ConversationChoice(contact.chat_id, display_name(contact), is_group=False)
        for contact in contacts
        if contact.chat_id not in listed
    ]


def find_conversation(instance: Instance, chat_id: str, member: str = "") -> Conversation:
    """Returns the conversation with this chat id, whether or not it has a chat; at most three queries.

    In a group, `member` is the chat id of the member whose phone is shown; the first one by default.

    Raises:
        chat_ids.BadChatId: the chat id is not valid.
    """
    chat_id = chat_ids.of_chat(chat_id)
    chat = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
    if not chat_ids.is_group(chat_id):
        known = contact_behaviours(instance, [chat_id])
        contact = known.get(chat_id) or SandboxContact(instance=instance, chat_id=chat_id)
        contact.name = contact.name or (chat.name if chat else "")  # for display, not saved
        return Conversation(chat_id, chat, contact, [])
    ids = [] if chat is None else list(chat.participants.order_by("pk").values_list("member", flat=True))
    ids = [each for each in ids if each != instance.own_chat_id]
    known = contact_behaviours(instance, ids)
    members = [known.get(each) or SandboxContact(instance=instance, chat_id=each) for each in ids]
    chosen = next((each for each in members if each.chat_id == member), None)
    first = members[0] if members else SandboxContact(instance=instance, chat_id=DEFAULT_CONTACT)
    return Conversation(chat_id, chat, chosen or first, members)
