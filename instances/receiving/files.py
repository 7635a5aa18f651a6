"""Fetches and stores the files of reported messages, before the transaction that records them.

A file gets TRIES tries. A message whose file cannot be had is recorded without it, with a sentence that says why: a
messenger whose files are not available must not hold up its messages. A process that is killed in between has recorded
nothing, so the files are fetched again; what it had stored expires.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings

from instances.actions.media import BLOCK, store_media
from instances.actions.received import ReceivedFiles
from instances.channels.masking import mask_text
from instances.channels.media import FetchedFile, FileUnavailable, HasMedia
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link
from instances.media.kinds import WrongFile
from instances.models import Instance, MessageType
from instances.models import Media as StoredMedia
from instances.received_events import Media, MessageReceived, MessageTyped, ReceivedEvent
from instances.receiving.database_thread import UNREACHABLE, DatabaseThread

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0)  # seconds before the second and the third try
# Of all tries of a file. One of MEDIA_MAX_BYTES (64 MB) needs 6 Mbit/s.
FILE_SECONDS = 90.0
MAX_FETCHES = 50  # files that a receiver fetches at once
STORE_THREADS = 2


class WantedFile(NamedTuple):
    """A file to fetch, of a message of this type."""

    media: Media
    type: str

    @property
    def filename(self) -> str:
        return self.media.filename or self.type


class WrongContent(Exception):
    """What was fetched is not the file that the messenger has described. The text is a sentence."""


def wanted_files(instance: Instance, reported: Sequence[ReceivedEvent]) -> list[WantedFile]:
    """Returns the files of these events that are stored: not those of videos while videos are not uploaded."""
    return [
        WantedFile(event.media, event.type)
        for event in reported
        if isinstance(event, MessageReceived | MessageTyped)
        and event.media is not None
        and (event.type != MessageType.VIDEO or instance.video_upload_on)
    ]


def too_large() -> str:
    return f"the file is larger than {settings.MEDIA_MAX_BYTES // 1024 // 1024} MB."


class FileFetcher:
    """Of one receiver, in its event loop."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.slots = asyncio.Semaphore(MAX_FETCHES)
        self.threads = [DatabaseThread(f"files {number}") for number in range(STORE_THREADS)]
        self.next_thread = itertools.cycle(self.threads)

    def end(self) -> None:
        for thread in self.threads:
            thread.end()

    async def fetch_all(
        self, instance: Instance, link: Link, channel: HasMedia, wanted: Sequence[WantedFile]
    ) -> ReceivedFiles:
        """Returns each file as it is stored, or the sentence that says why it is not. Raises UNREACHABLE."""
        by_reference = {one.media.reference: one for one in wanted}
        found = await asyncio.gather(
            *(self.fetch_within_limits(instance, link, channel, one) for one in by_reference.values())
        )
        return dict(zip(by_reference, found, strict=True))

    async def fetch_within_limits(
        self, instance: Instance, link: Link, channel: HasMedia, wanted: WantedFile
    ) -> StoredMedia | str:
        if wanted.media.size > settings.MEDIA_MAX_BYTES:
            return too_large()
        async with self.slots:
            try:
                async with asyncio.timeout(FILE_SECONDS):
                    return await self.fetch(instance, link, channel, wanted)
            except TimeoutError:
                return f"the messenger did not send the file within {FILE_SECONDS:.0f} s."

    async def fetch(
        self, instance: Instance, link: Link, channel: HasMedia, wanted: WantedFile
    ) -> StoredMedia | str:
        """Try to fetch and store the file; a failure that may pass is tried again after each of PAUSES."""
        for pause in (*PAUSES, None):
            try:
                fetched = await channel.fetch(link, wanted.media, self.network)
                with fetched.content:
                    return await self.store(instance, wanted, fetched)
            except (FileUnavailable, WrongFile) as error:
                return mask_text(str(error), link)
            except UNREACHABLE:
                raise
            except Exception as error:
                if not isinstance(error, ReceiveFailed | WrongContent | OSError):
                    log.warning("instance %s: a file was not fetched", instance.number, exc_info=error)
                if pause is None:
                    return mask_text(sentence_of(error), link)
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns")

    async def store(self, instance: Instance, wanted: WantedFile, fetched: FetchedFile) -> StoredMedia:
        """Store the file in a thread. A cancelled task waits for it: the thread reads the open file."""
        job = next(self.next_thread).submit(store, instance, wanted, fetched)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.wait([job])
            raise


def store(instance: Instance, wanted: WantedFile, fetched: FetchedFile) -> StoredMedia:
    """Check and store a fetched file. Raises WrongContent, WrongFile, UNREACHABLE."""
    expected = wanted.media.sha256.lower()
    if expected and digest_of(fetched) != expected:
        raise WrongContent(
            "the file that the messenger sent is damaged: its SHA-256 is not the announced one."
        )
    return store_media(
        instance,
        content=fetched.content,
        filename=fetched.filename or wanted.filename,
        content_type=fetched.content_type or wanted.media.content_type,
    )


def digest_of(fetched: FetchedFile) -> str:
    """Returns the SHA-256 of the content in hexadecimal; the position is at the start again."""
    digest = hashlib.sha256()
    while block := fetched.content.read(BLOCK):
        digest.update(block)
    fetched.content.seek(0)
    return digest.hexdigest()


def sentence_of(error: Exception) -> str:
    if isinstance(error, ReceiveFailed | WrongContent):
        return str(error)
    return f"the file could not be fetched ({type(error).__name__})."
