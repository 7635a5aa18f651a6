"""What somebody who plays with the sandbox does: its contacts, its phone, and everything from the start."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from instances import chat_ids
from instances.actions import bans, chats, events, messages
from instances.actions.sending import message_queue
from instances.actions.status import change_status
from instances.channels.sandbox.actions import receipts
from instances.models import (
    CONNECTED,
    AccountStatus,
    Ack,
    Chat,
    Instance,
    LoadingReason,
    Message,
    QueuedAction,
    SandboxContact,
    SandboxReceipt,
    Substatus,
)

CONTACTS_LIMIT = 1000  # of one instance
BATTERY_FULL = 90
# the phone's battery in percent, at or below which it is said to be low
BATTERY_LOW = ((5, Substatus.BATTERY_LOW_2), (10, Substatus.BATTERY_LOW_1), (20, Substatus.BATTERY_LOW))


class NotLinked(Exception):
    """No messenger is linked, so nobody's message reaches the instance; the text is a sentence for the caller."""


class NotPossible(Exception):
    """The sandbox's people or its phone can't do that as things are; the text is a sentence for the caller."""


def must_be_linked(instance: Instance, what: str) -> None:
    """Raises NotLinked, with a sentence that says why; the caller holds the instance's lock. Not paid is no reason."""
    if instance.is_stopped:
        raise NotLinked(f"The instance is stopped, so {what}.")
    if not instance.is_authenticated:
        raise NotLinked(f"The instance is not authenticated ({instance.account_status}), so {what}.")
    if instance.substatus in (Substatus.PHONE, Substatus.OFFLINE):
        raise NotLinked(f"The phone is not connected (substatus {instance.substatus}), so {what}.")


def write_as_contact(instance: Instance, **message: Any) -> Message:
    """A contact of the sandbox writes to the instance, if that is linked; `message` as receive_message takes it.

    Their name is the contact's, unless `sender_name` says otherwise. Raises NotLinked, NotPossible for somebody who has
    no account or is not in the group, and what receive_message raises.
    """
    return bans.raise_if_banned(receive_from_contact(instance, **message))


@transaction.atomic
def receive_from_contact(
    instance: Instance, *, sender: str, chat_id: str | None = None, sender_name: str = "", **message: Any
) -> Message | None:
    """As messages.take_in, for somebody of the sandbox."""
    events.lock(instance)
    must_be_linked(instance, "no message reaches it")
    author = chat_ids.of_phone(sender)
    contact = SandboxContact.objects.filter(instance=instance, chat_id=author).first()
    if contact is not None and not contact.has_account:
        raise NotPossible(f"{contact} has no account (hasAccount is false), so they can't write.")
    if chat_id:
        must_be_in_group(instance, chat_ids.of_chat(chat_id), author)
    return messages.take_in(
        instance,
        sender=author,
        chat_id=chat_id,
        sender_name=sender_name or (contact.name if contact else ""),
        **message,
    )


def must_be_in_group(instance: Instance, chat_id: str, author: str) -> None:
    """Raises NotPossible for a group that the account has left, or that somebody else has never come into.

    A group that nobody has told us about comes into being with its first message.
    """
    group = Chat.objects.filter(instance=instance, chat_id=chat_id, is_group=True).first()
    if group is None:
        return
    if group.left_at:
        raise NotPossible(
            "The account is not in this group any more, so no message of it reaches the instance."
        )
    people = set(group.participants.values_list("member", flat=True))
    if people and author not in people:
        raise NotPossible(f"{chat_ids.digits(author)} is not in this group; add them first.")


@transaction.atomic
def type_by_hand(instance: Instance, *, chat_id: str, **message: Any) -> Message:
    """Somebody writes on the sandbox's phone; its contacts get it and read it as they get the API's messages.

    Raises NotLinked, and what type_on_phone raises.
    """
    events.lock(instance)
    must_be_linked(instance, "nothing that is typed on its phone goes out")
    typed = messages.type_on_phone(instance, chat_id=chat_id, **message)
    ticks = receipts.plan_receipts(instance, message_id=typed.message_id, chat_id=typed.chat.chat_id)
    messages.record_acks(instance, [(typed, Ack(tick)) for tick in ticks])
    receipts.wake()
    return typed


