"""Fetches a received file: from the authenticated repository, or as homeservers before Matrix 1.11 offer it."""

from __future__ import annotations

from instances.channels.matrix import api
from instances.channels.media import FetchedFile, FileUnavailable
from instances.channels.receiving import LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link, Request
from instances.received_events import Media

SECONDS = 60.0
PREFIXES = ("/_matrix/client/v1/media", "/_matrix/media/v3")
DOTS = (".", "..")  # they would make another path
UNKNOWN_TYPES = ("", "application/octet-stream")


async def fetch(link: Link, media: Media, network: Network) -> FetchedFile:
    """See instances.channels.media.HasMedia. `media.reference` is an mxc URI."""
    server, _, name = media.reference.removeprefix("mxc://").partition("/")
    is_uri = media.reference.startswith("mxc://") and server and name and "/" not in name
    if not is_uri or server in DOTS or name in DOTS:
        raise FileUnavailable("the sender gave no address of a file at a homeserver.")
    for prefix in PREFIXES:
        request = Request(
            "GET", api.url(link, "download", server, name, prefix=prefix), api.authorization(link)
        )
        response, content = await network.download(request, seconds=SECONDS)
        if response.status == 200:
            given = response.header("content-type").partition(";")[0].strip()
            return FetchedFile(content, "" if given in UNKNOWN_TYPES else given)
        content.close()
        problem = api.problem_of(response)
        if problem.is_link_lost:
            raise LinkLost(problem.sentence)
        if problem.code != "M_UNRECOGNIZED":
            break
    if problem.code in ("", "M_NOT_YET_UPLOADED", "M_LIMIT_EXCEEDED") or problem.status >= 500:
        raise ReceiveFailed(problem.sentence, seconds=problem.seconds)
    raise FileUnavailable(problem.sentence)
