"""Messages in both directions at a steady rate, each repeated until it is accepted, and what of them arrived.

A call without a response may have been recorded all the same: its message may then be there twice, as two messages.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

import requests

from tests.hooks.dispatch.dispatching import wait_until
from tests.receiver import Received, Receiver
from tests.rest import Rest

EVERY = 0.1  # s between two messages of one direction
CALL_SECONDS = 30.0
ARRIVAL_SECONDS = 120.0
IN_FLIGHT_SECONDS = 5.0  # before the fault: a response that arrived earlier has been recorded


class SteadyLoad:
    """`with SteadyLoad(rest, receiver) as load:` sends until the end of the block, which waits for all to arrive."""

    def __init__(self, rest: Rest, receiver: Receiver) -> None:
        self.rest, self.receiver = rest, receiver
        self.over = threading.Event()
        self.accepted: list[str] = []
        self.unclear: Counter[str] = Counter()  # calls without a response, or with an error, by body
        self.threads = [
            threading.Thread(target=self.repeat, args=(kind, call), daemon=True)
            for kind, call in (("in", self.receive), ("out", self.send))
        ]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            wait_until(lambda: not self.missing(), "all accepted messages arrive", ARRIVAL_SECONDS)

    def repeat(self, kind: str, call: Callable[[requests.Session, str], bool]) -> None:
        with requests.Session() as session:
            for number in itertools.count():
                body = f"{kind} {number}"
                while not self.is_accepted(session, body, call):
                    self.unclear[body] += 1
                    if self.over.wait(EVERY):
                        return
                self.accepted.append(body)
                if self.over.wait(EVERY):
                    return

    @staticmethod
    def is_accepted(
        session: requests.Session, body: str, call: Callable[[requests.Session, str], bool]
    ) -> bool:
        try:
            return call(session, body)
        except (requests.RequestException, ValueError):
            return False

    def receive(self, session: requests.Session, body: str) -> bool:
        message = {"from": "17680561234", "name": "Ann", "type": "chat", "body": body}
        headers = {"Authorization": f"Bearer {self.rest.demo['uid']}"}
        url = f"{self.rest.home}sandbox/messages/"
        return session.post(url, json=message, headers=headers, timeout=CALL_SECONDS).ok

    def send(self, session: requests.Session, body: str) -> bool:
        url = f"{self.rest.api_url}sendMessage?token={self.rest.instance['token']}"
        message = {"phone": "17680561234", "body": body}
        return bool(session.post(url, json=message, timeout=CALL_SECONDS).json().get("sent"))

    # -- what arrived

    def arrivals(self) -> list[tuple[Received, str]]:
        """Returns each request with a message, and the message's body, in the order of arrival."""
        return [
            (request, message["body"])
            for request in list(self.receiver.requests)
            for message in request.json().get("messages", ())
        ]

    def missing(self) -> set[str]:
        """Returns the accepted messages that have not arrived."""
        return set(self.accepted) - {body for _, body in self.arrivals()}

    def repeated_messages(self) -> set[str]:
        """Returns the bodies that arrived as more messages than the calls explain."""
        hooks: dict[str, set[str]] = {}
        for request, body in self.arrivals():
            hooks.setdefault(body, set()).add(request.headers["webhook-id"])
        return {body for body, ids in hooks.items() if len(ids) > 1 + self.unclear[body]}

    def repeated_hooks(self) -> dict[str, float]:
        """Returns the hooks that were sent more than once, with the time of their first request."""
        first: dict[str, float] = {}
        repeated: dict[str, float] = {}
        for request, _ in self.arrivals():
            hook = request.headers["webhook-id"]
            if hook in first:
                repeated[hook] = first[hook]
            first.setdefault(hook, request.at)
        return repeated

    def longest_pause(self, begin: float, end: float) -> float:
        """Returns the longest time without a request between two moments of time.monotonic(), in seconds."""
        times = [begin, *(request.at for request, _ in self.arrivals() if begin < request.at < end), end]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def wait_for_requests(self, n: int = 10) -> None:
        """Waits for further requests in both directions."""
        for kind in ("in ", "out "):
            before = self.count(kind)

            def has_come(kind: str = kind, before: int = before) -> bool:
                return self.count(kind) >= before + n

            wait_until(has_come, f"{n} messages with {kind}arrive", ARRIVAL_SECONDS)

    def count(self, kind: str) -> int:
        return sum(body.startswith(kind) for _, body in self.arrivals())
