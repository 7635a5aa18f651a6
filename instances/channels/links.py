"""An instance's link as channels see it: the values of its ChannelLink."""

from __future__ import annotations

from instances.channels.requests import Link
from instances.models import ChannelLink, Instance


def link_of(stored: ChannelLink) -> Link:
    """Returns the link. No query if `stored.instance` is loaded. Raises UnreadableSecret."""
    instance = stored.instance
    return Link(
        number=instance.number,
        own_chat_id=instance.own_chat_id,
        credentials=stored.credentials,
        external_id=stored.external_id,
        options=stored.options,
        callback_url=stored.callback_url,
        proxy=instance.proxy,
    )


def link_of_instance(instance: Instance) -> Link:
    """Returns the link of an instance, for a channel's `link`; without credentials if it is not linked. One query.

    Raises UnreadableSecret.
    """
    stored = ChannelLink.objects.filter(instance=instance).first()
    if stored is None:
        return Link(instance.number, instance.own_chat_id)
    stored.instance = instance
    return link_of(stored)
