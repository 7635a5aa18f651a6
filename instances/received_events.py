"""What a messenger reports: plain values that a channel makes of a callback, a poll or a stream.

instances/actions/received.py records them. Texts are the messenger's; times have a zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from instances.models import Ack, MessageType


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A contact wrote. `key` is the messenger's own id of the message, by which a repeated report is recognised.

    `sender` is a phone number or chat id; `chat_id` the group, if the message was written in one. The body of a file is
    its link.
    """

    key: str
    sender: str
    body: str = ""
    type: str = MessageType.CHAT
    sender_name: str = ""
    chat_id: str | None = None
    caption: str | None = None
    forwarded: int = 0
    time: datetime | None = None  # the messenger's; by default now


@dataclass(frozen=True, slots=True)
class MessageTyped:
    """The account's user wrote on the phone or in another client. `key` as in MessageReceived."""

    key: str
    chat_id: str
    body: str = ""
    type: str = MessageType.CHAT
    caption: str | None = None
    forwarded: int = 0
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageAcked:
    """A sent message was delivered or read. `message_id` is the id that this product gave it."""

    message_id: str
    ack: Ack


@dataclass(frozen=True, slots=True)
class StatusReported:
    """The session's status. The values are those of actions.status.change_status; None leaves one unchanged."""

    account_status: str | None = None  # of AccountStatus
    substatus: str | None = None  # of Substatus
    reason: str | None = None  # of LoadingReason


ReceivedEvent = MessageReceived | MessageTyped | MessageAcked | StatusReported
