"""Bans: a contact whose number matches the mask gets one message, and their messages are dropped (contract.md §2).

The effect of a ban is this project's choice, because the original's is unknown: it works like blocking a contact. A
direct message or a call of a banned contact is not recorded, gets no number and creates no hook. Groups are not
affected, because contacts cannot be blocked there. The account may still write to contacts it has banned.
"""

from django.db import transaction

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from instances import ban_masks, chat_ids
from instances.actions import events
from instances.actions.sending.accept import QueueFull, send_message
from instances.models import BannedContact, Instance

LONGEST_MESSAGE = 4_096  # characters of preBanMessage


class Banned(Exception):
    """The sender's number matches the mask, so the message was dropped. The text is a sentence for the caller."""


@transaction.atomic
def change_bans(
    instance: Instance,
    *,
    mask: str | None = None,
    pre_ban_message: str | None = None,
    acting_user: User | None = None,
) -> Instance:
    """Change the mask and the message for banned contacts; None leaves a value unchanged.

    The empty mask bans no contact. After a change of the mask, every banned contact gets the message again.

    Raises:
        ban_masks.BadMask: the mask is not a valid pattern.
    """
    if mask:
        ban_masks.compile_mask(mask)
    events.lock(instance)
    changed = []
    if mask is not None and mask != instance.ban_phone_mask:
        BannedContact.objects.filter(instance=instance).delete()
        instance.ban_phone_mask = mask
        changed.append("banPhoneMask")
    if pre_ban_message is not None and pre_ban_message != instance.pre_ban_message:
        instance.pre_ban_message = pre_ban_message
        changed.append("preBanMessage")
    if changed:
        instance.save(update_fields=["ban_phone_mask", "pre_ban_message"])
        audit.record(instance, AuditAction.SETTINGS_CHANGED, acting_user=acting_user, changed=changed)
    return instance


def is_banned(instance: Instance, chat_id: str) -> bool:
    """Whether the mask matches this contact's number. Only phone numbers are banned.

    A mask that a newer regex engine rejects matches no contact.
    """
    phone = chat_ids.phone_of(chat_id)
    if not instance.ban_phone_mask or not phone:
        return False
    try:
        return ban_masks.matches(instance.ban_phone_mask, phone)
    except ban_masks.BadMask:
        return False


def notify_if_banned(instance: Instance, chat_id: str) -> bool:
    """Returns whether the contact is banned. Sends the preBanMessage when they write for the first time.

    Called in a transaction.
    """
    if not is_banned(instance, chat_id):
        return False
    events.lock(instance)
    if BannedContact.objects.filter(instance=instance, chat_id=chat_id).exists():
        return True
    if instance.pre_ban_message and instance.is_paid:
        try:
            send_message(instance, chat_id=chat_id, body=instance.pre_ban_message)
        except QueueFull:
            return True  # sent when the contact writes again
    BannedContact.objects.create(instance=instance, chat_id=chat_id)
    return True
