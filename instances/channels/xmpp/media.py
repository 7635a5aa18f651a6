"""Fetches a file of a message: it is at a URL that its sender gave, at any server."""

from __future__ import annotations

from instances.channels.media import FetchedFile, FileUnavailable
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Request
from instances.received_events import Media

SECONDS = 60.0
UNKNOWN_TYPES = ("", "application/octet-stream", "binary/octet-stream")


async def fetch(media: Media, network: Network) -> FetchedFile:
    """See instances.channels.media.HasMedia. `media.reference` is the URL; the network checks its address."""
    if not media.reference.isascii() or not media.reference.isprintable():
        raise FileUnavailable("the sender gave no valid URL of a file.")
    response, content = await network.download(Request("GET", media.reference), seconds=SECONDS)
    if response.status == 200:
        given = response.header("content-type").partition(";")[0].strip()
        return FetchedFile(content, "" if given in UNKNOWN_TYPES else given)
    content.close()
    sentence = f"the file's server responded with {response.status}."
    if response.status in (408, 429) or (response.status or 500) >= 500:
        raise ReceiveFailed(sentence)
    raise FileUnavailable(sentence)
