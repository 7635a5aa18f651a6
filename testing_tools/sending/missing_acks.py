"""Why a message has not got its next tick, as far as it is known; and which ticks a channel never has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from instances import chat_ids
from instances.channels import channel_of
from instances.channels.base import Can
from instances.models import Ack, Channel, Instance, SandboxContact
from testing_tools.sending.acks import Sent

# A step of testing_tools.ticks, and the word under which a channel says that it has none
STEPS = {"delivered": Can.DELIVERED, "viewed": Can.VIEWED}


def never(instance: Instance) -> dict[str, str]:
    """The steps that never come with this instance's messenger, each with the channel's sentence."""
    cannot = channel_of(instance).cannot
    return {step: cannot[word] for step, word in STEPS.items() if word in cannot}


def explain(instance: Instance, messages: Sequence[Sent]) -> None:
    """Gives each message `why`: a sentence on what its next tick waits for. At most one query."""
    no, waits = never(instance), waiting_for(instance)
    minds = minds_of(instance, {sent.chat_id for sent in messages if sent.reached != "viewed"})
    for sent in messages:
        if sent.waiting:
            sent.why = waits
        elif sent.reached != "viewed":
            following = "delivered" if sent.reached == "sent" else "viewed"
            sent.why = no.get(following) or of_contact(instance, sent, minds)


def waiting_for(instance: Instance) -> str:
    """Why the queue does not move; "" while it does."""
    if instance.is_stopped:
        return "The instance is stopped; it goes on when it is started."
    if not instance.is_paid:
        return "The instance is not paid; it goes on when it is."
    if not instance.is_authenticated:
        return "Waits until a messenger is linked (the instance is not authenticated)."
    if not instance.is_connected:
        return f"Waits until the phone is connected again (substatus {instance.substatus})."
    return ""


def minds_of(instance: Instance, people: Iterable[str]) -> dict[str, SandboxContact]:
    if instance.channel != Channel.SANDBOX:
        return {}
    found = SandboxContact.objects.filter(instance=instance, chat_id__in=list(people))
    return {contact.chat_id: contact for contact in found}


def of_contact(instance: Instance, sent: Sent, minds: dict[str, SandboxContact]) -> str:
    """What a contact of the sandbox does with it; of other messengers nobody knows."""
    if instance.channel != Channel.SANDBOX:
        return ""
    if chat_ids.is_group(sent.chat_id):
        return f"Not {'delivered to' if sent.reached == 'sent' else 'read by'} every member of the group yet."
    contact = minds.get(sent.chat_id) or SandboxContact(chat_id=sent.chat_id)
    name = contact.name or f"+{chat_ids.digits(sent.chat_id)}"
    if sent.reached == "sent":
        if not contact.has_account:
            return f"{name} does not use the messenger, so it never arrives."
        if contact.blocks:
            return f"{name} has blocked the account, so it never arrives."
        if contact.missed_until and sent.at_step(Ack.SENT.label) <= contact.missed_until:
            return f"{name} could not be reached when it was sent, so it never arrives."
        if contact.deliver_after is None:
            return f"{name} never gets messages, as said on the sandbox phone."
    if not contact.online:
        return f"{name} is offline; it goes on when they are back."
    if sent.reached == "delivered" and contact.read_after is None:
        return f"{name} does not read by themselves; read it on the sandbox phone."
    return ""
