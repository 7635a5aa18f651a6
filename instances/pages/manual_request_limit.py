"""Requests that leave at once because a person pressed a button, and waits: a simulation, a test, a replay.

Each holds a thread of the web server, of which there are 40 (runtime/web.py), for up to ten seconds, and goes to
any public URL that its sender chooses. So the number in flight and the number a user sends per minute are limited:
a slow receiver cannot keep the site busy, and the site cannot be used to overload other sites.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from instances.limits import rate_counters
from instances.limits.thread_slots import ThreadSlots

AT_ONCE = 16  # in a web process
AT_ONCE_PER_PERSON = 4
A_MINUTE = 120  # by a person; one step of a forwarding, of up to ten requests, counts as one


class TooMany(ValueError):
    """It was not sent; str() says so, and when to try again."""


_slots = ThreadSlots(AT_ONCE, AT_ONCE_PER_PERSON)


@contextmanager
def place(person: Any) -> Iterator[None]:
    """Sending within it is allowed. Raises TooMany."""
    with _slots.hold(person.pk) as is_free:
        if not is_free:
            raise TooMany("Too many requests are under way at this moment. Try again in some seconds.")
        if rate_counters.add("outbound", person.pk) > A_MINUTE:
            raise TooMany(
                f"These are more than {A_MINUTE} requests in a minute. "
                f"Try again in {rate_counters.seconds_left()} seconds."
            )
        yield
