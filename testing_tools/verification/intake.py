"""How many bytes a bin, and a client, may send in a minute. A bin takes requests from anyone who knows its URL.

Counted for all machines together (instances/limits/shared_counts.py), with 1 KB for each request, so that empty
requests count too. Refused requests are not stored and not counted.
"""

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from chatapi.ui import sizes
from hooks import own_hooks
from instances.limits import login_throttle, rate_counters, shared_counts

BY_BIN, BY_ADDRESS = "bin bytes", "address bytes"
REQUEST_BYTES = 1024


def refuse(request: HttpRequest, key: str) -> JsonResponse | None:
    """Returns 429 with Retry-After if the bin or the client has sent as much in this minute as it may; else None.

    Hooks of this site count for the bin only: they all come from this machine's address. Looking a hook up costs a
    query, only if the address has reached its limit.
    """
    limit = settings.BIN_BYTES_PER_MINUTE
    if shared_counts.count(BY_BIN, key) >= limit:
        return too_much("This bin", limit)
    limit = settings.BIN_ADDRESS_BYTES_PER_MINUTE
    if shared_counts.count(BY_ADDRESS, login_throttle.client_address(request)) >= limit:
        webhook_id = request.headers.get("webhook-id", "")
        if not webhook_id or own_hooks.lane_of_hook(webhook_id) is None:
            return too_much("Your IP address", limit)
    return None


def count(request: HttpRequest, key: str, size: int) -> None:
    """Count a request whose body has `size` bytes. Two queries at most, and none for most small requests."""
    counted = size + REQUEST_BYTES
    shared_counts.add(BY_BIN, key, settings.BIN_BYTES_PER_MINUTE, counted)
    address = login_throttle.client_address(request)
    shared_counts.add(BY_ADDRESS, address, settings.BIN_ADDRESS_BYTES_PER_MINUTE, counted)


def too_much(whose: str, limit: int) -> JsonResponse:
    seconds = rate_counters.seconds_left()
    what = "has received" if whose == "This bin" else "has sent bins"
    sentence = (
        f"{whose} {what} {sizes.in_words(limit)} in this minute, which is the limit. The request was not recorded. "
        f"Try again in {seconds} seconds."
    )
    return JsonResponse({"ok": False, "error": sentence}, status=429, headers={"Retry-After": str(seconds)})
