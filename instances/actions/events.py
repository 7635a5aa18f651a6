"""What every event shares: the instance's row lock, which puts events in one order, and the hook of each.

The row of the instance is locked first, by all of them. So two events never pass each other: the
numbers have no gap, the ids of the hooks are in the order of the events, and a chat is made once.
"""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from hooks import outbox
from hooks.models import Kind, SkipReason
from hooks.outbox import Event
from instances import fast_lookup, payloads
from instances.models import Ack, Instance, Message, StopReason


def lock(instance: Instance) -> None:
    """Reads the instance anew and keeps its row until the transaction ends."""
    instance.refresh_from_db(from_queryset=Instance.objects.select_for_update(no_key=True))


def raise_counter(instance: Instance, counter: str, by: int = 1) -> int:
    """Locks the instance's row, adds `by` to one of its counters and returns the new value.

    One statement also brings back every column, so the flags that the event obeys are those of now.
    Raises Instance.DoesNotExist if the instance was deleted meanwhile.
    """
    fresh = fast_lookup.update(f'"{counter}" = "{counter}" + %s', "id = %s", [by, instance.pk])
    if fresh is None:
        raise Instance.DoesNotExist(f"instance {instance.pk} is gone")
    for name in fast_lookup.NAMES:
        setattr(instance, name, getattr(fresh, name))
    return int(getattr(fresh, counter))


def emit(instance: Instance, *events: Event) -> None:
    """Writes the hooks of these events, in this order; the caller holds the instance's row lock."""
    outbox.emit_all(instance.pk, events)


def skip_of(instance: Instance, *, flag: bool = True) -> SkipReason | None:
    """Why no hook of this instance would be sent now; `flag` is the setting that asks for its kind."""
    if instance.is_stopped:
        return SkipReason.BLOCKED if instance.stop_reason == StopReason.BLOCKED else SkipReason.STOPPED
    if not instance.is_paid:
        return SkipReason.NOT_PAID
    return None if flag else SkipReason.FLAG_OFF


def of_message(instance: Instance, message: Message, *, ack: Ack | None = None) -> Event:
    """The hook of a message, in both directions; `ack` where it is to show an earlier tick than the message has."""
    skip = skip_of(instance)
    if skip is None and instance.ignore_old_messages:
        oldest = timezone.now() - timedelta(seconds=instance.old_messages_period)
        skip = SkipReason.TOO_OLD if message.time < oldest else None
    if skip is None and message.chat.archived and not instance.process_archive:
        skip = SkipReason.ARCHIVED  # a chat that its messages leave in the archive (disableDialogsArchive)
    return Event(
        Kind.MESSAGE, payloads.message_body(message, ack), message.message_id, message.chat.chat_id, skip
    )


def of_ack(instance: Instance, message: Message, ack: Ack) -> Event:
    """The hook of one tick; a message typed on the phone gets none (contract.md, section 3)."""
    skip = skip_of(instance, flag=instance.ack_notifications_on)
    if not message.by_api and skip in (None, SkipReason.FLAG_OFF):
        skip = SkipReason.TYPED_ON_PHONE
    return Event(Kind.ACK, payloads.ack_body(message, ack), message.message_id, message.chat.chat_id, skip)


def of_status(instance: Instance, *, old: tuple[str, str]) -> Event:
    """The hook of a change from `old` (accountStatus, substatus) to what the instance has now."""
    new = (instance.account_status, instance.substatus)
    body = payloads.status_body(instance, old=old, new=new, at=instance.status_changed_at)
    return Event(Kind.STATUS, body, skip=skip_of(instance, flag=instance.status_notifications_on))


def of_chat(instance: Instance, *, old: dict[str, Any] | None, new: dict[str, Any]) -> Event:
    """The hook of a new or a changed chat; both as payloads.chat_dict makes them."""
    body = payloads.chat_body(instance, old=old, new=new)
    return Event(Kind.CHAT, body, chat=new["id"], skip=skip_of(instance, flag=instance.chat_update_on))
