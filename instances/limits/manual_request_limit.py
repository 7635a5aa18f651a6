"""The limit of requests that a user sends by pressing a button, and waits for: simulations, tests, replays.

Each holds a thread of the web server for up to ten seconds, within the budget of waiting_threads.py, and goes to any
public URL that the user chooses. The number that a user sends per minute is limited, so that the site cannot be used
to overload other sites.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from instances.limits import rate_counters, shared_counts, waiting_threads

A_MINUTE = 120  # per user; one step of a forwarding, of up to ten requests, counts as one


class TooMany(ValueError):
    """The request was not sent; str() is the error message, with the time of the next try."""


@contextmanager
def place(user: Any) -> Iterator[None]:
    """Allows one request within the `with` block. Raises TooMany."""
    account = getattr(user, "account", None)  # staff may have none
    owner = account.pk if account is not None else f"user {user.pk}"
    with waiting_threads.slots.hold(owner) as is_free:
        if not is_free:
            raise TooMany("Too many of your requests are in progress. Try again in a few seconds.")
        if shared_counts.add("outbound", user.pk, A_MINUTE) > A_MINUTE:
            raise TooMany(
                f"You have sent more than {A_MINUTE} requests in a minute. "
                f"Try again in {rate_counters.seconds_left()} seconds."
            )
        yield
