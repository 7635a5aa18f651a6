"""Limits streamed responses (files, exports): a client that reads slowly occupies a thread of the web server.

The server has 40 threads (runtime/web.py), so 40 slow clients would block all pages. Short responses are read
completely and sent at once; the number of simultaneous long ones is limited.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from chatapi.ui.numbers import parse_digits
from instances.limits import login_throttle
from instances.limits.thread_slots import ThreadSlots

SHORT_BYTES = 1024 * 1024  # a response up to this size needs no slot
MAX_DOWNLOADS = 20  # simultaneous long responses of a web process
MAX_DOWNLOADS_PER_ADDRESS = 8
TOO_MANY = "Too many files are being downloaded now. Try again in a minute."

_slots = ThreadSlots(MAX_DOWNLOADS, MAX_DOWNLOADS_PER_ADDRESS)


def is_short(response: StreamingHttpResponse) -> bool:
    length = parse_digits(response.headers.get("Content-Length"))
    return length is not None and length <= SHORT_BYTES


class SlotResponse:
    """A streamed response that holds a slot until it is closed."""

    def __init__(self, response: StreamingHttpResponse, address: str) -> None:
        self.response, self.address, self.holds_slot = response, address, True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.response)

    def close(self) -> None:
        """Called by the server at the end, and when the client has disconnected."""
        try:
            self.response.close()
        finally:
            if self.holds_slot:
                self.holds_slot = False
                _slots.release(self.address)

    __del__ = close


def with_slot(response: StreamingHttpResponse, environ: dict[str, Any]) -> Iterable[bytes] | None:
    """Returns the response with a slot; None if no slot is free, in total or for the client's IP address."""
    request = HttpRequest()
    request.META = environ
    address = login_throttle.client_address(request)
    return SlotResponse(response, address) if _slots.acquire(address) else None
