"""An instance's link as channels see it: the values of its ChannelLink."""

from __future__ import annotations

from django.db.models import F

from instances.channels.open_streams import stream_token
from instances.channels.requests import Link
from instances.models import ChannelLink, Instance


def link_of(stored: ChannelLink, *, stream_url: str = "") -> Link:
    """Returns the link. No query if `stored.instance` is loaded. Raises UnreadableSecret.

    `stream_url` is where its open connection takes requests (ReceiverState); only those who send need it.
    """
    instance = stored.instance
    return Link(
        number=instance.number,
        own_chat_id=instance.own_chat_id,
        credentials=stored.credentials,
        external_id=stored.external_id,
        options=stored.options,
        callback_url=stored.callback_url,
        proxy=instance.proxy,
        stream_url=stream_url,
        stream_token=stream_token(instance.number) if stream_url else "",
    )


def link_of_instance(instance: Instance) -> Link:
    """Returns the link of an instance, for a channel's `link`; without credentials if it is not linked. One query.

    Raises UnreadableSecret.
    """
    links = ChannelLink.objects.annotate(stream_url=F("instance__receiver_state__stream_url"))
    stored = links.filter(instance=instance).first()
    if stored is None:
        return Link(instance.number, instance.own_chat_id)
    stored.instance = instance
    return link_of(stored, stream_url=stored.stream_url or "")
