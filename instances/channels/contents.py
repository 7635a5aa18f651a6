"""The content of a message of WhatsApp, as a contact's or the user's own, and the values in its events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from instances.models import MessageType
from instances.received_events import Media, MessageReceived, MessageTyped

MILLISECONDS = 100_000_000_000  # larger numbers are no seconds of this century


@dataclass(frozen=True, slots=True)
class Content:
    """What a message contains, of a contact or of the account's own user."""

    type: str = MessageType.CHAT
    body: str = ""
    caption: str | None = None
    media: Media | None = None
    quoted: str = ""
    forwarded: int = 0

    def received(
        self, *, key: str, sender: str, sender_name: str, chat_id: str | None, time: datetime | None
    ) -> MessageReceived:
        """Returns the message of a contact; `chat_id` is the group, if it was written in one."""
        return MessageReceived(
            key=key,
            sender=sender,
            sender_name=sender_name,
            chat_id=chat_id,
            type=self.type,
            body=self.body,
            caption=self.caption,
            media=self.media,
            quoted=self.quoted,
            forwarded=self.forwarded,
            time=time,
        )

    def typed(self, *, key: str, chat_id: str, time: datetime | None) -> MessageTyped:
        """Returns the message that the user wrote in an app."""
        return MessageTyped(
            key=key,
            chat_id=chat_id,
            type=self.type,
            body=self.body,
            caption=self.caption,
            media=self.media,
            quoted=self.quoted,
            forwarded=self.forwarded,
            time=time,
        )


def time_of(given: Any) -> datetime | None:
    """Returns the time of a number of seconds or milliseconds, or of its text; None if it makes no sense."""
    try:
        seconds = float(given)
        return datetime.fromtimestamp(seconds / 1000 if seconds > MILLISECONDS else seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def text(found: object) -> str:
    """Returns a text; empty if it is none."""
    return found if isinstance(found, str) else ""
