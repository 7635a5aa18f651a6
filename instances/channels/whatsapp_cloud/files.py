"""Fetches a file that a person sent: its id gives a URL for five minutes, and the URL the file."""

from __future__ import annotations

from urllib.parse import urlsplit

from instances.channels.media import FetchedFile, FileUnavailable
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.channels.whatsapp_cloud import graph
from instances.channels.whatsapp_cloud.errors import sentence_of
from instances.received_events import Media

GET_SECONDS = 15.0
DOWNLOAD_SECONDS = 90.0
GONE = "WhatsApp no longer has the file. It keeps files for 7 days."


async def fetch(link: Link, media: Media, network: Network) -> FetchedFile:
    """Returns the file. A URL that is no longer valid is asked for again, by the next try.

    Raises:
        FileUnavailable: WhatsApp does not have it any more.
        ReceiveFailed: for now it cannot be fetched.
    """
    response = await network.send(graph.get(link, media.reference), seconds=GET_SECONDS)
    found = json_object(response)
    url = found.get("url")
    if response.status != 200 or not isinstance(url, str):
        error = found.get("error")
        error = error if isinstance(error, dict) else {}
        if response.status in (400, 404) and graph.code_of(error) in (100, None):
            raise FileUnavailable(GONE)
        raise ReceiveFailed(sentence_of(error) if error else f"WhatsApp responded with {response.status}.")
    if urlsplit(url).scheme not in ("http", "https"):
        raise FileUnavailable("WhatsApp gave no valid URL for the file.")
    request = Request("GET", url, {**graph.authorization(link), "User-Agent": "ChatAPI"})
    response, content = await network.download(request, seconds=DOWNLOAD_SECONDS)
    if response.status != 200:
        content.close()
        raise ReceiveFailed(f"WhatsApp responded with {response.status} to the request for the file.")
    content_type = found.get("mime_type")
    return FetchedFile(content, content_type if isinstance(content_type, str) else media.content_type)
