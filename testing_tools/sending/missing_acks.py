"""Explains why a message has not received its next ack, if that is known, and which acks a channel never reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.utils.text import capfirst

from instances import chat_ids
from instances.channels import channel_of
from instances.channels.base import Can
from instances.models import Ack, Channel, Instance, SandboxContact
from testing_tools.sending.acks import SentMessage

# Step of acks.STEPS → the key in a channel's `cannot` if the channel never reports the step.
UNSUPPORTED = {"delivered": Can.DELIVERED, "viewed": Can.VIEWED}


def never_reported(instance: Instance) -> dict[str, str]:
    """Returns the steps that this instance's channel never reports, each with the channel's explanation."""
    cannot = channel_of(instance).cannot
    return {step: cannot[key] for step, key in UNSUPPORTED.items() if key in cannot}


def explain(instance: Instance, messages: Sequence[SentMessage]) -> None:
    """Set each message's `reason`: the cause why its next ack is missing. At most one query."""
    never, queue_reason = never_reported(instance), queue_stopped_because(instance)
    contacts = sandbox_contacts(instance, {one.chat_id for one in messages if one.reached != "viewed"})
    for message in messages:
        if message.is_queued:
            message.reason = queue_reason
        elif not message.failure and message.reached != "viewed":
            following = "delivered" if message.reached == "sent" else "viewed"
            message.reason = never.get(following) or contact_reason(instance, message, contacts)


def queue_stopped_because(instance: Instance) -> str:
    """Returns why the queue is not being sent; "" if it is."""
    if instance.is_stopped:
        return "This instance is stopped. The queue continues when it is started."
    if not instance.is_paid:
        return f"{capfirst(instance.why_unpaid)}. The queue continues when a payment is recorded."
    if not instance.is_authenticated:
        return "Waiting for a messenger to be linked: the instance is not authenticated."
    if not instance.is_connected:
        return f"Waiting for the phone to reconnect (substatus {instance.substatus})."
    return ""


def sandbox_contacts(instance: Instance, ids: Iterable[str]) -> dict[str, SandboxContact]:
    if instance.channel != Channel.SANDBOX:
        return {}
    found = SandboxContact.objects.filter(instance=instance, chat_id__in=list(ids))
    return {contact.chat_id: contact for contact in found}


def contact_reason(instance: Instance, message: SentMessage, contacts: Mapping[str, SandboxContact]) -> str:
    """Returns why a sandbox contact sends no further ack; "" with other channels, where it is unknown."""
    if instance.channel != Channel.SANDBOX:
        return ""
    if chat_ids.is_group(message.chat_id):
        return (
            "Not delivered to every member of the group yet."
            if message.reached == "sent"
            else "Not read by every member of the group yet."
        )
    contact = contacts.get(message.chat_id) or SandboxContact(chat_id=message.chat_id)
    name = contact.name or f"+{chat_ids.bare_id(message.chat_id)}"
    if message.reached == "sent":
        if not contact.has_account:
            return f"{name} does not use the messenger, so the message is never delivered."
        if contact.blocks:
            return f"{name} has blocked the account, so the message is never delivered."
        if contact.has_missed(message.time_of(Ack.SENT.label)):
            return f"{name} could not be reached when the message was sent, so it is never delivered."
        if contact.deliver_after is None:
            return f"{name} is set on the sandbox phone to receive no messages."
    if not contact.online:
        return f"{name} is offline. The next ack follows when they are online."
    if message.reached == "delivered" and contact.read_after is None:
        return f"{name} does not read messages automatically. Read it on the sandbox phone."
    return ""
