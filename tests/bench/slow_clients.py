"""Calls of the wire contract while a thousand clients send slowly: idle connections, half heads and half bodies."""

from __future__ import annotations

import resource
import socket
import threading
import time
from contextlib import ExitStack

from tests.bench import contract
from tests.bench.environment import empty

CALLERS = 4
RATE = 200.0  # calls per second


def starts_of_requests(target: str) -> list[bytes]:
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    return [
        b"",
        head[:40],
        head + b"Content-Length: 1000\r\n\r\n{",
        head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ]


def p99_of_calls(port: int, request: bytes, seconds: float) -> float:
    """Returns the 99th percentile of the calls' durations in ms, at RATE over CALLERS connections."""
    durations: list[list[float]] = [[] for _ in range(CALLERS)]
    began = time.perf_counter()

    def work(number: int) -> None:
        with contract.connect(port) as connection:
            turn = number
            while (due := began + turn / RATE) < began + seconds:
                time.sleep(max(0.0, due - time.perf_counter()))
                asked = time.perf_counter()
                status, _ = contract.call(connection, request)
                assert status == 200
                durations[number].append((time.perf_counter() - asked) * 1000)
                turn += CALLERS

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted(one for part in durations for one in part)
    return found[int(len(found) * 0.99)]


def measure(count: int, seconds: float) -> dict[str, float]:
    """Returns the p99 of `status` in ms, undisturbed and while `count` clients are slow."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    empty()
    (instance,) = contract.instances(1)
    request = contract.get(instance, "status", "")
    begun = starts_of_requests(f"/instance{instance.number}/sendMessage?token={instance.token}")
    with contract.site(worker=False) as (port, _pids), ExitStack() as stack:
        p99_of_calls(port, request, 1.0)  # opens the threads' connections to the database
        calm = p99_of_calls(port, request, seconds)
        for number in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(begun[number % len(begun)])
        time.sleep(1)
        return {"calm": calm, "slow": p99_of_calls(port, request, seconds)}
