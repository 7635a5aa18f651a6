"""What a channel makes of a message, and of the messenger's response: plain values, without a socket or a database.

A channel's `prepare` and `read` are pure functions of these, so that one loop can have a thousand requests in flight,
and a test can examine any of them:

    prepare(message, link, uploaded) -> Prepared        a request to the messenger, work in this process, or why not
    read(request, response)          -> Result          what the messenger's response means
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from instances.models import Ack


@dataclass(frozen=True, slots=True)
class Rate:
    """At most this many messages in this many seconds; as many may be sent at once after a quiet time."""

    messages: int
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The messenger's limits. None: it has no such limit."""

    per_number: Rate | None = None  # of all messages of an instance
    per_recipient: Rate | None = None  # of the messages to one chat
    per_group: Rate | None = None  # of the messages to one group, instead of per_recipient
    in_flight: int = 20  # requests of an instance at once; those of a chat are sent one after the other


@dataclass(frozen=True, slots=True)
class Link:
    """Who sends. The values of `credentials` are masked wherever a request or response is stored.

    `options` are what else the link needs and may be shown: an API version, a base URL, the id of a business account.
    """

    number: int  # of the instance
    own_chat_id: str
    credentials: Mapping[str, str] = field(default_factory=dict)
    external_id: str = ""  # of the account at the messenger: the id of its phone number, bot or user
    options: Mapping[str, str] = field(default_factory=dict)
    callback_url: str = ""  # where the messenger sends its events; contains a secret
    proxy: str = (
        ""  # of the instance's settings: host:port of a SOCKS5 proxy, for a messenger that can use one
    )
    # Of a channel of streams (open_streams.py): where the receiver that holds the connection takes requests, and the
    # bearer token for it. Empty while the account is not connected.
    stream_url: str = ""
    stream_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file that a message carries. `link` is its public URL; `path` its name in the storage."""

    filename: str
    content_type: str
    size: int  # bytes
    path: str
    link: str


@dataclass(frozen=True, slots=True)
class MessageToSend:
    """A message of the queue, as a channel sees it.

    `message_id` is the idempotency key, if the messenger has one. With `deletes`, the message with that id is deleted
    for everyone instead. The messenger's own ids are known if the messenger has reported them (Sent, Moved,
    received_events): of the chat, of the quoted message, of the message to delete, and of the one
    that this is a copy of, which some messengers can forward.
    """

    message_id: str
    chat_id: str
    type: str  # MessageType
    body: str
    caption: str | None = None
    quoted: Mapping[str, Any] | None = None  # {"id", "body", "type", "messenger_id"}
    metadata: Mapping[str, Any] | None = None
    forwarded: int = 0
    file: File | None = None
    deletes: str = ""
    deletes_messenger_id: str = ""
    forwards_messenger_id: str = ""
    messenger_chat_id: str = ""  # what the messenger calls the chat, if it differs from chat_id
    # If it was tried before: a time before its first try. The messenger may have got it since, without our knowing.
    tried_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the messenger. `body_path`: the body is this file of the storage, and is not read to memory.

    In a form, `body` is before the file and `body_end` after it (multipart.py). With `is_base64`, the file is sent in
    base64, for a messenger that takes files in JSON.
    If `is_upload`, the response is read into Uploaded, and `prepare` is called again with its value. `context` is not
    sent: what `read` has to know besides.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    body_path: str = ""
    body_end: bytes = b""
    is_base64: bool = False
    is_upload: bool = False
    context: str = ""


@dataclass(frozen=True, slots=True)
class Local:
    """The channel is in this process: the recorder calls the channel's `carry_out`. No request is made."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The messenger has the message, or has deleted it.

    `messenger_id` is stored with the message: acks, quotes and deletions find it. `messenger_chat_id` is remembered for
    the chat, if the messenger calls it something else than it was asked. `acks` are those that the message has already,
    in order, SENT first; none for a deletion. If `needs_carry_out`, the recorder calls `carry_out` as for Local, and
    its result replaces this one, except `messenger_id`: the recipients are in this process.
    """

    acks: tuple[Ack, ...] = (Ack.SENT,)
    messenger_id: str = ""  # the messenger's own id of the message
    needs_carry_out: bool = False
    messenger_chat_id: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """The chat has another id at the messenger: it is remembered, and the message is tried again at once."""

    messenger_chat_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The messenger has the file; `value` is its name there."""

    value: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The messenger will not send this message, however often it is tried. `reason` is in its words.

    `prepare` returns it, with the sentence of `cannot`, for a message that the messenger has no function for.
    """

    reason: str


class Scope(enum.Enum):
    """What has to wait."""

    NUMBER = "number"
    CHAT = "chat"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Wait:
    """The messenger asks to try later: a limit. Without `seconds`, the sender's back-off decides.

    `prepare` returns it while the connection that a receiver holds for this account is not open.
    """

    reason: str
    scope: Scope = Scope.NUMBER
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The messenger could not, or its response makes no sense: it is tried again, and the breaker counts it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unlinked:
    """The credentials or the session are no longer valid: messages wait until the instance is linked again."""

    reason: str


Result = Sent | Moved | Uploaded | Refused | Wait | Failed | Unlinked
Prepared = Request | Local | Refused | Wait
