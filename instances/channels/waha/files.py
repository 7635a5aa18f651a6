"""Fetches a file that WAHA has downloaded. WAHA removes it after three minutes, so it is fetched at once."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from instances.channels.media import FetchedFile, FileUnavailable
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.channels.waha import api
from instances.channels.waha.incoming import NO_FILE
from instances.received_events import Media

SECONDS = 90.0
FILES = "/api/files/"
NO_URL = "the WAHA server gave no valid URL for the file."
GONE = "the WAHA server no longer has the file."
NOT_DOWNLOADED = "the WAHA server did not download the file"


async def fetch(link: Link, media: Media, network: Network) -> FetchedFile:
    """Returns the file.

    Raises:
        FileUnavailable: WAHA does not have it.
        ReceiveFailed: for now it cannot be fetched.
    """
    if media.reference.startswith(NO_FILE):
        why = media.reference.removeprefix(NO_FILE)
        raise FileUnavailable(f"{NOT_DOWNLOADED}: {why}" if why else f"{NOT_DOWNLOADED}.")
    response, content = await network.download(request_of(link, media.reference), seconds=SECONDS)
    if response.status == 200:
        return FetchedFile(content, media.content_type, media.filename)
    content.close()
    if response.status in (404, 410):
        raise FileUnavailable(GONE)
    raise ReceiveFailed(f"WAHA responded with {response.status} to the request for the file.")


def request_of(link: Link, url: str) -> Request:
    """Returns the request for a file. The API key goes to the server of the link alone.

    WAHA writes into the URL what it takes for its own name, such as localhost. Files that it keeps elsewhere, in a
    bucket, are fetched there without the key.
    """
    base, found = link.options.get(api.URL, ""), urlsplit(url)
    if ".." in unquote(found.path).split("/"):  # would be another path of the API, with the key
        raise FileUnavailable(NO_URL)
    if found.path.startswith(FILES) or (FILES in found.path and url.startswith(f"{base}/")):
        path = found.path[found.path.index(FILES) :]
        return Request(
            "GET", base + path + (f"?{found.query}" if found.query else ""), {"X-Api-Key": api.key_of(link)}
        )
    if found.scheme not in ("http", "https"):
        raise FileUnavailable(NO_URL)
    return Request("GET", url)
