"""A receiver that is too fast to limit a sender: `python -m tests.bench.receiver [--delay MS]`.

Raw asyncio without an HTTP library: it finds the end of each POST by its Content-Length, responds with 200 and
counts. The path decides when: /hang/… gets no response, /slow/… after 20 ms, others immediately or after --delay;
/bot/… too, but hooks of its own messages (fromMe) get none, as from the vendor's Node bot. It prints its port. GET
/counts returns {"received", "hanging", "inversions" (of `seq_no`, per path)}, GET /arrivals a list of [path, seq_no,
clock in ns] without the requests to /hang/…; GET /reset sets the counts to 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import time

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SEQUENCE = re.compile(rb'"seq_no": ?(\d+)')
FROM_ME = re.compile(rb'"fromMe": ?true')
SLOW = 0.02


class Counts:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.received = self.hanging = self.inversions = 0
        self.highest: dict[bytes, int] = {}
        self.arrivals: list[tuple[bytes, int, int]] = []

    def record(self, path: bytes, body: bytes) -> None:
        self.received += 1
        if found := SEQUENCE.search(body):
            number = int(found[1])
            self.arrivals.append((path, number, time.time_ns()))
            if number < self.highest.get(path, -1):
                self.inversions += 1
            else:
                self.highest[path] = number

    def response(self, path: bytes) -> bytes:
        result: object = None
        if path == b"/counts":
            result = {"received": self.received, "hanging": self.hanging, "inversions": self.inversions}
        elif path == b"/arrivals":
            result = [(path.decode(), number, at) for path, number, at in self.arrivals]
        elif path == b"/reset":
            self.reset()
        body = json.dumps(result).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Post(asyncio.Protocol):
    def __init__(self, counts: Counts, delay: float) -> None:
        self.counts, self.delay = counts, delay
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.hangs = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, fault: Exception | None) -> None:
        self.counts.hanging -= self.hangs

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            found = LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < whole:
                return
            method, path, _ = head.split(b" ", 2)
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            if method == b"GET":
                self.transport.write(self.counts.response(path))
            elif path.startswith(b"/hang/"):
                self.counts.hanging += not self.hangs
                self.hangs = True
            else:
                self.counts.record(path, body)
                if path.startswith(b"/bot/") and FROM_ME.search(body):
                    continue
                delay = SLOW if path.startswith(b"/slow/") else self.delay
                if delay:
                    self.loop.call_later(delay, self.transport.write, RESPONSE)
                else:
                    self.transport.write(RESPONSE)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="ms before each response")
    options = parser.parse_args()
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Post(counts, options.delay / 1000), "127.0.0.1", 0, backlog=4096
    )
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
