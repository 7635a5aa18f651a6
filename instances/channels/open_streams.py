"""What a channel may offer besides receiving.py: messages are sent on the connection over which events are received.

The receiver that holds such a connection takes requests of senders over HTTP, and gives them to the channel's
OpenStream, which its `receive` has yielded (Batch.stream). So the sender makes requests as for any other messenger:

    prepare → Request to Link.stream_url → StreamGateway (instances/receiving/stream_gateway.py) → OpenStream → read

Each request has a bearer token of its instance, derived from SECRET_KEY. Link.stream_url is empty, and `prepare`
returns Wait, while the account is not connected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from django.utils.crypto import salted_hmac

from hooks import http
from hooks.http import Response
from instances.channels.requests import Link, Request, Scope, Wait

WAIT_SECONDS = 1.0
NOT_CONNECTED = Wait("The account is not connected at the moment.", Scope.NUMBER, WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class StreamReply:
    """A response to a sender. `retry_after` is in seconds."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    retry_after: int | None = None


class OpenStream(Protocol):
    """An open connection that takes requests of senders, in the event loop of its receiver."""

    async def call(self, action: str, body: bytes) -> StreamReply:
        """Respond to a request. `action` is the last part of its URL, in the channel's own words.

        May be cancelled, after the seconds of a request or because the connection ends. What was not written before
        must not be written afterwards.
        """
        ...


def stream_token(number: int) -> str:
    """Returns the bearer token for the open connection of the instance with this number."""
    return salted_hmac("instances.channels.open_streams", str(number), algorithm="sha256").hexdigest()


def stream_request(link: Link, action: str, body: bytes, content_type: str) -> Request:
    """Returns the request to the connection of a link that has one."""
    headers = {"Authorization": f"Bearer {link.stream_token}", "Content-Type": content_type}
    return Request("POST", f"{link.stream_url}/{link.number}/{action}", headers, body)


def is_to_stream(url: str, link: Link) -> bool:
    """Returns whether the URL is one of the link's open connection: allowed, whatever address the receiver has."""
    if not link.stream_url or not url.startswith(link.stream_url):
        return False
    return re.fullmatch(rf"/{link.number}/[a-z-]+", url[len(link.stream_url) :]) is not None


def call(link: Link, action: str, body: bytes, content_type: str) -> Response | None:
    """Make a request to the connection in this thread, for a command; None while the account is not connected."""
    if not link.stream_url:
        return None
    request = stream_request(link, action, body, content_type)
    return http.send(request.method, request.url, request.headers.items(), request.body, is_exempt=True)
