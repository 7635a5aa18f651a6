"""A receiver quick enough not to be the limit: `python -m tests.bench.receiver [--delay MS]`.

Raw asyncio, no HTTP library: it finds the end of each POST by its Content-Length, answers 200 and counts. It prints
its port, and on SIGUSR1 or at its end one JSON line: how many came, how many were out of order per path (by the
`seq_no` of the body's metadata), and the milliseconds from `ts_ns` to the arrival, sorted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SEQUENCE = re.compile(rb'"seq_no": ?(\d+)')
STAMP = re.compile(rb'"ts_ns": ?(\d+)')


class Counts:
    def __init__(self) -> None:
        self.came = 0
        self.inversions = 0
        self.highest: dict[bytes, int] = {}
        self.waits: list[float] = []

    def note(self, path: bytes, body: bytes) -> None:
        self.came += 1
        if found := SEQUENCE.search(body):
            number = int(found[1])
            if number < self.highest.get(path, -1):
                self.inversions += 1
            else:
                self.highest[path] = number
        if found := STAMP.search(body):
            self.waits.append((time.time_ns() - int(found[1])) / 1e6)

    def print(self) -> None:
        self.waits.sort()
        print(json.dumps({"came": self.came, "inversions": self.inversions, "waits": self.waits}), flush=True)


class Post(asyncio.Protocol):
    def __init__(self, counts: Counts, delay: float) -> None:
        self.counts, self.delay = counts, delay
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            found = LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < whole:
                return
            self.counts.note(head.split(b" ", 2)[1], self.buffer[end + 4 : whole])
            self.buffer = self.buffer[whole:]
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self.transport.write, ANSWER)
            else:
                self.transport.write(ANSWER)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="ms before each answer")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Post(counts, options.delay / 1000), "127.0.0.1", options.port, backlog=4096
    )
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, counts.print)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    counts.print()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
