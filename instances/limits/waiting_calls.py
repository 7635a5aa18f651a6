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
    """In how many seconds a request is served again, and whose share of the waiting calls it takes."""

    after: float
    owner: int


def repeat(request: HttpRequest, seconds: float, owner: int) -> Repeat | None:
    """Returns when to serve the request again; None if it has waited `seconds`, or the web server is another one."""
    waited = request.META.get(WAITED)
    if waited is None or waited >= seconds:
        return None
    return Repeat(min(FIRST_PAUSE + GROWTH * waited, seconds - waited), owner)
