"""The limit of requests that a user sends by pressing a button, and waits for: simulations, tests, replays.

Each holds a thread of the web server, of which there are 40 (runtime/web.py), for up to ten seconds, and goes to
any public URL that the user chooses. So the number in flight and the number a user sends per minute are limited:
a slow receiver cannot keep the site busy, and the site cannot be used to overload other sites.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from instances.limits import rate_counters
from instances.limits.thread_slots import ThreadSlots

AT_ONCE = 16  # per web process
AT_ONCE_PER_USER = 4
A_MINUTE = 120  # per user; one step of a forwarding, of up to ten requests, counts as one


class TooMany(ValueError):
    """The request was not sent; str() is the error message, with the time of the next try."""


_slots = ThreadSlots(AT_ONCE, AT_ONCE_PER_USER)


@contextmanager
def place(user: Any) -> Iterator[None]:
    """Allows one request within the `with` block. Raises TooMany."""
    with _slots.hold(user.pk) as is_free:
        if not is_free:
            raise TooMany("Too many of your requests are in progress. Try again in a few seconds.")
        if rate_counters.add("outbound", user.pk) > A_MINUTE:
            raise TooMany(
                f"You have sent more than {A_MINUTE} requests in a minute. "
                f"Try again in {rate_counters.seconds_left()} seconds."
            )
        yield
