"""From kill -9 of one process of the running product to the next request at the receiver, while messages keep arriving.

Messages of a contact are posted over REST, and messages are sent with `sendMessage`, 25 of each per second; a call that
fails is repeated. The pause is the longest time between two requests with hooks of that kind, from the kill on.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests

from tests.bench.environment import bench_database, wait_for
from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest

EVERY = 0.04  # s between two messages of one kind
SETTLE = 12.0  # s between two kills: a part that ran for 10 s restarts without a pause
OBSERVED = 8.0  # s after a kill
BEFORE = 0.2  # s before a kill that belong to the pause


class Traffic:
    """Messages in both directions, until `over`."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self.repeat, args=(call,), daemon=True)
            for call in (self.receive, self.send)
        ]
        for thread in self.threads:
            thread.start()

    def repeat(self, call: Callable[[requests.Session], None]) -> None:
        session = requests.Session()
        while not self.over.wait(EVERY):
            with suppress(requests.RequestException):
                call(session)

    def receive(self, session: requests.Session) -> None:
        message = {"from": "17680561234", "name": "Ann", "type": "chat", "body": "in"}
        headers = {"Authorization": f"Bearer {self.rest.demo['uid']}"}
        session.post(f"{self.rest.home}sandbox/messages/", json=message, headers=headers, timeout=1)

    def send(self, session: requests.Session) -> None:
        token = {"token": self.rest.instance["token"]}
        session.post(
            f"{self.rest.api_url}sendMessage",
            params=token,
            json={"phone": "17680561234", "body": "out"},
            timeout=1,
        )

    def stop(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def arrivals(receiver: Receiver, body: str) -> list[float]:
    """Returns when the hooks of messages with this body arrived, by time.monotonic()."""
    return [
        request.at
        for request in list(receiver.requests)
        if any(message["body"] == body for message in request.json().get("messages", ()))
    ]


def longest_pause(times: list[float], killed: float) -> float:
    """Returns the longest time between two requests from the kill on, in seconds."""
    since = [at for at in times if at >= killed - BEFORE]
    times = [killed - BEFORE, *since, time.monotonic()]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def measure(victims: list[str], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Returns the pauses of hooks of received and of sent messages after each kill of each process, in seconds."""
    from tests.faults.victims import VICTIMS

    victims = victims or list(VICTIMS)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in victims}
    with (
        tempfile.TemporaryDirectory(prefix="chatapi-kills-") as folder,
        Receiver() as receiver,
        Product(
            Path(folder),
            API_RATE="100000/min",
            CONTRACT_CALLS_PER_MINUTE="100000",
            CONTRACT_ACCOUNT_CALLS_PER_MINUTE="100000",
        ) as product,
    ):
        rest = Rest(product)
        rest.call(
            "PATCH", rest.home, json={"webhookUrl": receiver.url, "parallelHooks": True, "sendDelay": 0}
        )
        traffic = Traffic(rest)
        for _ in range(rounds):
            for name in victims:
                wait_for(lambda: len(arrivals(receiver, "out")) > 10, "hooks arrive")
                time.sleep(SETTLE)
                process = VICTIMS[name](product)
                receiver.requests.clear()
                time.sleep(BEFORE)
                killed = time.monotonic()
                process.kill()
                time.sleep(2 * OBSERVED if name == "database" else OBSERVED)
                pauses = (
                    longest_pause(arrivals(receiver, "in"), killed),
                    longest_pause(arrivals(receiver, "out"), killed),
                )
                found[name].append(pauses)
                print(f"{name:>12}: in {pauses[0]:.2f} s, out {pauses[1]:.2f} s", file=sys.stderr, flush=True)
                product.wait_for_ready()
        traffic.stop()
        done = product.manage("hooks", "check")
        assert done.returncode == 0, done.stdout
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.kills")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("victims", nargs="*")
    options = parser.parse_args()
    with bench_database():
        figures = measure(options.victims, options.rounds)
    for name, pauses in figures.items():
        print(name, *(f"{one:.2f}/{other:.2f}" for one, other in pauses))


if __name__ == "__main__":
    main()
