"""Calls that wait for something to happen: no thread waits, the web server serves them again.

A view that has nothing to return yet sets `response.repeat`. The web server (chatapi/runtime/web) then drops the
response and serves the request again after `after` seconds, with the time since the first one in
META["chatapi.waited"]. It sends the response if too many calls wait, in total or of the owner.
"""

from typing import NamedTuple

from django.http import HttpRequest

WAITED = "chatapi.waited"  # in META, seconds; only this project's web server sets it
FIRST_PAUSE = 0.1  # seconds between two queries; longer the longer a call has waited
GROWTH = 0.1


class Repeat(NamedTuple):
    """In how many seconds a request is served again, and whose share of the waiting calls it takes.

    With a key, it is served again as soon as this lane is notified (chatapi/runtime/web/wakeups.py).
    """

    after: float
    owner: int
    key: str = ""


def repeat(request: HttpRequest, seconds: float, owner: int, *, lane: int | None = None) -> Repeat | None:
    """Returns when to serve the request again; None if it has waited `seconds`, or the web server is another one.

    With `lane`, the key of an endpoint, at the latest when it gets a hook.
    """
    waited = request.META.get(WAITED)
    if waited is None or waited >= seconds:
        return None
    key = "" if lane is None else str(lane)
    return Repeat(min(FIRST_PAUSE + GROWTH * waited, seconds - waited), owner, key)
