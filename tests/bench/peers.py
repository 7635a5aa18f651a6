"""What others do with the same hooks: a plain loop of requests, and the bare CurlMulti loop as the ceiling."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.bench.world import body

SECRET = "whsec_" + "c2VjcmV0" * 4


def signed(data: bytes, number: int) -> dict[str, str]:
    from hooks import signing

    return signing.headers(
        webhook_id=f"hook_{number}", body=data, secret=SECRET, at=datetime.now(UTC), number=1, allowed=1
    )


def requests_loop(url: str, count: int) -> float:
    """Signed POSTs by one requests.Session, one after the other, nothing written down; per second."""
    import requests

    session = requests.Session()
    session.trust_env = False
    began = time.perf_counter()
    for number in range(count):
        data = body(number)
        session.post(f"{url}/{number % 100}", data=data, headers=signed(data, number), timeout=10)
    return count / (time.perf_counter() - began)


def bare_curl_multi(url: str, count: int, width: int = 200) -> float:
    """Signed POSTs by our own Transfer in one CurlMulti, without a database; per second."""
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
    return count / (time.perf_counter() - began)
