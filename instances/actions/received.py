"""Records what a messenger reports, through the actions of each event, in the caller's transaction."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DataError
from django.db.models import Q
from django.utils import timezone

from instances import chat_ids
from instances.actions import events
from instances.actions.bans import Banned
from instances.actions.channel_links import (
    apply_status,
    record_account,
    record_session_end,
    renew_credentials,
)
from instances.actions.chats.groups import record_group_change, record_joined_group
from instances.actions.message_lookup import UnknownMessage, quote_of_messenger
from instances.actions.messages import (
    MessageContent,
    current_chat,
    receive_message,
    record_ack,
    record_failure,
    record_moved_chat,
    type_on_phone,
)
from instances.actions.read_receipts import record_chat_viewed, record_chat_viewed_until
from instances.actions.status import change_status, show_code
from instances.models import AccountStatus, Instance, Media, OutgoingMessage, ReceiverState, SendState
from instances.received_events import (
    AccountFound,
    ChatMoved,
    ChatViewed,
    CodeShown,
    CredentialsRenewed,
    GroupChanged,
    GroupJoined,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    MessageTyped,
    Person,
    ReceivedEvent,
    SessionEnded,
    StatusReported,
)

log = logging.getLogger(__name__)

# The files of reported messages by Media.reference: as they are stored, or the sentence that says why they are not.
ReceivedFiles = Mapping[str, Media | str]
NO_FILES: ReceivedFiles = {}
# Characters that the database cannot store: NUL, and halves of surrogate pairs. Anyone who writes can send them.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Which times of messages are believed: servers that strangers run report some of them. A time that Python cannot read
# back from the database would break every page that shows the message; a future one would keep the chat at the top.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)  # of this machine's clock
# The same for a status. Earlier ones are left out, so a clock that was wrong once would hide what is reported later.
MAX_STATUS_AHEAD = timedelta(minutes=10)
NO_FILE = "file not available"  # the body of a message without its file


class NotRecordedYet(Exception):
    """A report is of a message that is being sent: it can be recorded in a moment. The text is a sentence."""


@dataclass
class Recorded:
    """`refused` has a sentence for each event that cannot be recorded, however often it is tried."""

    number: int = 0
    refused: list[str] = field(default_factory=list)


def record_events(
    instance: Instance,
    reported: Sequence[ReceivedEvent],
    *,
    is_patient: bool,
    files: ReceivedFiles = NO_FILES,
) -> Recorded:
    """Record the events in order, with their hooks. Call it in a transaction; nothing of it is committed here.

    `files` are those of the messages, which were fetched before the transaction. An event that its action refuses does
    not stop the others. An event that was reported before changes nothing.

    Raises:
        NotRecordedYet: `is_patient`, and an ack or failure is of a message that is still in the queue. Otherwise it is
            left out.
        Instance.DoesNotExist: the instance was deleted.
    """
    recorded = Recorded()
    events.lock(instance)
    for event in reported:
        try:
            record_event(instance, storable(event), is_patient=is_patient, files=files)
            recorded.number += 1
        except Banned:
            continue  # the contact got the preBanMessage, in this transaction
        except (ValueError, DataError) as error:
            recorded.refused.append(f"{type(event).__name__}: {str(error).strip().split(chr(10))[0]}")
    return recorded


def storable(event: ReceivedEvent) -> ReceivedEvent:
    """Returns the event with U+FFFD for each character of its texts that cannot be stored."""
    changes: dict[str, Any] = {
        each.name: storable_text(value)
        for each in fields(event)
        if isinstance(value := getattr(event, each.name), str) and UNSTORABLE.search(value)
    }
    return replace(event, **changes) if changes else event


def storable_text(text: str) -> str:
    """Returns the text with U+FFFD for each character that cannot be stored."""
    return UNSTORABLE.sub("\ufffd", text)


def record_event(
    instance: Instance, event: ReceivedEvent, *, is_patient: bool, files: ReceivedFiles = NO_FILES
) -> None:
    """Record one event; a refusal rolls back its own savepoint only."""
    match event:
        case MessageReceived() | MessageTyped() if not event.key:
            raise ValueError(
                "a message without the messenger's id would be recorded again when it is repeated"
            )
        case MessageReceived():
            receive_message(
                instance,
                sender=event.sender,
                sender_name=event.sender_name,
                chat_id=event.chat_id,
                chat_name=event.chat_name,
                key=event.key,
                **content_of(instance, event, files),
            )
        case MessageTyped():
            type_on_phone(
                instance, chat_id=event.chat_id, key=event.key, **content_of(instance, event, files)
            )
        case MessageAcked() | MessageFailed():
            record_reported_state(instance, event, is_patient=is_patient)
        case ChatViewed():
            record_viewed(instance, event, is_patient=is_patient)
        case ChatMoved():
            record_moved_chat(instance, chat_id=event.old_chat_id, messenger_chat_id=event.messenger_chat_id)
        case GroupJoined() | GroupChanged():
            record_group(instance, event)
        case StatusReported() | CodeShown() | SessionEnded() | AccountFound() if is_outdated(
            instance, event.time
        ):
            return
        case StatusReported():
            record_status(instance, event)
        case CodeShown():
            show_code(instance)
        case SessionEnded():
            record_session_end(instance, reason=event.reason)
        case AccountFound():
            record_account(instance, own_chat_id=event.own_chat_id, name=event.name)
        case CredentialsRenewed():
            renew_credentials(instance, credentials=event.credentials)


def record_group(instance: Instance, event: GroupJoined | GroupChanged) -> None:
    """Record a report of a group, in the chat that the messenger calls so.

    What it still says of the former id of a group that has moved is left out: a group that moved has not
    ended.
    """
    where = current_chat(instance, chat_ids.of_chat(event.chat_id))
    if where is None:
        return
    if isinstance(event, GroupJoined):
        members = [(valid_ids(person), is_admin) for person, is_admin in event.members]
        record_joined_group(
            instance,
            chat_id=where,
            name=event.name,
            members=members,
            names=valid_names(event.names),
            stays_removed=event.is_known,
            time=believed_time(event.time),
        )
    else:
        record_group_change(
            instance,
            group_id=where,
            name=event.name,
            joined=[valid_ids(person) for person in event.joined],
            left=[valid_ids(person) for person in event.left],
            promoted=[valid_ids(person) for person in event.promoted],
            demoted=[valid_ids(person) for person in event.demoted],
            same=[valid_ids(person) for person in event.same],
            names=valid_names(event.names),
            time=believed_time(event.time),
        )


def valid_ids(person: Person) -> Person:
    """Returns the person's chat ids in their usual form. Raises BadChatId."""
    return tuple(chat_ids.of_phone(one) for one in person)


