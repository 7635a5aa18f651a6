"""What a messenger reports: plain values that a channel makes of a callback, a poll or a stream.

instances/actions/received.py records them. Texts are the messenger's; times have a zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from instances.models import Ack, MessageType


@dataclass(frozen=True, slots=True)
class Media:
    """A file at the messenger. `reference` is the channel's own: with it, the channel fetches the file."""

    reference: str
    content_type: str = ""
    filename: str = ""
    size: int = 0  # bytes; 0: unknown
    sha256: str = ""  # in hexadecimal; empty: unknown


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A contact wrote. `key` is the messenger's own id of the message, by which a repeated report is recognised.

    It has the form of `messenger_id` of requests.Sent, and is unique in its chat. `sender` is a phone number or chat
    id; `chat_id` the group, if the message was written in one, and `chat_name` the group's name, if the message brings
    it. `quoted` is the messenger's id of the message that it answers. The body of a file is its link.
    """

    key: str
    sender: str
    body: str = ""
    type: str = MessageType.CHAT
    sender_name: str = ""
    chat_id: str | None = None
    chat_name: str = ""
    caption: str | None = None
    forwarded: int = 0
    quoted: str = ""
    media: Media | None = None
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
    quoted: str = ""
    media: Media | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageAcked:
    """A sent message was delivered or read. It is named by the id that this product gave it, or by the messenger's.

    With `chat_id`, only a message of this chat is meant: if people report acks themselves, one could name another's.
    """

    message_id: str = ""
    ack: Ack = Ack.SENT
    messenger_id: str = ""
    chat_id: str = ""
    may_be_sending: bool = True  # False: it was not sent from here, so its ack does not wait for one that is


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """A message that the messenger had accepted did not arrive. `reason` is in its words.

    It changes nothing if the message was delivered or read: messengers report in any order. `chat_id` as in
    MessageAcked.
    """

    messenger_id: str
    reason: str
    chat_id: str = ""


@dataclass(frozen=True, slots=True)
class ChatViewed:
    """The other side has read a chat up to a message, of either side; `messenger_id` is the messenger's id of it.

    If no message has this id, because it is of something that is not recorded, all messages up to `until` are read.
    """

    chat_id: str
    messenger_id: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChatMoved:
    """The messenger calls a chat something else from now on. `old_chat_id` is a chat id."""

    old_chat_id: str
    messenger_chat_id: str


# The chat ids of one person, who may have several: first the one that their messages have.
Person = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupJoined:
    """The account is in a group from now on: it was added, has joined it by a link, or has made it in an app.

    `members` are all participants, each with whether they are an admin; empty if the messenger does not say. `names`
    are people's names by any of their ids, as far as they are known. With `is_known`, the account was in the group
    before: a chat that was removed from the list of dialogs stays removed.
    """

    chat_id: str
    name: str = ""
    members: tuple[tuple[Person, bool], ...] = ()
    is_known: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    time: datetime | None = field(default=None, compare=False)  # as in GroupChanged


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """A group was changed by anyone, also by the account. Empty values are unchanged; what is known changes nothing.

    `names` as in GroupJoined. `same` are people who may be listed by each of their ids, and are one participant each.
    `time`: when it was changed, by the messenger's clock. For a member, or the name, who has changed after that, it is
    left out. Without it, the order in which changes are reported counts.
    """

    chat_id: str
    name: str = ""
    joined: tuple[Person, ...] = ()
    left: tuple[Person, ...] = ()
    promoted: tuple[Person, ...] = ()  # are admins now
    demoted: tuple[Person, ...] = ()
    same: tuple[Person, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    time: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StatusReported:
    """The session's status. The values are those of actions.status.change_status; None leaves one unchanged.

    `time`, here and in the events below: when the messenger says that it was so, by its clock. What is earlier than
    what was reported already is left out. Without it, the order in which it is reported counts.
    """

    account_status: str | None = None  # of AccountStatus
    substatus: str | None = None  # of Substatus
    reason: str | None = None  # of LoadingReason
    time: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CodeShown:
    """There is a new QR code to scan: the first one, or one that replaces it. Channel.qr_text returns it."""

    time: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The account was logged out at the messenger, not from here: it has to be linked again, and its owner is mailed.

    The status is reported besides. `reason` is a sentence for people.
    """

    reason: str
    time: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AccountFound:
    """Which account the session is of, for a messenger that knows it only after a code was scanned. It is linked."""

    own_chat_id: str  # see instances/chat_ids.py
    name: str = ""  # as people call the account
    time: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CredentialsRenewed:
    """The channel has signed in again by itself: these credentials replace all those of the link."""

    credentials: Mapping[str, str] = field(repr=False)


ReceivedEvent = (
    MessageReceived
    | MessageTyped
    | MessageAcked
    | MessageFailed
    | ChatViewed
    | ChatMoved
    | GroupJoined
    | GroupChanged
    | StatusReported
    | CodeShown
    | SessionEnded
    | AccountFound
    | CredentialsRenewed
)
