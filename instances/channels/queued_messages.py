"""The messages of a queue as the values that a channel gets."""

from __future__ import annotations

from datetime import datetime

from instances.channels.base import Channel
from instances.channels.own_ids import own_id
from instances.channels.requests import File, MessageToSend
from instances.models import OutgoingMessage


def message_to_send(outgoing: OutgoingMessage, channel: Channel) -> MessageToSend:
    """Returns the message as its channel sees it. One query if it has a file that is not loaded (`media`).

    The messenger's ids are those that the claim has found (`messenger_ids`), without ids of another messenger.
    """
    ids = outgoing.messenger_ids
    quoted = own_id(channel, ids.quoted)
    return MessageToSend(
        message_id=outgoing.message_id,
        chat_id=outgoing.chat_id,
        type=outgoing.type,
        body=outgoing.body,
        caption=outgoing.caption,
        quoted=None if outgoing.quoted is None else {**outgoing.quoted, "messenger_id": quoted},
        metadata=outgoing.metadata,
        forwarded=outgoing.forwarded,
        file=file_of(outgoing),
        deletes=outgoing.deletes,
        deletes_messenger_id=own_id(channel, ids.deletes),
        forwards_messenger_id=own_id(channel, ids.forwards),
        messenger_chat_id=ids.chat,
        tried_since=tried_since(outgoing),
    )


def tried_since(outgoing: OutgoingMessage) -> datetime | None:
    """Returns a time before the first try of a message that is being tried again; None if this is its first try.

    The claim has counted this try.
    """
    return outgoing.tried_since or (outgoing.created_at if outgoing.tries > 1 else None)


def file_of(outgoing: OutgoingMessage) -> File | None:
    """Returns the stored file of the message; None if it has none, or if the file was deleted."""
    if outgoing.media_id is None or outgoing.media is None:
        return None
    media = outgoing.media
    return File(media.filename, media.content_type, media.size, media.path, media.link)