def valid_names(names: Mapping[str, str]) -> dict[str, str]:
    """Returns the names by chat ids in their usual form, as they can be stored. Raises BadChatId."""
    return {chat_ids.of_phone(one): storable_text(name) for one, name in names.items()}


def is_outdated(instance: Instance, time: datetime | None) -> bool:
    """Whether the messenger has reported what was later than `time` already; otherwise remembers it. Two queries.

    A time that cannot be right is not compared, neither this one nor one that was remembered.
    """
    latest = timezone.now() + MAX_STATUS_AHEAD
    if time is None or not EARLIEST <= time <= latest:
        return False
    states = ReceiverState.objects.filter(instance=instance)
    is_later = Q(status_at=None) | Q(status_at__lte=time) | Q(status_at__gt=latest)
    return not states.filter(is_later).update(status_at=time) and states.exists()


def record_status(instance: Instance, event: StatusReported) -> None:
    """Change to a status that the messenger reports. With a session, a link that was lost is no longer."""
    if event.account_status == AccountStatus.AUTHENTICATED and instance.lost_link is not None:
        apply_status(instance, status=event, acting_user=None)
    else:
        change_status(
            instance, account_status=event.account_status, substatus=event.substatus, reason=event.reason
        )


def content_of(
    instance: Instance, event: MessageReceived | MessageTyped, files: ReceivedFiles
) -> MessageContent:
    """Returns what the message contains. One query if it quotes another.

    A file that is not there is explained in the caption.
    """
    content = MessageContent(
        type=event.type,
        body=event.body,
        caption=event.caption,
        quoted=quote_of_messenger(instance, event.quoted),
        forwarded=event.forwarded,
        time=believed_time(event.time),
    )
    found = files.get(event.media.reference) if event.media else None
    if found is None:
        return content
    if isinstance(found, Media):
        return {**content, "media": found}
    explained = f"{event.caption or ''}\n(The file is not available: {found})".strip()
    return {**content, "body": NO_FILE, "caption": explained}


def believed_time(time: datetime | None) -> datetime | None:
    """Returns the messenger's time of a message; None, which means now, if it cannot be right."""
    return time if time and EARLIEST <= time <= timezone.now() + MAX_AHEAD else None


def record_reported_state(
    instance: Instance, event: MessageAcked | MessageFailed, *, is_patient: bool
) -> None:
    """Record an ack or a failure. A messenger may report it before the sender has recorded that it was sent."""
    try:
        if isinstance(event, MessageFailed):
            record_failure(
                instance, messenger_id=event.messenger_id, reason=event.reason, chat_id=event.chat_id
            )
        else:
            record_ack(
                instance,
                message_id=event.message_id,
                messenger_id=event.messenger_id,
                status=event.ack.label,
                chat_id=event.chat_id,
            )
    except UnknownMessage:
        if is_patient and may_be_recorded(instance, event):
            raise NotRecordedYet("The messenger reports on a message that is still being sent.") from None
        log.info("instance %s: an ack of an unknown message was left out", instance.number)


def record_viewed(instance: Instance, event: ChatViewed, *, is_patient: bool) -> None:
    """Record what was read. A receipt may be of a message that the sender has not recorded yet."""
    try:
        record_chat_viewed(instance, chat_id=event.chat_id, messenger_id=event.messenger_id)
    except UnknownMessage:
        if is_patient and is_sending(instance):
            raise NotRecordedYet("The messenger reports on a message that is still being sent.") from None
        if event.until is not None:
            record_chat_viewed_until(instance, chat_id=event.chat_id, until=event.until)


def may_be_recorded(instance: Instance, event: MessageAcked | MessageFailed) -> bool:
    """Returns whether the message of this report may still be in the queue.

    A message that is being sent gets the messenger's id with the response, so any of them may be meant.
    """
    if isinstance(event, MessageAcked) and not event.may_be_sending:
        return False
    waiting = OutgoingMessage.objects.waiting().filter(instance=instance)
    if isinstance(event, MessageAcked) and event.message_id:
        return waiting.filter(message_id=event.message_id).exists()
    return is_sending(instance)


def is_sending(instance: Instance) -> bool:
    return OutgoingMessage.objects.waiting().filter(instance=instance, state=SendState.SENDING).exists()
