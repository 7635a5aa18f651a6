"""Views of the messages between the two phones: write and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapi.ui.requests import HtmxRequest
from instances.actions.chats.chats import read_chat
from instances.channels.sandbox.actions.contacts import write_as_contact
from instances.channels.sandbox.actions.phone import type_on_sandbox_phone
from instances.channels.sandbox.actions.receipts import read_as_contact
from instances.models import Instance
from testing_tools.phone.bubbles import arrived_unread
from testing_tools.phone.conversation import Conversation, display_name
from testing_tools.phone.forms import MessageForm
from testing_tools.phone.message_content import message_content
from testing_tools.phone.message_kinds import MessageKind
from testing_tools.phone.responses import (
    Refused,
    phone_action,
    require_valid,
)


def describe_message(cleaned: Mapping[str, Any]) -> str:
    return "a forwarded message" if cleaned["forward"] else f"“{cleaned['kind'].label}”"


@phone_action
def write_on_own_phone(request: HtmxRequest, instance: Instance, conversation: Conversation) -> str:
    """Types a message on the instance's own phone."""
    cleaned = require_valid(MessageForm(request.POST, request.FILES))
    if cleaned["kind"] == MessageKind.CALL and not cleaned["forward"]:
        raise Refused("Only a contact can make a missed call.")
    content = message_content(instance, cleaned)
    type_on_sandbox_phone(instance, chat_id=conversation.chat_id, **content)
    return (
        f"Typed on the instance's phone: {describe_message(cleaned)} to {conversation.name}. "
        "Messages that the API did not send have no ack hooks."
    )


@phone_action
def write_on_contact_phone(request: HtmxRequest, instance: Instance, conversation: Conversation) -> str:
    """Writes a message as the contact, to the instance or into the group."""
    cleaned = require_valid(MessageForm(request.POST, request.FILES))
    if conversation.is_group and cleaned["kind"] == MessageKind.CALL and not cleaned["forward"]:
        raise Refused("A group cannot get a missed call. Choose a contact.")
    content = message_content(instance, cleaned)
    write_as_contact(
        instance,
        sender=conversation.contact.chat_id,
        chat_id=conversation.chat_id if conversation.is_group else None,
        **content,
    )
    group = f" in {conversation.name}" if conversation.is_group else ""
    return f"{display_name(conversation.contact)} sent {describe_message(cleaned)}{group}."


@phone_action
def read_on_contact_phone(request: HtmxRequest, instance: Instance, conversation: Conversation) -> str:
    """Opens the chat as the contact: all messages that have arrived become viewed."""
    name = display_name(conversation.contact)
    arrived = arrived_unread(conversation)
    if not arrived:
        raise Refused(f"{name} has no unread messages.")
    read_as_contact(
        instance,
        message_ids=[message.message_id for message in arrived],
        contact=conversation.contact.chat_id if conversation.is_group else "",
    )
    return f"{name} read {len(arrived)} message{'s' if len(arrived) > 1 else ''}."


@phone_action
def read_on_own_phone(request: HtmxRequest, instance: Instance, conversation: Conversation) -> str:
    """Opens the chat on the instance's own phone."""
    read_chat(instance, chat_id=conversation.chat_id)
    return f"Chat read on the instance's phone. {conversation.name} sees that; it creates no hook."