@transaction.atomic
def change_contact(
    instance: Instance, *, phone: str, acting_user: Any = None, **changes: Any
) -> SandboxContact:
    """Makes a contact, or changes them: any fields of SandboxContact but the key.

    A new name or picture is the chat's too, with its chatUpdate hook; a new mind is asked at once what it does
    with the messages that it has not got or not read. Raises chat_ids.BadChatId, and NotPossible for one too many.
    """
    events.lock(instance)
    chat_id = chat_ids.of_phone(phone)
    contact = SandboxContact.objects.filter(instance=instance, chat_id=chat_id).first()
    if contact is None:
        if SandboxContact.objects.filter(instance=instance).count() >= CONTACTS_LIMIT:
            raise NotPossible(f"The sandbox has {CONTACTS_LIMIT} contacts, which is the limit.")
        contact = SandboxContact(instance=instance, chat_id=chat_id)
    before = contact.is_reachable
    for field, value in changes.items():
        setattr(contact, field, value)
    if contact.is_reachable and not before:
        contact.missed_until = timezone.now()
    contact.save()
    if {"name", "image"} & changes.keys() and known(instance, chat_id):
        chats.change_chat(
            instance,
            chat_id=chat_id,
            name=contact.name if "name" in changes else None,
            image=contact.image if "image" in changes else None,
        )
    if changes.keys() - {"name", "image"}:
        receipts.change_mind(instance, contact)
    return contact


def known(instance: Instance, chat_id: str) -> bool:
    return Chat.objects.filter(instance=instance, chat_id=chat_id, removed_at=None).exists()


@transaction.atomic
def change_phone(
    instance: Instance,
    *,
    account_status: str | None = None,
    substatus: str | None = None,
    reason: str | None = None,
    battery: int | None = None,
    acting_user: Any = None,
) -> Instance:
    """The phone's new state; what is None stays. The words are change_status', and so is what is raised.

    A `battery` (percent) of BATTERY_LOW or less is said by the substatus too, until it is charged again; a phone that
    says something else (not connected, synchronising) goes on saying that.
    """
    events.lock(instance)
    change_status(
        instance, account_status=account_status, substatus=substatus, reason=reason, acting_user=acting_user
    )
    if battery is not None:
        instance.battery = battery
        instance.save(update_fields=["battery"])
        if instance.is_authenticated and substatus is None and instance.substatus in CONNECTED:
            change_status(instance, substatus=battery_word(battery), acting_user=acting_user)
    receipts.wake()
    return instance


def battery_word(percent: int) -> str:
    """The substatus of a connected phone with this battery."""
    return next((word.value for most, word in BATTERY_LOW if percent <= most), Substatus.NORMAL.value)


@transaction.atomic
def phone_event(instance: Instance, *, event: str, acting_user: Any = None) -> Instance:
    """Something happens to the phone (a word of PHONE_EVENTS). Raises NotPossible when it can't as things are."""
    events.lock(instance)
    happening = PHONE_EVENTS[event]
    if happening["from"] and instance.account_status not in happening["from"]:
        raise NotPossible(
            f"“{event}” needs an instance that is {' or '.join(happening['from'])}; "
            f"it is {instance.account_status}."
        )
    for step in happening["steps"]:
        change_status(instance, **step, acting_user=acting_user)
    if instance.is_authenticated and event in ("connect", "synced", "scan"):
        change_status(instance, substatus=battery_word(instance.battery), acting_user=acting_user)
        receipts.wake()
    return instance


AUTHENTICATED, LOADING, CODE = AccountStatus.AUTHENTICATED, AccountStatus.LOADING, AccountStatus.GOT_QR_CODE
# Event: in which accountStatus it can happen (any, where there is none), and the changes of status that it makes.
PHONE_EVENTS: dict[str, dict[str, Any]] = {
    "scan": {
        "from": (CODE,),
        "steps": (
            {"account_status": LOADING, "reason": LoadingReason.CONNECTING},
            {"account_status": AUTHENTICATED},
        ),
    },
    "log_out": {"from": (AUTHENTICATED, LOADING), "steps": ({"account_status": CODE},)},
    "disconnect": {"from": (AUTHENTICATED,), "steps": ({"substatus": Substatus.PHONE},)},
    "connect": {"from": (AUTHENTICATED,), "steps": ()},
    "take_over": {
        "from": (AUTHENTICATED,),
        "steps": ({"account_status": LOADING, "reason": LoadingReason.CONFLICT},),
    },
    "sync": {
        "from": (AUTHENTICATED, LOADING),
        "steps": (
            {"account_status": LOADING, "substatus": Substatus.SYNCING, "reason": LoadingReason.SYNCING},
        ),
    },
    "synced": {"from": (LOADING,), "steps": ({"account_status": AUTHENTICATED},)},
}


@transaction.atomic
def reset_sandbox(instance: Instance, *, acting_user: Any = None) -> Instance:
    """Everything from the start: no contacts, chats, messages, files' messages or queues; the phone is linked and full.

    Settings, hooks and the log stay, and the numbers of messages go on where they were, for a client that reads
    from the last one that it knows must not miss the next.
    """
    events.lock(instance)
    for model in (SandboxReceipt, SandboxContact, QueuedAction, Message, Chat):
        model.objects.filter(instance=instance).delete()
    message_queue.empty(instance)
    instance.battery = BATTERY_FULL
    instance.save(update_fields=["battery"])
    change_status(
        instance,
        account_status=AccountStatus.AUTHENTICATED,
        substatus=Substatus.NORMAL,
        acting_user=acting_user,
    )
    return instance
