"""The files of received messages: getFile says where a file is, and it is downloaded from there."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings

from instances.channels.media import FetchedFile, FileUnavailable
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.channels.telegram import api
from instances.received_events import Media

GET_FILE_SECONDS, DOWNLOAD_SECONDS = 20.0, 80.0
MAX_FILE = 20 * 1024**2  # bytes; Telegram gives bots no larger file
TOO_LARGE = "the file is larger than 20 MB, which Telegram does not give to bots."


async def fetch(link: Link, media: Media, network: Network) -> FetchedFile:
    """Returns the file. Raises FileUnavailable, ReceiveFailed."""
    if media.size > MAX_FILE:
        raise FileUnavailable(TOO_LARGE)
    path = await path_of(link, media, network)
    url = f"{settings.TELEGRAM_URL}/file/bot{api.token_of(link)}/{quote(path)}"
    response, content = await network.download(Request("GET", url), seconds=DOWNLOAD_SECONDS)
    if response.status != 200:
        content.close()
        raise ReceiveFailed(f"Telegram responded with {response.status} to the download of the file.")
    return FetchedFile(content, media.content_type, media.filename or path.rpartition("/")[2])


async def path_of(link: Link, media: Media, network: Network) -> str:
    """Returns where the file is, for at least an hour."""
    request = api.call(link, "getFile", {"file_id": media.reference})
    response = await network.send(request, seconds=GET_FILE_SECONDS)
    found = json_object(response)
    result = found.get("result")
    if response.status == 200 and isinstance(result, dict) and result.get("file_path"):
        return str(result["file_path"])
    said = api.explain(found) or f"Telegram responded with {response.status}."
    if response.status == 401:
        raise LinkLost("Telegram does not accept the bot's token any more.")
    if response.status == 400:
        raise FileUnavailable(TOO_LARGE if "too big" in said else f"Telegram does not give the file: {said}")
    raise ReceiveFailed(said, seconds=api.retry_seconds(found))
