"""Records what a channel has received, with its files, as a receiver does."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from instances.actions.media import store_media
from instances.actions.received import record_events
from instances.channels.media import HasMedia
from instances.channels.requests import Link
from instances.models import Instance, Media
from instances.received_events import ReceivedEvent
from instances.receiving.files import wanted_files
from instances.receiving.messenger_calls import call_messenger


def record_with_files(
    instance: Instance, channel: HasMedia, link: Link, events: Sequence[ReceivedEvent]
) -> None:
    """Fetch the files of the events and record them all; none may be refused."""
    files: dict[str, Media | str] = {}
    for wanted in wanted_files(instance, events):
        fetched = call_messenger(lambda network, media=wanted.media: channel.fetch(link, media, network))  # type: ignore[misc]
        with fetched.content as content:
            files[wanted.media.reference] = store_media(instance, content=content, filename=wanted.filename)
    with transaction.atomic():
        assert not record_events(instance, events, is_patient=False, files=files).refused
