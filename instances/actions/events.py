"""What all events share: the lock on the instance's row, which puts them in one order, and their hooks.

Every event locks the instance's row first, so events of an instance are recorded one after the other: message numbers
have no gaps, the ids of hooks are in the order of the events, and a chat is created once.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.utils import timezone

from hooks import outbox
from hooks.models import ChatKind, Direction, Kind, SkipReason
from hooks.outbox import Event
from instances import chat_ids, payloads
from instances.models import Ack, Instance, Message, StopReason
from instances.payload_types import HookChat


def lock(instance: Instance) -> None:
    """Reload the instance and lock its row until the transaction ends."""
    instance.refresh_from_db(from_queryset=Instance.objects.select_for_update(no_key=True))


def emit(instance: Instance, *events: Event) -> None:
    """Create the hooks of these events, in this order. The caller holds the lock on the instance's row."""
    outbox.emit_all(instance.pk, events)


def emit_for_many(of_instances: Mapping[Instance, Sequence[Event]]) -> None:
    """Create the hooks of the events of many instances, in this order. The caller holds the locks on their rows."""
    outbox.emit_for_many({instance.pk: events for instance, events in of_instances.items()})


def skip_of(instance: Instance, *, flag: bool = True) -> SkipReason | None:
    """Returns why a hook of this instance would not be sent now, if so; `flag` is the setting for its kind."""
    if instance.is_stopped:
        return SkipReason.BLOCKED if instance.stop_reason == StopReason.BLOCKED else SkipReason.STOPPED
    if not instance.is_paid:
        return SkipReason.NOT_PAID
    return None if flag else SkipReason.FLAG_OFF


def of_message(instance: Instance, message: Message, *, ack: Ack | None = None) -> Event:
    """The event of a received or sent message; `ack` is shown instead of the message's own ack."""
    skip = skip_of_message(instance, message)
    return about_message(Kind.MESSAGE, payloads.message_body(message, ack), message, skip)


def skip_of_message(instance: Instance, message: Message) -> SkipReason | None:
    """Returns why the hook of this message would not be sent now, if so."""
    skip = skip_of(instance)
    if skip is None and instance.ignore_old_messages:
        oldest = timezone.now() - timedelta(seconds=instance.old_messages_period)
        skip = SkipReason.TOO_OLD if message.time < oldest else None
    if skip is None and message.chat.archived and not instance.process_archive:
        skip = SkipReason.ARCHIVED  # disableDialogsArchive keeps the chat in the archive
    return skip


def of_ack(instance: Instance, message: Message, ack: Ack) -> Event:
    """The event of one ack. For a message typed on the phone its hook is skipped (contract.md, section 3)."""
    skip = skip_of(instance, flag=instance.ack_notifications_on)
    if not message.by_api and skip in (None, SkipReason.FLAG_OFF):
        skip = SkipReason.TYPED_ON_PHONE
    return about_message(Kind.ACK, payloads.ack_body(message, ack), message, skip)


def about_message(kind: Kind, body: bytes, message: Message, skip: SkipReason | None) -> Event:
    """The event of a message or ack, with what the endpoints' filters read."""
    return Event(
        kind,
        body,
        message.message_id,
        message.chat.chat_id,
        skip,
        direction=Direction.OUT if message.from_me else Direction.IN,
        message_type=message.type,
        chat_kind=chat_kind(message.chat.chat_id),
    )


def chat_kind(chat_id: str) -> ChatKind:
    return ChatKind.GROUP if chat_ids.is_group(chat_id) else ChatKind.DIRECT


def of_status(instance: Instance, *, old: tuple[str, str]) -> Event:
    """The event of a change from `old` (accountStatus, substatus) to the instance's current status."""
    new = (instance.account_status, instance.substatus)
    body = payloads.status_body(instance, old=old, new=new, at=instance.status_changed_at)
    return Event(Kind.STATUS, body, skip=skip_of(instance, flag=instance.status_notifications_on))


def of_chat(instance: Instance, *, old: HookChat | None, new: HookChat) -> Event:
    """The event of a new or changed chat; `old` and `new` as payloads.chat_dict returns them."""
    body = payloads.chat_body(instance, old=old, new=new)
    skip = skip_of(instance, flag=instance.chat_update_on)
    return Event(Kind.CHAT, body, chat=new["id"], skip=skip, chat_kind=chat_kind(new["id"]))
