"""Calls that wait for something to happen: no thread waits, the web server serves them again.

A view that has nothing to return yet calls `wait`, which sets `response.repeat`. The web server (chatapi/runtime/web)
then drops the response and serves the request again after `after` seconds, with the time since the first one in
META["chatapi.waited"]. It sends the response if too many calls wait, in total or of the owner.
"""

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse

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


def wait(
    response: HttpResponse, request: HttpRequest, seconds: float, *, owner: int, lane: int | None = None
) -> None:
    """Has the web server serve the request again, until it has waited `seconds` since the first time.

    With `lane`, the key of an endpoint, also as soon as the endpoint gets a hook. Other web servers send the response.
    """
    waited = request.META.get(WAITED)
    if waited is None or waited >= seconds:
        return
    key = "" if lane is None else str(lane)
    after = min(FIRST_PAUSE + GROWTH * waited, seconds - waited)
    response.repeat = Repeat(after, owner, key)  # type: ignore[attr-defined]  # for the web server


def is_repeated(request: HttpRequest) -> bool:
    """Returns whether the web server serves this request again."""
    return bool(request.META.get(WAITED))
