"""Answers that are sent in pieces: files and exports. Whoever reads one slowly holds a thread of the web server.

There are 40 of those (runtime/web.py), so forty slow readers of one link would be the end of everybody's pages. What is
short is read at once and sent as one, which the server does by itself; of long ones only so many are under way.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from instances import login_throttle

WHOLE_MOST = 1024 * 1024  # bytes
AT_ONCE = 20  # long ones, in a web process
AT_ONCE_PER_ADDRESS = 8
TOO_MANY = "Too many files are being downloaded at this moment. Try again in a minute."

_under_way: Counter[str] = Counter()
_lock = threading.Lock()


def is_short(response: StreamingHttpResponse) -> bool:
    length = response.headers.get("Content-Length", "")
    return length.isdigit() and int(length) <= WHOLE_MOST


class Seat:
    """A place among those that are under way, and the answer that has it, until it is closed."""

    def __init__(self, response: StreamingHttpResponse, address: str) -> None:
        self.response, self.address, self.is_taken = response, address, True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.response)

    def close(self) -> None:
        """The server calls it at the end, and when the reader has gone."""
        try:
            self.response.close()
        finally:
            with _lock:
                if self.is_taken:
                    self.is_taken = False
                    _under_way[self.address] -= 1
                    if not _under_way[self.address]:
                        del _under_way[self.address]

    __del__ = close


def seated(response: StreamingHttpResponse, environ: dict[str, Any]) -> Iterable[bytes] | None:
    """The answer with its place; None: there is none free, in all or for whoever asks."""
    asked = HttpRequest()
    asked.META = environ
    address = login_throttle.address_of(asked)
    with _lock:
        if _under_way.total() >= AT_ONCE or _under_way[address] >= AT_ONCE_PER_ADDRESS:
            return None
        _under_way[address] += 1
    return Seat(response, address)
