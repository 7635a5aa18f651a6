"""Files that a messenger reports with a message (received_events.Media): how a channel fetches one.

The product fetches a file before it records the message (instances/receiving/files.py), stores it as files of messages
are stored, and makes its link the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol, runtime_checkable

from instances.received_events import Media

if TYPE_CHECKING:
    from instances.channels.receiving import Network
    from instances.channels.requests import Link


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that was fetched, positioned at its start. Empty texts: as Media says. Its user closes `content`."""

    content: IO[bytes]
    content_type: str = ""
    filename: str = ""


class FileUnavailable(Exception):
    """The file cannot be had, however often it is tried. The text is a sentence for people, without credentials."""


@runtime_checkable
class HasMedia(Protocol):
    """A channel whose messages have files that are fetched from the messenger."""

    async def fetch(self, link: Link, media: Media, network: Network) -> FetchedFile:
        """Returns the file, by one or more requests; `Network.download` keeps a long one on disk.

        No query, and nothing that blocks: the event loop serves thousands of instances.

        Raises:
            FileUnavailable: the message is recorded without its file.
            ReceiveFailed: as any other exception, it is tried again a few times.
        """
        ...
