"""Bans: whose number fits the mask is told so once, and what they write never arrives (contract.md, section 2).

What a ban does is this project's choice, as the original's is not known: it is what blocking a contact does. A direct
message or a call of a banned contact is not recorded, has no number and no hook. Groups are not touched, since
nobody can be blocked there; and the account may write to whom it has banned.
"""

from typing import Any

from django.db import transaction

from instances import ban_masks, chat_ids
from instances.actions import events
from instances.models import BannedContact, Instance, Message

LONGEST_MESSAGE = 4_096  # characters of preBanMessage


class Banned(Exception):
    """The sender's number fits the mask, so what they wrote was not taken in; the text is a sentence for the caller."""


@transaction.atomic
def change_bans(
    instance: Instance,
    *,
    mask: str | None = None,
    pre_ban_message: str | None = None,
    acting_user: Any = None,
) -> Instance:
    """What is None stays; the empty mask bans nobody. Another mask begins anew: everybody is told once more.

    Raises masks.BadMask.
    """
    if mask:
        ban_masks.compiled(mask)
    events.lock(instance)
    if mask is not None and mask != instance.ban_phone_mask:
        BannedContact.objects.filter(instance=instance).delete()
        instance.ban_phone_mask = mask
    if pre_ban_message is not None:
        instance.pre_ban_message = pre_ban_message
    instance.save(update_fields=["ban_phone_mask", "pre_ban_message"])
    return instance


def is_banned(instance: Instance, chat_id: str) -> bool:
    """Does the mask fit this person's number? A mask that has become wrong, by a newer engine, fits nobody."""
    if not instance.ban_phone_mask or chat_ids.is_group(chat_id):
        return False
    try:
        return ban_masks.matches(instance.ban_phone_mask, chat_ids.digits(chat_id))
    except ban_masks.BadMask:
        return False


def turn_away(instance: Instance, chat_id: str) -> None:
    """A banned contact has written: the first time they get the preBanMessage. The caller holds the instance's lock."""
    from instances.actions.sending.accept import (  # which needs messages.py, and that this
        QueueFull,
        send_message,
    )

    if BannedContact.objects.filter(instance=instance, chat_id=chat_id).exists():
        return
    if instance.pre_ban_message and instance.is_paid:
        try:
            send_message(instance, chat_id=chat_id, body=instance.pre_ban_message)
        except QueueFull:
            return  # they are told when they write again
    BannedContact.objects.create(instance=instance, chat_id=chat_id)


def raise_if_banned(message: Message | None) -> Message:
    """What was taken in; raises Banned, outside the transaction in which they were told, where nothing was."""
    if message is None:
        raise Banned(
            "The sender's number fits banPhoneMask, so nothing that they write reaches the instance."
        )
    return message
