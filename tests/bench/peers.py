"""Other senders with the same hooks: `python -m tests.bench.peers requests|curl URL COUNT` prints the seconds.

A plain loop of requests, and a bare CurlMulti loop: the product's Transfer without a database, the upper limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.bench.environment import ROOT, Meter, Receiver, wait_for

SECRET = "whsec_" + "c2VjcmV0" * 4


def body(number: int) -> bytes:
    message = {"id": f"true_17680561234@c.us_{number:020X}", "body": "x" * 350, "type": "chat"}
    meta = {"ts_ns": time.time_ns(), "seq_no": number}
    return json.dumps({"messages": [message | {"metadata": meta}], "instanceId": "1"}).encode()


def signed(data: bytes, number: int) -> dict[str, str]:
    from hooks import signing

    return signing.headers(
        webhook_id=f"hook_{number}", body=data, secret=SECRET, at=datetime.now(UTC), number=1, allowed=1
    )


def requests_loop(url: str, count: int) -> float:
    """Sends signed POSTs with one requests.Session, one after the other, and stores nothing; returns the seconds."""
    import requests

    session = requests.Session()
    session.trust_env = False
    began = time.perf_counter()
    for number in range(count):
        data = body(number)
        session.post(f"{url}/{number % 100}", data=data, headers=signed(data, number), timeout=10)
    return time.perf_counter() - began


def bare_curl_multi(url: str, count: int, width: int = 200) -> float:
    """Sends signed POSTs with the product's Transfer in one CurlMulti, and stores nothing; returns the seconds."""
    import django

    django.setup()
    import pycurl

    from hooks.http import Transfer

    multi = pycurl.CurlMulti()
    free = [Transfer() for _ in range(width)]
    started = ended = 0
    began = time.perf_counter()
    while ended < count:
        while free and started < count:
            transfer = free.pop()
            data = body(started)
            transfer.start(f"{url}/{started % 100}", signed(data, started), data)
            multi.add_handle(transfer.curl)
            started += 1
        multi.perform()
        _, good, bad = multi.info_read(width)
        for curl in [*good, *(entry[0] for entry in bad)]:
            multi.remove_handle(curl)
            curl.transfer.finish()
            free.append(curl.transfer)
            ended += 1
        if not good and not bad:
            multi.select(0.05)
    return time.perf_counter() - began


LOOPS: dict[str, Callable[[str, int], float]] = {"requests": requests_loop, "curl": bare_curl_multi}


def measure(which: str, count: int) -> dict[str, float]:
    """Runs one of LOOPS in its own process; returns the rate, the CPU seconds per 1 000, and the peak memory."""
    with Receiver() as receiver:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.peers", which, receiver.url, str(count)],
            cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout and process.stdin
        wait_for(lambda: receiver.get("counts")["received"], "the first request")
        with Meter([process.pid], []) as sender, Meter([], [receiver.pid]) as receiving:
            first = receiver.get("counts")["received"]
            seconds = float(process.stdout.readline())
        process.stdin.close()  # the process waits for this, so its CPU seconds could be read
        process.wait()
    return {
        "rate": count / seconds,
        "cpu": (sender.cpu + receiving.cpu) * 1000 / (count - first),
        "memory": sender.peak,
        "receiver_cpu": receiving.cpu * 1000 / (count - first),
    }


if __name__ == "__main__":
    print(LOOPS[sys.argv[1]](sys.argv[2], int(sys.argv[3])), flush=True)
    sys.stdin.read()
