"""A receiver that responds as each hook's body asks, and records what could show a broken guarantee.

The body of a hook is {"n": its number in its lane, "script": [response to its first attempt, to its second, …]}; later
attempts get a 200. The lane is the first part of the path, "/<lane>/<anything>".
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
import threading
from collections import defaultdict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

RESPONSES = {
    "ok": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "500": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "429": b"HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    "410": b"HTTP/1.1 410 No\r\nContent-Length: 0\r\n\r\n",
}
SLOW = 0.05  # s before the 200 of "slow"
ENDED = select.POLLRDHUP | select.POLLHUP | select.POLLERR


@dataclass(frozen=True)
class Arrival:
    n: int
    webhook_id: str
    attempt: int
    path: str


class ScriptedReceiver:
    """`with ScriptedReceiver() as receiver:` listens on `receiver.url` in its own thread."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)  # by lane, in order
        self.in_flight: dict[str, dict[Connection, Arrival]] = defaultdict(dict)  # by lane
        self.at_arrivals: dict[str, list[list[Arrival]]] = defaultdict(
            list
        )  # what was in flight then, itself included
        self.responded_200: set[str] = set()  # webhook-ids

    def __enter__(self) -> Self:
        started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve(started)), daemon=True)
        self.thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()

    async def serve(self, started: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.over = asyncio.Event()
        server = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self.over.wait()
        server.close()

    def begin(self, connection: Connection, lane: str, arrival: Arrival) -> None:
        here = self.in_flight[lane]
        # The end of another connection may not have been read from its socket yet; it is not in flight any more.
        for ended in [other for other in here if other.has_ended()]:
            del here[ended]
        here[connection] = arrival
        self.arrivals[lane].append(arrival)
        self.at_arrivals[lane].append(list(here.values()))


class Connection(asyncio.Protocol):
    def __init__(self, receiver: ScriptedReceiver) -> None:
        self.receiver = receiver
        self.buffer = b""
        self.lane = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.fd: int = transport.get_extra_info("socket").fileno()

    def connection_lost(self, error: Exception | None) -> None:
        self.end()

    def has_ended(self) -> bool:
        if self.transport.is_closing():
            return True
        poller = select.poll()
        poller.register(self.fd, ENDED)
        return bool(poller.poll(0))

    def end(self) -> None:
        self.receiver.in_flight[self.lane].pop(self, None)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if len(rest) < int(headers["content-length"]):
            return
        self.buffer = b""
        path = first.split(" ")[1]
        body = json.loads(rest)
        attempt = int(headers["webhook-attempt"].split("/")[0])
        self.lane = path.split("/")[1]
        arrival = Arrival(body["n"], headers["webhook-id"], attempt, path)
        self.receiver.begin(self, self.lane, arrival)
        script = body["script"]
        self.respond(script[attempt - 1] if attempt <= len(script) else "ok", arrival.webhook_id)

    def respond(self, what: str, webhook_id: str) -> None:
        if what == "slow":
            self.receiver.loop.call_later(SLOW, self.respond, "ok", webhook_id)
        elif what == "reset":  # in the middle of the response
            self.end()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            found: socket.socket = self.transport.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif what != "hang" and not self.transport.is_closing():
            self.end()
            if what == "ok":
                self.receiver.responded_200.add(webhook_id)
            self.transport.write(RESPONSES[what])
